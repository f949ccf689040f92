//! How long a client may keep a worker waiting that streams its content because it was fast.

use std::time::Duration;

use tokio::time::Instant;

use super::UploadError;

/// How often a late client's worker is looked after: whether others wait for it.
const LOOK: Duration = Duration::from_millis(50);

/// By the rate of its client all content had to come in so much time.
#[derive(Debug)]
pub(super) struct Promise {
    within: Duration,
    /// Since when the client is waited for, and how long that was before.
    waiting: Option<Instant>,
    waited: Duration,
}

/// How long a client that streams its content may still be waited for if others wait for the worker.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    within: Duration,
    late_at: Instant,
}

impl Patience {
    /// Reports whether the client has used it up.
    pub fn is_late(&self, now: Instant) -> bool {
        self.late_at <= now
    }

    /// Returns when to look again.
    pub fn next_look(&self, now: Instant) -> Instant {
        self.late_at.max(now + LOOK)
    }

    /// Returns what is wrong with a client that has used it up.
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

    /// The client is waited for from now on. Time that PHP takes is not the client's.
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
