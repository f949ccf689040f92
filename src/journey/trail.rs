//! An observer of a journey: the server logs failures, `explain` records everything.

use http::StatusCode;

use super::Context;
use crate::failure::Failure;
use crate::handler::Decision;
use crate::message::Request;
use crate::modifier::Step;
use crate::modifier::readings::Judged;
use crate::route::Rule;

/// The result of looking at a rule.
#[derive(Debug)]
pub enum Finding<'a> {
    /// An earlier ExcludeProxy keeps the request from it.
    Excluded,
    /// It is for internal rounds only.
    Internal,
    /// Its conditions were evaluated.
    Judged(&'a Judged<'a>),
}

/// Hears what a journey does. All of it is optional, and an observer that watches nothing costs nothing.
pub trait Trail {
    /// Reports whether rounds are observed: rules that cannot hold are then evaluated too, to say why.
    const WATCHES: bool = false;

    /// A round begins.
    fn round(&mut self, _request: &Request) {}

    /// A rule was evaluated; the number counts from 0.
    fn rule(&mut self, _number: usize, _rule: &Rule<Step>, _finding: &Finding<'_>) {}

    /// The handler of that rule has decided.
    fn decision(&mut self, _decision: &Decision) {}

    /// The request fails.
    fn failed(&mut self, _failure: &Failure, _context: &Context) {}

    /// The error page at a path failed, and the answer that it was for is sent as it was.
    fn page_failed(&mut self, _path: &[u8], _answered: Result<StatusCode, &Failure>) {}
}

/// Observes nothing.
impl Trail for () {}
