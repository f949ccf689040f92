//! An HTTP/1 connection whose head does not come makes room for others.

use std::task::{Context, Poll, ready};

use super::ConnectionIo;
use crate::limits::eviction::Wait;
use crate::moment;

impl ConnectionIo {
    /// Ready when the connection is to make room for another: its head does not come.
    pub(super) fn poll_given_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let watch = self.connection.watch();
        if watch.is_idle() && self.intake.is_in_head() {
            watch.evictable().start_wait(Wait::Head, moment::now());
        }
        let cause = ready!(watch.evictable().poll_eviction(cx));
        watch.evictable().count_eviction(cause);
        self.hurries = true;
        Poll::Ready(())
    }
}
