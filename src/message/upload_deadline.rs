//! The time limit of a client whose content is streamed to a worker because it was fast.

use std::time::Duration;

use tokio::time::Instant;

use super::UploadError;

/// Interval of checking whether requests wait for the worker of a late client.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Clock of all waits of a worker for a client, with their limit.
#[derive(Debug)]
pub(super) struct WaitClock {
    within: Duration,
    /// Start of the current wait for the client.
    waiting: Option<Instant>,
    /// Duration of earlier waits.
    waited: Duration,
}

/// Deadline of a client that streams its content, in force while other requests wait for the worker.
#[derive(Clone, Copy, Debug)]
pub struct UploadDeadline {
    within: Duration,
    late_at: Instant,
}

impl UploadDeadline {
    /// Reports whether the deadline has passed.
    pub fn is_late(&self, now: Instant) -> bool {
        self.late_at <= now
    }

    /// Returns the time of the next check.
    pub fn next_check(&self, now: Instant) -> Instant {
        self.late_at.max(now + CHECK_INTERVAL)
    }

    /// Returns the error of a client that missed the deadline.
    pub fn error(&self) -> UploadError {
        let within = self.within;
        UploadError::Late { within }
    }
}

impl WaitClock {
    pub(super) fn new(within: Duration) -> Self {
        Self {
            within,
            waiting: None,
            waited: Duration::ZERO,
        }
    }

    /// Starts a wait for the client, unless one is running. Time that PHP takes does not count.
    pub(super) fn start(&mut self, now: Instant) {
        self.waiting.get_or_insert(now);
    }

    /// Ends the current wait and adds it to the earlier ones.
    pub(super) fn stop(&mut self, now: Instant) {
        if let Some(since) = self.waiting.take() {
            self.waited += now.duration_since(since);
        }
    }

    /// Returns the deadline, which moves on while no worker waits.
    pub(super) fn deadline(&self, now: Instant) -> UploadDeadline {
        let within = self.within;
        let since = self.waiting.unwrap_or(now);
        UploadDeadline {
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
        let mut clock = WaitClock::new(Duration::from_millis(100));
        clock.start(at(0));
        clock.stop(at(60));
        // PHP reads.
        assert!(!clock.deadline(at(560)).is_late(at(560)));
        clock.start(at(560));
        clock.start(at(590));
        let deadline = clock.deadline(at(590));
        for (millis, late, next) in [(590, false, 640), (599, false, 649), (600, true, 650)] {
            assert_eq!(deadline.is_late(at(millis)), late, "{millis}");
            assert_eq!(deadline.next_check(at(millis)), at(next), "{millis}");
        }
    }
}
