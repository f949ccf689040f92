//! What the error streams of all requests share: one bound on what they log together, of which no site takes all. A
//! reload carries it over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::budget::{Dropped, Shares};
use super::messages::Message;

/// Tokens for a burst, each a message or 1 KiB of one: what one broken deployment says in its
/// first second.
const BURST: u64 = 1000;

/// Tokens that come back in a second: at most some 200 KiB/s, 17 GiB a day, in the worst case.
const PER_SECOND: u64 = 200;

/// How often it is told what was dropped.
const TELL_AFTER: Duration = Duration::from_secs(5);

/// The bound on all error streams of the process.
#[derive(Debug)]
pub struct ErrorLog {
    shares: Mutex<Shares>,
    /// Spares requests that have nothing to tell the lock.
    has_dropped: AtomicBool,
}

impl Default for ErrorLog {
    fn default() -> Self {
        Self {
            shares: Mutex::new(Shares::new(BURST, PER_SECOND)),
            has_dropped: AtomicBool::new(false),
        }
    }
}

impl ErrorLog {
    /// Whether `message` of a site may be logged.
    pub(super) fn admits(&self, site: &Arc<str>, message: &Message) -> bool {
        self.ask(|shares, now| shares.admits(site, message, now))
    }

    /// Whether a line may be logged that says what one request of the site had dropped.
    pub(super) fn admits_count(&self, site: &Arc<str>, dropped: Dropped) -> bool {
        self.ask(|shares, now| shares.admits_count(site, dropped, now))
    }

    /// Tells what was dropped, when it is time to; each request asks when it ends.
    pub(super) fn tell(&self) {
        if self.has_dropped.load(Ordering::Relaxed) {
            self.tell_since(TELL_AFTER);
        }
    }

    /// Tells it whenever it was; for the end.
    pub fn close(&self) {
        self.tell_since(Duration::ZERO);
    }

    fn ask(&self, question: impl FnOnce(&mut Shares, Instant) -> bool) -> bool {
        let admitted = question(&mut self.shares(), Instant::now());
        if !admitted {
            self.has_dropped.store(true, Ordering::Relaxed);
        }
        admitted
    }

    fn tell_since(&self, age: Duration) {
        let dropped = {
            let mut shares = self.shares();
            let dropped = shares.dropped(age, Instant::now());
            self.has_dropped
                .store(shares.has_dropped(), Ordering::Relaxed);
            dropped
        };
        for (
            site,
            Dropped {
                messages, bytes, ..
            },
        ) in dropped
        {
            tracing::warn!(
                %site,
                dropped = messages,
                bytes,
                "the site's requests wrote more to their error streams than its share of the log: all sites have {BURST} messages at once and {PER_SECOND} a second, and one of them at most two thirds; the rest was dropped"
            );
        }
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        // A poisoned lock guards numbers that are right at every moment.
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
