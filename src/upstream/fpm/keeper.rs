//! The housekeeping task of a member, which runs while requests wait or connections idle there: it closes expired
//! connections, and looks for workers after destructors made room, which start nothing themselves.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::member::Member;
use crate::threads;

/// Interval of the check for expired connections, and for workers that were expected back and are still busy.
const LOOK: Duration = Duration::from_millis(5);

impl Member {
    /// Starts the task unless it runs.
    pub(super) fn start_keeper(self: &Arc<Self>) {
        if threads::is_ending() || self.has_keeper.swap(true, Ordering::AcqRel) {
            return;
        }
        let member = Arc::clone(self);
        tokio::spawn(async move {
            while member.has_work() {
                // Woken or timed out: the work to do is looked up in either case.
                let _ = timeout(LOOK, member.room.notified()).await;
                let expired = member.account().expire(Instant::now());
                drop(expired);
                member.after_close();
            }
        });
    }

    /// Reports whether the task has to go on; otherwise it is marked as ended.
    fn has_work(&self) -> bool {
        if self.is_in_use() {
            return true;
        }
        self.has_keeper.store(false, Ordering::Release);
        // A request may have come between the check and the store, and found the task still marked as running.
        self.is_in_use() && !self.has_keeper.swap(true, Ordering::AcqRel)
    }

    fn is_in_use(&self) -> bool {
        let account = self.account();
        account.waiting() > 0 || account.idle() > 0
    }
}
