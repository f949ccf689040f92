//! The output of a script: the content of its answer, and beside it the error stream, which goes to the log.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::time::Instant;

use super::CallTimeouts;
use super::stderr::ErrorStream;
use crate::failure::broken_code;
use crate::fastcgi::{Answer, Broken, Exchange, ExchangeError, Limit};
use crate::handler::answer::Incoming;
use crate::handler::origin::Maker;
use crate::upstream::Lease;

/// The output of a script.
#[derive(Debug)]
pub struct ScriptOutput {
    pub(super) exchange: Exchange<Lease>,
    pub(super) errors: ErrorStream,
    pub(super) timeouts: Arc<CallTimeouts>,
}

impl Incoming for ScriptOutput {
    const MAKER: Maker = Maker::Script;

    type Broken = Broken;

    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            ready!(self.errors.poll(cx));
            match ready!(self.exchange.poll_answer(cx)) {
                Some(Ok(Answer::Stdout(piece))) => return Poll::Ready(Some(Ok(piece))),
                Some(Ok(Answer::Stderr(piece))) => self.errors.take(piece),
                Some(Ok(Answer::End { app_status, .. })) => self.errors.end(app_status),
                Some(Err(broken)) => return Poll::Ready(Some(Err(broken))),
                None => return Poll::Ready(None),
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.exchange.has_ended()
    }

    fn needs_client(&self) -> bool {
        !(self.exchange.is_sent() || self.exchange.is_in_hand())
    }

    fn deadline(&self) -> Option<Instant> {
        self.exchange.deadline()
    }

    fn is_waited_for(&self) -> bool {
        self.exchange.is_waited_for()
    }

    fn run_on(&mut self) {
        self.exchange.run_on();
    }

    fn linger(self) {
        drop(self.exchange.into_upload());
    }

    fn cause(broken: &Broken) -> &'static str {
        broken_code(broken)
    }

    fn describe(&self, broken: &Broken) -> String {
        let limit = match &broken.error {
            ExchangeError::Timeout(which, _) => self.timeouts.describe(*which),
            ExchangeError::Reset(_)
            | ExchangeError::Closed
            | ExchangeError::Protocol(_)
            | ExchangeError::Upload(_) => None,
        };
        limit.unwrap_or_else(|| broken.to_string())
    }

    fn log_fault(&mut self, cause: &'static str, why: &str) {
        self.errors.log_fault(cause, why);
    }

    fn log_given_up(&mut self, cause: &'static str, why: &str) {
        self.errors.log_given_up(cause, why);
    }

    fn log_overdue(&mut self, cause: &'static str) {
        let why = self.timeouts.describe(Limit::Total).unwrap_or_default();
        self.errors.log_given_up(cause, &why);
    }
}
