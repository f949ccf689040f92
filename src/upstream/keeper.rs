//! The task that keeps house for a member, as long as anything waits or idles there: it closes what has idled too long,
//! and looks for workers where destructors made room, which start nothing themselves.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::member::Member;

/// How often it is looked for connections that have idled too long.
const IDLE: Duration = Duration::from_millis(5);

/// How often it is looked whether a worker that was expected back has come.
const RETURNING: Duration = Duration::from_millis(1);

/// How often it is looked whether anybody still waits.
const WAITING: Duration = Duration::from_secs(1);

impl Member {
    /// Starts the task where it does not run.
    pub(super) fn keep_house(self: &Arc<Self>) {
        if self.is_kept.swap(true, Ordering::AcqRel) {
            return;
        }
        let member = Arc::clone(self);
        tokio::spawn(async move {
            while let Some(pause) = member.next_look() {
                // Woken or late: what there is to do is looked up.
                let _ = timeout(pause, member.room.notified()).await;
                let expired = member.account().expire(Instant::now());
                drop(expired);
                member.after_close();
            }
        });
    }

    /// Returns when to look again; `None` where nothing is left to look after, and the task is to end.
    fn next_look(&self) -> Option<Duration> {
        if let Some(pause) = self.pause() {
            return Some(pause);
        }
        self.is_kept.store(false, Ordering::Release);
        // Something may have come between the look and the store, and found the task still there.
        let pause = self.pause()?;
        let is_kept = self.is_kept.swap(true, Ordering::AcqRel);
        (!is_kept).then_some(pause)
    }

    fn pause(&self) -> Option<Duration> {
        let account = self.account();
        if account.waiting() > 0 {
            let is_brief = account.returning(Instant::now()) > 0;
            return Some(if is_brief { RETURNING } else { WAITING });
        }
        (account.idle() > 0).then_some(IDLE)
    }
}
