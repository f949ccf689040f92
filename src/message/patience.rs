//! The time limit of a client whose content is streamed to a worker because it was fast.

use std::time::Duration;

use tokio::time::Instant;

use super::UploadError;

/// Interval of checking whether requests wait for the worker of a late client.
const LOOK: Duration = Duration::from_millis(50);

/// The time that a worker may wait for a client in all, measured while it waits.
#[derive(Debug)]
pub(super) struct Promise {
    within: Duration,
    /// Start of the current wait for the client.
    waiting: Option<Instant>,
    /// Duration of earlier waits.
    waited: Duration,
}

/// Deadline of a client that streams its content, in force while other requests wait for the worker.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    within: Duration,
    late_at: Instant,
}

impl Patience {
    /// Reports whether the deadline has passed.
    pub fn is_late(&self, now: Instant) -> bool {
        self.late_at <= now
    }

    /// Returns the time of the next check.
    pub fn next_look(&self, now: Instant) -> Instant {
        self.late_at.max(now + LOOK)
    }

    /// Returns the error of a client that missed the deadline.
    pub fn error(&self) -> UploadError {
        let within = self.within;
        UploadError::Late { within }
    }
}

impl Promise {
    pub(super) fn new(within: Duration) -> Self {
        Self {
            within,
            waiting: None,
            waited: Duration::ZERO,
        }
    }

    /// Starts the clock of a wait for the client. Time that PHP takes does not count.
    pub(super) fn wait(&mut self, now: Instant) {
        self.waiting.get_or_insert(now);
    }

    pub(super) fn arrived(&mut self, now: Instant) {
        if let Some(since) = self.waiting.take() {
            self.waited += now.duration_since(since);
        }
    }

    pub(super) fn patience(&self, now: Instant) -> Patience {
        let within = self.within;
        let since = self.waiting.unwrap_or(now);
        Patience {
            within,
            late_at: since + within.saturating_sub(self.waited),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_in_which_the_client_is_waited_for_counts() {
        let begun = crate::moment::now();
        let at = |millis| begun + Duration::from_millis(millis);
        let mut promise = Promise::new(Duration::from_millis(100));
        promise.wait(at(0));
        promise.arrived(at(60));
        // PHP reads.
        assert!(!promise.patience(at(560)).is_late(at(560)));
        promise.wait(at(560));
        promise.wait(at(590));
        let patience = promise.patience(at(590));
        for (millis, late, next) in [(590, false, 640), (599, false, 649), (600, true, 650)] {
            assert_eq!(patience.is_late(at(millis)), late, "{millis}");
            assert_eq!(patience.next_look(at(millis)), at(next), "{millis}");
        }
    }
}
