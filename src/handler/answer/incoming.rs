//! The answer of an upstream: the interface of the protocol that carries it.

use std::fmt::Debug;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::time::Instant;

use super::pieces::Pieces;
use crate::handler::origin::{Maker, Trace};
use crate::message::AnswerHead;

/// The exchange that carries an answer. Dropped before its end it closes the connection, unless it runs on.
pub trait Incoming: Debug + Send + 'static {
    /// The maker of the content, for the log.
    const MAKER: Maker;

    /// The error of a broken exchange.
    type Broken: Debug;

    /// Polls for the next piece of content; `None` at the end. Other output, as an error stream, goes its own
    /// way.
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Broken>>>;

    /// Reports whether the upstream has ended its answer, or the exchange broke.
    fn has_ended(&self) -> bool;

    /// Reports whether it waits for content of the request that its client has not sent yet.
    fn needs_client(&self) -> bool;

    /// Returns the end of the request's total time limit.
    fn deadline(&self) -> Option<Instant>;

    /// Reports whether other requests wait for its worker or connection.
    fn is_waited_for(&self) -> bool;

    /// Lets the upstream finish although the answer is no longer read.
    fn run_on(&mut self);

    /// Ends it, and reads the rest of the client's upload, so that the client reads its answer.
    fn linger(self);

    /// Returns the cause code of a broken exchange.
    fn cause(broken: &Self::Broken) -> &'static str;

    /// Returns the message about a broken exchange; for a time limit with its key, its value and its line.
    fn describe(&self, broken: &Self::Broken) -> String;

    /// Logs a cut answer: a fault of the upstream.
    fn log_fault(&mut self, cause: &'static str, why: &str);

    /// Logs an answer cut because of its client, which is no fault.
    fn log_given_up(&mut self, cause: &'static str, why: &str);

    /// Logs an answer cut at the end of the total time limit, while its client was to take it.
    fn log_overdue(&mut self, cause: &'static str);
}

/// An answer whose head is complete.
#[derive(Debug)]
pub struct StartedAnswer<I> {
    /// The source of the rest.
    pub incoming: I,
    /// The head.
    pub head: AnswerHead,
    /// The content that came with the head.
    pub rest: Pieces,
    /// Its timings, for the log.
    pub trace: Trace,
}
