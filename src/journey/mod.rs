//! The way of a request from its head to its last filter, as a state machine without I/O, async or a clock of its own.
//! A driver tells it what has happened ([`Journey::arrive`], [`Event`]) and does what it says ([`Next`]): the server performs, `explain`
//! records.
//!
//! ```text
//! arrival ─► search: round over the rules ─► Perform (the driver makes the answer) ─► answered
//!    │          ▲    │ again: another round                                              │
//!    │          │    └ ask: the driver finds a fact, and the round starts anew           │
//!    │          └────────────────── an error page by path ◄── failed ◄───────────────────┤
//!    └─ refused, redirected ──────────────────────────────► answered ─► finish: filters ─► Send, Encode
//! ```
//!
//! A round is a function of the site, the request, the known facts and the disk. Nothing is suspended inside it: where a
//! fact is missing it is evaluated again from its start when the driver has found it.

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
use crate::message::fact::{Ask, Fact};
use crate::message::{Disk, Request};
use failed::ErrorPage;

/// News for a journey that is on its way.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most events are answers, and another allocation for each costs more than its moves"
)]
pub enum Event {
    /// The driver has found what was asked.
    Known(Fact),
    /// The driver has performed a plan.
    Performed(Result<Response<Body>, Failure>),
}

/// The next thing for the driver to do.
#[derive(Debug)]
pub enum Next {
    /// Find this fact; then [`Event::Known`].
    Ask(Ask),
    /// Perform this plan for the request; then [`Event::Performed`].
    Perform(Plan, Box<Request>),
    /// Send this answer. It has passed all filters.
    Send(Response<Body>),
    /// Send this answer in a content coding. It has passed all others.
    Encode(Box<Encoding>),
}

/// How deep subrequests may lie in each other.
const MAX_DEPTH: usize = 10;

/// One request on its way.
#[derive(Debug)]
pub struct Journey {
    /// What the request knows of itself.
    pub context: Context,
    /// Rounds that the search has begun.
    rounds: usize,
    /// The question of a round, and the request that it was evaluated for.
    asked: Option<(Ask, Box<Request>)>,
    /// The answer in whose place an error page is asked for.
    page: Option<Box<ErrorPage>>,
    /// Requests of which it is a subrequest.
    depth: usize,
}

impl Journey {
    /// Begins for a request of which `context` knows what its connection says.
    pub fn new(context: Context) -> Self {
        Self {
            context,
            rounds: 0,
            asked: None,
            page: None,
            depth: 0,
        }
    }

    /// Goes on with what has happened, as far as values lead.
    pub fn on<T: Trail>(&mut self, event: Event, disk: &dyn Disk, trail: &mut T) -> Next {
        match event {
            Event::Known(fact) => self.learn(fact, disk, trail),
            Event::Performed(answered) => self.answered(answered, disk, trail),
        }
    }

    /// Begins the subrequest that the request asks for: one like itself, without its content and the changes of rules.
    /// Its answer is that of the rules: no error page stands in its place, and no filter changes it.
    pub fn begin_subrequest<T: Trail>(
        &self,
        disk: &dyn Disk,
        trail: &mut T,
    ) -> Option<(Self, Next)> {
        let (Ask::Subrequest(method, target), request) = self.asked.as_ref()? else {
            return None;
        };
        let mut request = request.without_content();
        request.method = method.clone();
        request.target = target.clone();
        let mut journey = Self {
            depth: self.depth + 1,
            ..Self::new(self.context.for_subrequest())
        };
        let next = if journey.depth > MAX_DEPTH {
            journey.answered(Err(Failure::TooManyRounds(MAX_DEPTH)), disk, trail)
        } else {
            journey.search(Box::new(request), disk, trail)
        };
        Some((journey, next))
    }

    fn learn<T: Trail>(&mut self, fact: Fact, disk: &dyn Disk, trail: &mut T) -> Next {
        let Some((ask, request)) = self.asked.take() else {
            let failure = Failure::Internal("a fact that no round has asked for");
            return self.answered(Err(failure), disk, trail);
        };
        self.context.facts.insert(ask, fact);
        self.rounds -= 1;
        self.search(request, disk, trail)
    }

    fn answered<T: Trail>(
        &mut self,
        answered: Result<Response<Body>, Failure>,
        disk: &dyn Disk,
        trail: &mut T,
    ) -> Next {
        if let Some(page) = self.page.take() {
            return self.finish(page.in_place(answered, trail));
        }
        let is_own = answered.is_err();
        let response = answered.unwrap_or_else(|failure| {
            trail.failed(&failure, &self.context);
            failed::answer(&failure, &mut self.context)
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
