//! The watchdog of the service manager (WatchdogSec=, systemd.service(5)): fed as long as every serving thread turns its loop.

use std::time::Duration;

/// Watchdog that expects a message (sd_watchdog_enabled(3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    interval: Duration,
}

impl Watchdog {
    /// Returns the watchdog of this process; `None` without one. Children must not have its variables.
    pub fn from_environment() -> Option<Self> {
        sd_notify::watchdog_enabled().map(Self::with_limit)
    }

    fn with_limit(limit: Duration) -> Self {
        Self {
            interval: (limit / 2).max(SHORTEST),
        }
    }

    /// Returns the interval of the messages: half of the limit, as sd_watchdog_enabled(3) recommends.
    pub fn interval(self) -> Duration {
        self.interval
    }
}

/// Shortest interval: twice that in which a serving thread counts a turn.
const SHORTEST: Duration = Duration::from_millis(200);

/// Progress of the serving threads between two looks.
#[derive(Clone, Debug, Default)]
pub struct Turned {
    before: Vec<u64>,
}

impl Turned {
    /// Reports whether every thread has turned its loop since the last call; `counts` are their turns so far. False without
    /// threads: then nothing serves.
    pub fn all(&mut self, counts: impl IntoIterator<Item = u64>) -> bool {
        let counts: Vec<_> = counts.into_iter().collect();
        let before = self.before.iter().copied().chain(std::iter::repeat(0));
        let have_turned = counts
            .iter()
            .zip(before)
            .all(|(now, before)| *now != before);
        self.before = counts;
        have_turned && !self.before.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_that_stands_still_is_enough() {
        let mut turned = Turned::default();
        for (counts, expected) in [
            (vec![], false),
            (vec![1, 0], false),
            (vec![2, 1], true),
            (vec![3, 1], false),
            (vec![3, 1], false),
            (vec![4, 2], true),
        ] {
            assert_eq!(turned.all(counts.clone()), expected, "{counts:?}");
        }
    }

    #[test]
    fn messages_come_twice_within_the_limit() {
        for (limit, interval) in [(30_000, 15_000), (1000, 500), (1, 200)] {
            let watchdog = Watchdog::with_limit(Duration::from_millis(limit));
            assert_eq!(watchdog.interval(), Duration::from_millis(interval));
        }
    }
}
