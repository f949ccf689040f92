//! The budget that the error streams of all requests share, with a limit per site. A reload carries it over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::budget::{Dropped, Shares};
use super::messages::Message;

/// Tokens for a burst, each a message or 1 KiB of one: the output of one broken deployment in its first second.
const BURST: u64 = 1000;

/// Tokens refilled per second: at most some 200 KiB/s, 17 GiB a day, in the worst case.
const PER_SECOND: u64 = 200;

/// Interval between two reports of drops.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// The budget of all error streams of the process.
#[derive(Debug)]
pub struct ErrorLog {
    shares: Mutex<Shares>,
    /// Spares requests the lock while there is nothing to report.
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
    /// Takes the budget for `message` of a site. Reports whether it may be logged.
    pub(super) fn admits(&self, site: &Arc<str>, message: &Message) -> bool {
        self.admit(|shares, now| shares.admits(site, message, now))
    }

    /// Takes the budget for a line with the drops of one request. Reports whether it may be logged.
    pub(super) fn admits_count(&self, site: &Arc<str>, dropped: Dropped) -> bool {
        self.admit(|shares, now| shares.admits_count(site, dropped, now))
    }

    /// Logs the drops, when the interval is over; called at the end of each request.
    pub(super) fn log_dropped(&self) {
        if self.has_dropped.load(Ordering::Relaxed) {
            self.log_dropped_since(LOG_INTERVAL);
        }
    }

    /// Logs the drops at once; called at the end.
    pub fn close(&self) {
        self.log_dropped_since(Duration::ZERO);
    }

    fn admit(&self, claim: impl FnOnce(&mut Shares, Instant) -> bool) -> bool {
        let admitted = claim(&mut self.shares(), Instant::now());
        if !admitted {
            self.has_dropped.store(true, Ordering::Relaxed);
        }
        admitted
    }

    fn log_dropped_since(&self, age: Duration) {
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
                "the site's requests wrote more to their error streams than its share of the log: all sites have {BURST} messages at once and {PER_SECOND} a second, one site at most two thirds; the rest was dropped"
            );
        }
    }

    fn shares(&self) -> MutexGuard<'_, Shares> {
        // A poisoned lock guards numbers that are right at every moment.
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
