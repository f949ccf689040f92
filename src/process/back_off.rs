//! The back-off of restarts: pure, time is an argument.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause of a program.
const LONGEST: Duration = Duration::from_secs(30);

/// The run time of a program that counts as a successful start.
const WELL: Duration = Duration::from_secs(10);

/// The longest pause of a server: all sites wait for it.
const LONGEST_OF_SERVER: Duration = Duration::from_secs(5);

/// The run time of a server that counts as a successful start: one that a request crashes now and then comes back at once.
const WELL_OF_SERVER: Duration = Duration::from_secs(1);

/// The quick ends in a row after which the log line is an error: the fault is permanent.
const LOOP: u32 = 5;

/// The number of quick ends of a program, or of a server, in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackOff {
    quick_ends: u32,
}

impl BackOff {
    /// Records the end of a program after `ran`, and returns the pause before the next start.
    pub fn record_exit(&mut self, ran: Duration) -> Duration {
        self.record(ran, WELL, LONGEST)
    }

    /// The same for a server.
    pub fn record_end_of_server(&mut self, ran: Duration) -> Duration {
        self.record(ran, WELL_OF_SERVER, LONGEST_OF_SERVER)
    }

    fn record(&mut self, ran: Duration, well: Duration, longest: Duration) -> Duration {
        if ran >= well {
            self.quick_ends = 0;
            return FIRST;
        }
        let pause = FIRST.saturating_mul(1_u32.checked_shl(self.quick_ends).unwrap_or(u32::MAX));
        self.quick_ends = self.quick_ends.saturating_add(1);
        pause.min(longest)
    }

    /// Reports whether it is in a restart loop.
    pub fn is_loop(self) -> bool {
        self.quick_ends >= LOOP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_quick_end_doubles_the_pause_up_to_the_longest() {
        let mut back_off = BackOff::default();
        let pauses: Vec<_> = (0..10)
            .map(|_| back_off.record_exit(Duration::ZERO).as_millis())
            .collect();
        let expected = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000];
        assert_eq!(pauses, expected);
        for _ in 0..100 {
            assert_eq!(back_off.record_exit(Duration::ZERO), LONGEST);
        }
    }

    #[test]
    fn a_server_that_ran_for_a_second_starts_again_at_once_others_after_five_seconds_at_most() {
        let mut back_off = BackOff::default();
        for _ in 0..10 {
            assert_eq!(back_off.record_end_of_server(WELL_OF_SERVER), FIRST);
        }
        let pauses = (0..10).map(|_| back_off.record_end_of_server(Duration::ZERO));
        assert_eq!(pauses.max(), Some(LONGEST_OF_SERVER));
    }

    #[test]
    fn five_quick_ends_are_a_loop_and_a_good_run_ends_it() {
        let mut back_off = BackOff::default();
        for _ in 0..LOOP {
            assert!(!back_off.is_loop());
            back_off.record_exit(WELL - Duration::from_millis(1));
        }
        assert!(back_off.is_loop());
        assert_eq!(back_off.record_exit(WELL), FIRST);
        assert!(!back_off.is_loop());
    }
}
