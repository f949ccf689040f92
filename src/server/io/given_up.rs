//! Closing of HTTP/1 connections with an incomplete head, to make room for others.

use std::task::{Context, Poll, ready};

use super::ConnectionIo;
use crate::limits::eviction::Wait;
use crate::moment;

impl ConnectionIo {
    /// Waits until the connection, whose head is incomplete, has to make room for another.
    pub(super) fn poll_given_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let watch = self.connection.watch();
        if watch.is_idle() && self.received.is_in_head() {
            watch.evictable().start_wait(Wait::Head, moment::now());
        }
        let cause = ready!(watch.evictable().poll_eviction(cx));
        watch.evictable().count_eviction(cause);
        self.is_displaced = true;
        Poll::Ready(())
    }
}
