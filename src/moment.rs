//! A clock that is read once per poll of a connection: a request needs the time a dozen times within some
//! microseconds, and each reading costs forty nanoseconds.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The arrival time of a request, the only time that its rules and filters use.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Monotonic time.
    pub instant: Instant,
    /// Wall-clock time.
    pub wall: SystemTime,
}

impl Moment {
    /// Reads the clock, for the rest of this poll too.
    pub fn read_clock() -> Self {
        Self {
            instant: read_clock(),
            wall: SystemTime::now(),
        }
    }
}

thread_local! {
    static NOW: Cell<Now> = const { Cell::new(Now::Asked) };
}

#[derive(Clone, Copy)]
enum Now {
    /// Outside of a poll: each call reads the clock.
    Asked,
    /// Within a poll whose time has not been read.
    Unread,
    Read(Instant),
}

/// Returns the time of this poll, which is that of its first call; outside of a [`turn`] reads the clock.
pub fn now() -> Instant {
    match NOW.get() {
        Now::Asked => Instant::now(),
        Now::Unread => read_clock(),
        Now::Read(now) => now,
    }
}

/// Reads the clock for the rest of this poll, too: for periods that begin now.
pub fn read_clock() -> Instant {
    let now = Instant::now();
    if !matches!(NOW.get(), Now::Asked) {
        NOW.set(Now::Read(now));
    }
    now
}

/// Returns the time since that of this poll; zero outside of a [`turn`].
pub fn elapsed() -> Duration {
    match NOW.get() {
        Now::Asked => Duration::ZERO,
        Now::Unread | Now::Read(_) => now().elapsed(),
    }
}

/// Runs `poll`, which must not block, with one time for all of it.
pub fn turn<T>(poll: impl FnOnce() -> T) -> T {
    let _turn = Turn::begin();
    poll()
}

/// Guard that ends the poll, after a panic too.
struct Turn;

impl Turn {
    fn begin() -> Self {
        NOW.set(Now::Unread);
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        NOW.set(Now::Asked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait() {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(1) {}
    }

    #[test]
    fn outside_of_a_poll_the_clock_is_asked() {
        let before = now();
        wait();
        assert!(now() > before);
    }

    #[test]
    fn one_poll_has_one_time_unless_something_begins() {
        turn(|| {
            let first = now();
            wait();
            assert_eq!(now(), first);
            let begun = read_clock();
            assert!(begun > first);
            assert_eq!(now(), begun);
        });
        let before = now();
        wait();
        assert!(turn(now) > before && now() > before);
    }

    #[test]
    fn what_a_poll_has_taken_is_known() {
        wait();
        assert_eq!(elapsed(), Duration::ZERO);
        turn(|| {
            now();
            wait();
            assert!(elapsed() >= Duration::from_millis(1));
        });
    }

    #[test]
    fn a_panic_ends_the_poll() {
        let panicked = std::panic::catch_unwind(|| turn(|| std::panic::panic_any(now())));
        assert!(panicked.unwrap_err().is::<Instant>());
        let before = now();
        wait();
        assert!(now() > before);
    }
}
