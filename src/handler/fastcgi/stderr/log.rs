//! What the error streams of all requests share: one bound on what they log together. A reload
//! carries it over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::budget::{Bucket, Dropped};
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
    bucket: Mutex<Bucket>,
    /// Spares requests that have nothing to tell the lock.
    has_dropped: AtomicBool,
}

impl Default for ErrorLog {
    fn default() -> Self {
        Self {
            bucket: Mutex::new(Bucket::new(BURST, PER_SECOND)),
            has_dropped: AtomicBool::new(false),
        }
    }
}

impl ErrorLog {
    pub(super) fn admits(&self, message: &Message) -> bool {
        self.ask(|bucket, now| bucket.admits(message, now))
    }

    pub(super) fn admits_count(&self, dropped: Dropped) -> bool {
        self.ask(|bucket, now| bucket.admits_count(dropped, now))
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

    fn ask(&self, question: impl FnOnce(&mut Bucket, Instant) -> bool) -> bool {
        let admitted = question(&mut self.bucket(), Instant::now());
        if !admitted {
            self.has_dropped.store(true, Ordering::Relaxed);
        }
        admitted
    }

    fn tell_since(&self, age: Duration) {
        let dropped = {
            let mut bucket = self.bucket();
            let dropped = bucket.dropped(age, Instant::now());
            self.has_dropped
                .store(bucket.has_dropped(), Ordering::Relaxed);
            dropped
        };
        if let Some(Dropped {
            messages, bytes, ..
        }) = dropped
        {
            tracing::warn!(
                dropped = messages,
                bytes,
                "all requests together wrote more to their error streams than is logged: {BURST} messages at once and {PER_SECOND} a second; the rest was dropped"
            );
        }
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        // A poisoned lock guards numbers that are right at every moment.
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
