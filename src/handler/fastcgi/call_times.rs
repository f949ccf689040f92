//! The time limits of a call, with the times at which they began.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Fastcgi;
use crate::failure::{Failure, describe_limit};
use crate::fastcgi::{Limit, Pace, Total};
use crate::moment;
use crate::value::TimeLimit;

/// Time limits of a call.
#[derive(Clone, Debug)]
pub struct CallTimeouts {
    /// Until a worker takes the request.
    pub queue: TimeLimit,
    /// Until the answer begins.
    pub first_byte: TimeLimit,
    /// Between two pieces of the answer.
    pub idle: TimeLimit,
    /// Until the answer is sent.
    pub total: TimeLimit,
}

impl CallTimeouts {
    /// Returns all limits, mutable.
    pub fn all(&mut self) -> [&mut TimeLimit; 4] {
        [
            &mut self.queue,
            &mut self.first_byte,
            &mut self.idle,
            &mut self.total,
        ]
    }

    /// Returns the limit of this kind; `None` for that of the client, which is no limit of a call.
    pub(super) fn limit(&self, which: Limit) -> Option<&TimeLimit> {
        match which {
            Limit::Acknowledge => Some(&self.queue),
            Limit::FirstByte => Some(&self.first_byte),
            Limit::Idle => Some(&self.idle),
            Limit::Total | Limit::TotalUpload => Some(&self.total),
            Limit::Client => None,
        }
    }

    /// Returns the sentence about a limit that has passed: its key, its value and its line.
    pub(super) fn describe(&self, which: Limit) -> Option<String> {
        let limit = self.limit(which)?;
        Some(format!("{}: {limit}", describe_limit(which)))
    }
}

/// The time limits of one call, and the times at which they began.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallTimes<'a> {
    pub(super) limits: &'a Arc<CallTimeouts>,
    /// The time at which the gateway received the request.
    pub(super) received: Instant,
    /// Start of `timeouts.queue`.
    pub(super) arrived: Instant,
    /// End of `timeouts.total`, which began when the gateway received the request.
    deadline: Option<Instant>,
}

impl<'a> CallTimes<'a> {
    /// Starts the limits of a call whose request was received at `received`.
    pub(super) fn begin(limits: &'a Arc<CallTimeouts>, received: Instant) -> Self {
        let total = limits.total.duration;
        Self {
            limits,
            received,
            arrived: moment::now(),
            deadline: (!total.is_zero()).then(|| received + total),
        }
    }

    /// Reports whether neither the queue limit nor the total limit has passed.
    pub(super) fn is_in_time(&self) -> bool {
        let queue = self.limits.queue.duration;
        !self.is_overdue() && (queue.is_zero() || self.arrived.elapsed() < queue)
    }

    /// Reports whether the total limit has passed.
    pub(super) fn is_overdue(&self) -> bool {
        self.deadline.is_some_and(|end| Instant::now() >= end)
    }

    /// Waits until the total limit has passed; without one, for ever.
    pub(super) async fn wait_until_overdue(&self) {
        match self.deadline {
            Some(end) => sleep_until(end).await,
            None => std::future::pending().await,
        }
    }

    /// Returns the longest wait for a connection, with the limit that it comes from.
    pub(super) fn longest_wait(&self) -> (Duration, Limit, &'a TimeLimit) {
        let CallTimeouts { queue, total, .. } = &**self.limits;
        let left = self
            .deadline
            .map(|end| end.saturating_duration_since(self.arrived).max(LEAST));
        match left.filter(|left| queue.duration.is_zero() || *left < queue.duration) {
            Some(left) => (left, Limit::Total, total),
            None => (queue.duration, Limit::Acknowledge, queue),
        }
    }

    /// Returns the limits of an exchange that begins now; `client` is the longest pause of the client.
    pub(super) fn pace(&self, client: Duration) -> Pace {
        let queue = self.limits.queue.duration;
        let left = queue.saturating_sub(moment::now().duration_since(self.arrived));
        Pace {
            acknowledge: if queue.is_zero() {
                Duration::ZERO
            } else {
                left.max(LEAST)
            },
            first_byte: self.limits.first_byte.duration,
            idle: self.limits.idle.duration,
            client,
            total: self.deadline.map(|deadline| Total {
                deadline,
                limit: self.limits.total.duration,
            }),
        }
    }
}

impl Fastcgi {
    /// Returns the failure of a call that has reached `limit`; `retry_after` in seconds, if known.
    pub(super) fn timed_out(
        &self,
        which: Limit,
        limit: &TimeLimit,
        retry_after: Option<u64>,
    ) -> Failure {
        Failure::Timeout {
            upstream: self.upstream.name.clone(),
            limit: limit.clone(),
            which,
            retry_after,
        }
    }
}

/// The shortest limit: zero would be none.
const LEAST: Duration = Duration::from_millis(1);
