//! Observer of a journey: the server logs failures, `explain` records everything.

use http::StatusCode;

use super::Context;
use crate::failure::Failure;
use crate::handler::Decision;
use crate::message::Request;
use crate::modifier::Step;
use crate::modifier::readings::Judged;
use crate::route::Rule;

/// Result of evaluating a rule.
#[derive(Debug)]
pub enum Finding<'a> {
    /// The rule is skipped after an ExcludeProxy.
    Excluded,
    /// The rule is for internal rounds only.
    Internal,
    /// The result of its conditions.
    Judged(&'a Judged<'a>),
}

/// Observer of a journey. All methods are optional, and an observer without any costs nothing.
pub trait Trail {
    /// Observes rounds: rules that cannot match are then evaluated too, for the reason.
    const WATCHES: bool = false;

    /// Observes the start of a round.
    fn round(&mut self, _request: &Request) {}

    /// Observes the evaluation of a rule; the number counts from 0.
    fn rule(&mut self, _number: usize, _rule: &Rule<Step>, _finding: &Finding<'_>) {}

    /// Observes the decision of that rule's handler.
    fn decision(&mut self, _decision: &Decision) {}

    /// Observes the failure of the request.
    fn failed(&mut self, _failure: &Failure, _context: &Context) {}

    /// Observes the failure of the error page at a path, after which the error response itself is sent.
    fn page_failed(
        &mut self,
        _path: &[u8],
        _answered: Result<StatusCode, &Failure>,
        _context: &Context,
    ) {
    }
}

/// The empty observer.
impl Trail for () {}
