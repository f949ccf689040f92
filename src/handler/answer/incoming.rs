//! An answer on its way from an upstream: what is asked of the protocol that brings it.

use std::fmt::{Debug, Display};
use std::task::{Context, Poll};

use bytes::Bytes;

use super::pieces::Pieces;
use crate::handler::origin::{Maker, Trace};
use crate::message::AnswerHead;

/// The exchange that brings an answer. Dropped before its end it closes the connection, unless it runs on.
pub trait Incoming: Debug + Send + 'static {
    /// The maker of what it brings.
    const MAKER: Maker;

    /// Why it broke.
    type Broken: Debug + Display;

    /// Polls for the next piece of content; `None` at the end. What is no content, as an error stream, goes its own way.
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Broken>>>;

    /// Reports whether the upstream has ended its answer, or the exchange broke.
    fn has_ended(&self) -> bool;

    /// Reports whether it waits for content of the request that its client has not sent yet.
    fn needs_client(&self) -> bool;

    /// Reports whether other requests wait for what it holds of the upstream.
    fn is_waited_for(&self) -> bool;

    /// Lets the upstream finish though nobody reads its answer any more.
    fn run_on(&mut self);

    /// Ends it; what the client still sends is taken, so that it reads its answer.
    fn linger(self);

    /// Returns the cause code of an answer that breaks off for this reason.
    fn cause(broken: &Self::Broken) -> &'static str;

    /// Logs that the answer breaks off: a fault of the upstream.
    fn log_fault(&mut self, cause: &'static str, why: &str);

    /// Logs that the answer is given up for what its client does, which is no fault.
    fn log_given_up(&mut self, cause: &'static str, why: &str);
}

/// An answer whose head is there.
#[derive(Debug)]
pub struct Begun<I> {
    /// What brings the rest.
    pub incoming: I,
    /// The head.
    pub head: AnswerHead,
    /// What of the content came with the head.
    pub rest: Pieces,
    /// How it came about.
    pub trace: Trace,
}
