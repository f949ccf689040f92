//! The time limits of an exchange: of the whole request, of its current wait, and of a client that has promised its
//! content by its rate.

use std::task::{Context, Poll};
use std::time::Duration;

use super::{Answer, Exchange, Stage};
use crate::fastcgi::broken::ExchangeError;
use crate::fastcgi::link::Link;
use crate::fastcgi::pace::{Limit, Total};
use crate::message::UploadDeadline;
use crate::moment;

impl<L: Link> Exchange<L> {
    /// Fails once the total time limit of the request has passed.
    pub(super) fn check_total(&self) -> Result<(), ExchangeError> {
        let total = self.pace.total;
        match total.filter(|total| moment::now() >= total.deadline) {
            Some(total) => Err(self.overdue(total)),
            None => Ok(()),
        }
    }

    /// Returns the error of a request that has reached its total time limit. RFC 9110 §15.5.9: the client is late
    /// while it has not sent all of the request, and the application afterwards (§15.6.5).
    fn overdue(&self, total: Total) -> ExchangeError {
        let which = if self.outgoing.waits_for_client() {
            Limit::TotalUpload
        } else {
            Limit::Total
        };
        ExchangeError::Timeout(which, total.limit)
    }

    /// Polls for the end of the total time limit and for the timeout of the current wait, by one timer.
    pub(super) fn poll_overdue(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Answer, ExchangeError>> {
        if let Some(total) = self.pace.total {
            let Some(timer) = self.link.as_mut().and_then(L::timer) else {
                return Poll::Ready(Err(ExchangeError::Closed));
            };
            if timer.poll_at(total.deadline, cx).is_ready() {
                return Poll::Ready(Err(self.overdue(total)));
            }
        }
        let is_acknowledged = self.answer != Stage::Unacknowledged;
        if let Some(deadline) = self
            .outgoing
            .deadline(moment::now())
            .filter(|_| is_acknowledged)
        {
            return self.poll_impatient(deadline, cx);
        }
        let (limit, duration) = self.limit();
        let Some(timer) = self.link.as_mut().and_then(L::timer) else {
            return Poll::Ready(Err(ExchangeError::Closed));
        };
        self.stall
            .poll_expired(duration, timer, cx)
            .map(|()| Err(ExchangeError::Timeout(limit, duration)))
    }

    /// Waits for content that its client has promised by its rate. Once it is late, the exchange ends as soon
    /// as others wait for the worker; it polls for that, as no event reports when they begin to wait.
    fn poll_impatient(
        &mut self,
        deadline: UploadDeadline,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Answer, ExchangeError>> {
        let duration = self.pace.client;
        let Some(link) = self.link.as_mut() else {
            return Poll::Ready(Err(ExchangeError::Closed));
        };
        if deadline.is_late(moment::now()) && link.is_waited_for() {
            return Poll::Ready(Err(ExchangeError::Upload(deadline.error())));
        }
        let Some(timer) = link.timer() else {
            return Poll::Ready(Err(ExchangeError::Closed));
        };
        if self.stall.poll_expired(duration, timer, cx).is_ready() {
            return Poll::Ready(Err(ExchangeError::Timeout(Limit::Client, duration)));
        }
        if timer
            .poll_at(deadline.next_check(moment::now()), cx)
            .is_ready()
        {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Returns the time limit of the current wait.
    fn limit(&self) -> (Limit, Duration) {
        let pace = &self.pace;
        match self.answer {
            Stage::Unacknowledged => (Limit::Acknowledge, pace.acknowledge),
            Stage::Waiting | Stage::Arriving if self.outgoing.waits_for_client() => {
                (Limit::Client, pace.client)
            }
            Stage::Waiting => (Limit::FirstByte, pace.first_byte),
            Stage::Arriving | Stage::Ended => (Limit::Idle, pace.idle),
        }
    }
}
