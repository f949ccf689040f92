//! Rate limit for log lines that clients can trigger.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Default of the least time between two lines.
const INTERVAL: Duration = Duration::from_secs(10);

/// Rate limit with the time of the last line and the number of suppressed ones.
#[derive(Debug)]
pub struct LogThrottle {
    interval: Duration,
    state: Mutex<(Option<Instant>, u64)>,
}

impl Default for LogThrottle {
    fn default() -> Self {
        Self::every(INTERVAL)
    }
}

impl LogThrottle {
    /// Builds a limit of one line in each `interval`.
    pub fn every(interval: Duration) -> Self {
        Self {
            interval,
            state: Mutex::default(),
        }
    }

    /// Admits a line at `now`; returns the number of lines suppressed before it, or `None` to suppress this one too.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let (last, left_out) = &mut *state;
        if last.is_some_and(|last| now < last + self.interval) {
            *left_out += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_admitted_in_each_interval() {
        let throttle = LogThrottle::default();
        let begun = Instant::now();
        for (seconds, expected) in [
            (0, Some(0)),
            (1, None),
            (9, None),
            (10, Some(2)),
            (11, None),
            (30, Some(1)),
        ] {
            let now = begun + Duration::from_secs(seconds);
            assert_eq!(throttle.admit(now), expected, "{seconds}");
        }
    }
}
