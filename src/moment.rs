//! What time it is, read once for all that happens at one poll of a connection: a request asks for it a
//! dozen times within some microseconds, and each reading costs forty nanoseconds.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The time of a request: when it came, which is all the time that its rules and filters know.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the clock that only goes forth.
    pub instant: Instant,
    /// By the clock on the wall.
    pub wall: SystemTime,
}

impl Moment {
    /// Returns the time, which is that of the rest of this poll.
    pub fn fresh() -> Self {
        Self {
            instant: fresh(),
            wall: SystemTime::now(),
        }
    }
}

thread_local! {
    static NOW: Cell<Now> = const { Cell::new(Now::Asked) };
}

#[derive(Clone, Copy)]
enum Now {
    /// No poll is on: the clock is asked each time.
    Asked,
    /// Nobody has asked since the poll began.
    Unread,
    Read(Instant),
}

/// The time of this poll: when it was first asked for; outside of a [`turn`] the time.
pub fn now() -> Instant {
    match NOW.get() {
        Now::Asked => Instant::now(),
        Now::Unread => fresh(),
        Now::Read(now) => now,
    }
}

/// The time, which is that of the rest of this poll: for what begins here.
pub fn fresh() -> Instant {
    let now = Instant::now();
    if !matches!(NOW.get(), Now::Asked) {
        NOW.set(Now::Read(now));
    }
    now
}

/// How long ago the time of this poll was; nothing outside of a [`turn`].
pub fn elapsed() -> Duration {
    match NOW.get() {
        Now::Asked => Duration::ZERO,
        Now::Unread | Now::Read(_) => now().elapsed(),
    }
}

/// Has one time for all of `poll`, which waits for nothing.
pub fn turn<T>(poll: impl FnOnce() -> T) -> T {
    let _turn = Turn::begin();
    poll()
}

/// Ends the poll, by a panic too.
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
            let begun = fresh();
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
