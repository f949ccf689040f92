//! For log lines that strangers can cause: one in a while, with the number of those that were not
//! written.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Between two lines.
const WHILE: Duration = Duration::from_secs(10);

/// When the last line was written, and how many were not written since.
#[derive(Debug, Default)]
pub(super) struct LogThrottle(Mutex<(Option<Instant>, u64)>);

impl LogThrottle {
    /// Whether it is time for a line, and how many were left out before it.
    pub(super) fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let (last, left_out) = &mut *state;
        if last.is_some_and(|last| now < last + WHILE) {
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
    fn one_line_in_a_while() {
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
