//! The processing of a request from its head to its last filter, as a state machine without I/O, async or a clock of
//! its own. A driver feeds it events ([`Journey::arrive`], [`Event`]) and performs its actions ([`Next`]): the server
//! for real, `explain` as a dry run.
//!
//! ```text
//! arrival ─► search: round over the rules ─► Perform (the driver makes the answer) ─► conclude
//!    │          ▲    │ again: another round                                              │
//!    │          │    └ ask: the driver finds a fact, and the round starts anew           │
//!    │          └────────────────── an error page by path ◄── failed ◄───────────────────┤
//!    └─ refused, redirected ──────────────────────────────► conclude ─► finish: filters ─► Send, Encode
//! ```
//!
//! A round is a function of the site, the request, the known facts and the disk. Nothing is suspended inside it: if a
//! fact is missing, the round is evaluated again from its start once the driver has found it.

mod arrival;
mod context;
mod failed;
mod finish;
mod search;
mod trail;

use http::Response;

pub use arrival::Arrived;
pub use context::Context;
pub use trail::{Finding, Trail};

use crate::failure::Failure;
use crate::filter::compress::Encoding;
use crate::handler::{Body, Plan};
use crate::message::edits::RuleEdits;
use crate::message::{Disk, Request};
use crate::modifier::fact::{Ask, Fact};
use failed::ErrorPage;

/// An event for a journey that has arrived.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "an allocation for each response costs more than its moves"
)]
pub enum Event {
    /// The driver has found a fact.
    Known(Fact),
    /// The driver has performed a plan.
    Performed(Result<Response<Body>, Failure>),
}

/// The next action of the driver.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "an allocation for each response costs more than its moves"
)]
pub enum Next {
    /// Finding a fact; then [`Event::Known`].
    Ask(Ask),
    /// Performing a plan for the request; then [`Event::Performed`].
    Perform(Plan, Box<Request>),
    /// Sending a response, which has passed all filters.
    Send(Response<Body>),
    /// Sending a response in a content coding; it has passed all other filters.
    Encode(Box<Encoding>),
}

/// Maximum depth of nested subrequests.
const MAX_DEPTH: usize = 10;

/// The processing of one request.
#[derive(Debug)]
pub struct Journey {
    /// State of the request.
    pub context: Context,
    /// Rounds begun by the search.
    rounds: usize,
    /// The fact that a round lacks, and the request of the round.
    asked: Option<(Ask, Box<Request>)>,
    /// The error response in whose place an error page is requested.
    page: Option<Box<ErrorPage>>,
    /// The path of a subrequest; `None` for a request of a client.
    asked_for: Option<Box<[u8]>>,
    /// Depth as a subrequest; 0 for a request of a client.
    depth: usize,
}

impl Journey {
    /// Builds a journey from the context of a request.
    pub fn new(context: Context) -> Self {
        Self {
            context,
            rounds: 0,
            asked: None,
            page: None,
            asked_for: None,
            depth: 0,
        }
    }

    /// Handles an event, and advances up to the next action of the driver.
    pub fn handle_event<T: Trail>(&mut self, event: Event, disk: &dyn Disk, trail: &mut T) -> Next {
        match event {
            Event::Known(fact) => self.add_fact(fact, disk, trail),
            Event::Performed(answered) => self.conclude(answered, disk, trail),
        }
    }

    /// Begins the subrequest of the missing fact: a copy of the request, with the fields of the question and without
    /// the content and the edits of rules. Its response is that of the rules, without error pages and filters.
    pub fn begin_subrequest<T: Trail>(
        &self,
        disk: &dyn Disk,
        trail: &mut T,
    ) -> Option<(Self, Next)> {
        let (Ask::Subrequest(asked), request) = self.asked.as_ref()? else {
            return None;
        };
        let mut request = request.for_subrequest(asked.target.clone(), asked.fields.clone());
        request.add_edits(RuleEdits {
            has_auth: asked.has_auth,
            timeouts: asked.timeouts.clone(),
            ..RuleEdits::of_no_rule()
        });
        let mut journey = Self {
            depth: self.depth + 1,
            asked_for: Some(asked.target.path().into()),
            ..Self::new(self.context.for_subrequest(asked.rule))
        };
        let next = if journey.depth > MAX_DEPTH {
            journey.conclude(Err(Failure::TooManyRounds(MAX_DEPTH)), disk, trail)
        } else {
            journey.search(Box::new(request), disk, trail)
        };
        Some((journey, next))
    }

    fn add_fact<T: Trail>(&mut self, fact: Fact, disk: &dyn Disk, trail: &mut T) -> Next {
        let Some((ask, request)) = self.asked.take() else {
            let failure = Failure::Internal("a fact that no round has asked for");
            return self.conclude(Err(failure), disk, trail);
        };
        self.context.facts.insert(ask, fact);
        self.rounds -= 1;
        self.search(request, disk, trail)
    }

    fn conclude<T: Trail>(
        &mut self,
        answered: Result<Response<Body>, Failure>,
        disk: &dyn Disk,
        trail: &mut T,
    ) -> Next {
        if let Some(page) = self.page.take() {
            let response = page.in_place(answered, &mut self.context, trail);
            return self.finish(response);
        }
        let is_own = answered.is_err();
        let response = answered.unwrap_or_else(|failure| {
            trail.failed(&failure, &self.context);
            failed::error_response(&failure, &mut self.context)
        });
        if self.depth > 0 {
            return Next::Send(response);
        }
        if response.status().as_u16() < 400 {
            return self.finish(response);
        }
        self.replace(response, is_own, disk, trail)
    }
}

#[cfg(test)]
mod tests;
