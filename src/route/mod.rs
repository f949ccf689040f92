//! Rules: under which conditions a request is whose business. A rule knows its conditions and
//! carries what follows from them, whatever that is.

pub mod condition;
pub mod template;

use std::ops::Range;
use std::sync::Arc;

use crate::message::{Request, Scheme};
use condition::Condition;
use template::{Values, Variable};

/// Conditions and what follows when all of them hold.
#[derive(Debug)]
pub struct Rule<T> {
    conditions: Vec<Condition>,
    /// The rule matches only when none of these holds.
    exceptions: Vec<Condition>,
    /// What follows.
    pub then: T,
}

/// What the conditions of a rule took out of the path: the groups of its pattern and what
/// followed its prefix, as places in `Target::path`.
#[derive(Debug, Default)]
pub struct Captures {
    groups: Vec<Option<Range<usize>>>,
    names: Option<Arc<[Option<String>]>>,
    rest: usize,
}

impl<T> Rule<T> {
    /// A rule of conditions, exceptions and a consequence; without conditions it always matches.
    pub fn new(conditions: Vec<Condition>, exceptions: Vec<Condition>, then: T) -> Self {
        Self {
            conditions,
            exceptions,
            then,
        }
    }

    /// Whether every condition holds and no exception does; the captures are the last pattern's.
    pub fn matches(&self, request: &Request) -> Option<Captures> {
        let mut captures = Captures::default();
        let holds = self
            .conditions
            .iter()
            .all(|condition| condition.holds(request, &mut captures));
        let excepted = || {
            self.exceptions
                .iter()
                .any(|condition| condition.holds(request, &mut Captures::default()))
        };
        (holds && !excepted()).then_some(captures)
    }
}

/// What a template may name: the captures of the rule that matched, and the request.
#[derive(Debug)]
pub struct Scope<'a> {
    /// The request.
    pub request: &'a Request,
    /// What the rule captured.
    pub captures: &'a Captures,
}

impl Values for Scope<'_> {
    fn capture(&self, index: usize) -> Option<&[u8]> {
        let range = self.captures.groups.get(index)?.clone()?;
        self.request.target.path().get(range)
    }

    fn named(&self, name: &str) -> Option<&[u8]> {
        let index = self
            .captures
            .names
            .as_ref()?
            .iter()
            .position(|known| known.as_deref() == Some(name))?;
        self.capture(index)
    }

    fn variable(&self, variable: Variable) -> &[u8] {
        let target = &self.request.target;
        match variable {
            Variable::Path => target.path(),
            Variable::Rest => target.path().get(self.captures.rest..).unwrap_or_default(),
            Variable::Query => target.query().unwrap_or_default().as_bytes(),
            Variable::Host => self.request.host.name().as_bytes(),
            Variable::Scheme => match self.request.wire.scheme {
                Scheme::Http => b"http",
                Scheme::Https => b"https",
            },
            Variable::Uri => target.raw().as_bytes(),
            Variable::Method => self.request.method.as_str().as_bytes(),
        }
    }
}
