//! How long the two sides of an exchange may take, and the one timer that watches over it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// How long an application may take. Zero means without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Until the acknowledgement of the probe.
    pub acknowledge: Duration,
    /// From then until the first byte of the answer.
    pub first_byte: Duration,
    /// Between two pieces of the answer.
    pub idle: Duration,
    /// Between two pieces of the client's content.
    pub client: Duration,
}

/// Which of the limits of [`Pace`] was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `timeouts.queue`: the request waited in the application's own queue.
    Acknowledge,
    /// `timeouts.first_byte`.
    FirstByte,
    /// `timeouts.idle`.
    Idle,
    /// `limits.body_pause`: the client stopped sending its content.
    Client,
}

/// One deadline for the exchange, armed only while it waits and moved only when it fires: most
/// exchanges never touch the timer wheel more than once.
#[derive(Debug)]
pub(super) struct Clock {
    pub(super) pace: Pace,
    since: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    pub(super) fn new(pace: Pace) -> Self {
        Self {
            pace,
            since: None,
            sleep: None,
        }
    }

    /// Something happened: the wait begins anew, lazily.
    pub(super) fn progress(&mut self) {
        self.since = None;
    }

    /// Ready when `duration` has passed since the wait began; zero is no limit.
    pub(super) fn poll_expired(&mut self, duration: Duration, cx: &mut Context<'_>) -> Poll<()> {
        if duration.is_zero() {
            return Poll::Pending;
        }
        let deadline = *self.since.get_or_insert_with(Instant::now) + duration;
        let sleep = self
            .sleep
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
