//! A lazy timer: it is created at the first wait and moved only when it fires, so that a deadline
//! that is postponed again and again touches the timer wheel once. It can therefore be reused for
//! the next wait, and serve several limits at a time.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::moment;
use crate::threads::Home;

/// A lazy timer.
#[derive(Debug, Default)]
pub struct Timer(Option<Pin<Box<Sleep>>>);

thread_local! {
    /// Unused timers for the next waits on this thread. A timer belongs to a runtime.
    static SPARE: RefCell<Vec<Timer>> = const { RefCell::new(Vec::new()) };
}

/// An idle timeout, which every progress restarts.
#[derive(Debug, Default)]
pub struct Stall {
    since: Option<Instant>,
}

/// The most unused timers of a thread. Each retains the task that it would have woken last, a few KiB.
const MOST_SPARE: usize = 32;

impl Timer {
    /// Returns an unused timer, or a new one.
    pub fn take() -> Self {
        SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
    }

    /// Keeps the timer for the next wait, where that will be in the same runtime.
    pub fn put(self) {
        SPARE.with_borrow_mut(|spare| {
            if Home::is_lasting() && spare.len() < MOST_SPARE {
                spare.push(self);
            }
        });
    }

    /// Returns ready at `deadline`, which may differ from call to call.
    pub fn poll_at(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

impl Stall {
    /// Restarts the timeout.
    pub fn progress(&mut self) {
        self.since = None;
    }

    /// Returns ready after `limit` without progress; zero is no limit.
    pub fn poll_expired(
        &mut self,
        limit: Duration,
        timer: &mut Timer,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if limit.is_zero() {
            return Poll::Pending;
        }
        let deadline = *self.since.get_or_insert_with(moment::now) + limit;
        timer.poll_at(deadline, cx)
    }
}
