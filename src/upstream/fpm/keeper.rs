//! The task that keeps house for a member, as long as anything waits or idles there: it closes what has idled too long,
//! and looks for workers where destructors made room, which start nothing themselves.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::member::Member;
use crate::threads;

/// How often it is looked for connections that have idled too long, and for workers that were expected back and work on.
const LOOK: Duration = Duration::from_millis(5);

impl Member {
    /// Starts the task where it does not run.
    pub(super) fn keep_house(self: &Arc<Self>) {
        if threads::is_ending() || self.is_kept.swap(true, Ordering::AcqRel) {
            return;
        }
        let member = Arc::clone(self);
        tokio::spawn(async move {
            while member.has_to_look() {
                // Woken or late: what there is to do is looked up.
                let _ = timeout(LOOK, member.room.notified()).await;
                let expired = member.account().expire(Instant::now());
                drop(expired);
                member.after_close();
            }
        });
    }

    /// Returns whether to look again; else nothing is left to look after, and the task is to end.
    fn has_to_look(&self) -> bool {
        if self.is_in_use() {
            return true;
        }
        self.is_kept.store(false, Ordering::Release);
        // Something may have come between the look and the store, and found the task still there.
        self.is_in_use() && !self.is_kept.swap(true, Ordering::AcqRel)
    }

    fn is_in_use(&self) -> bool {
        let account = self.account();
        account.waiting() > 0 || account.idle() > 0
    }
}
