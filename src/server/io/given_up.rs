//! An HTTP/1 connection whose head does not come makes room for others.

use std::task::{Context, Poll, ready};

use super::ConnectionIo;
use crate::limits::room::Wait;
use crate::moment;

impl ConnectionIo {
    /// Ready when the connection is to make room for another: its head does not come.
    pub(super) fn poll_given_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let watch = self.connection.watch();
        if watch.is_idle() && self.received.is_in_head() {
            watch.seat().wait(Wait::Head, moment::now());
        }
        let cause = ready!(watch.seat().poll_asked(cx));
        watch.seat().give_up(cause);
        self.is_displaced = true;
        Poll::Ready(())
    }
}
