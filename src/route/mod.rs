//! Rules: conditions on a request, and the consequence (`then`) of their match. The type of the
//! consequence is the caller's.

pub mod condition;
pub mod cookie;
pub mod coverage;
mod methods;
mod rules;
pub mod template;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

pub use rules::Rules;

use http::{HeaderName, Version};

use crate::message::host::server_port;
use crate::message::{Disk, RemoteUser, Request};
use condition::{Condition, Exhausted, Set, Verdict};
use template::{Values, Variable};

/// Conditions, and the consequence if all of them hold.
#[derive(Debug)]
pub struct Rule<T> {
    set: Set,
    /// Source location as `file:line`, for the log; empty for an implied rule.
    place: Arc<str>,
    /// The consequence.
    pub then: T,
}

/// Failed search: the pattern of a rule reached the bound on backtracking, so its match is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the pattern `{pattern}` of the rule at {rule} exceeds the backtracking limit on this request: avoid nested repetitions"
)]
pub struct BacktrackLimitExceeded {
    /// Source location of the rule, as `file:line`.
    pub rule: Arc<str>,
    /// The pattern as written.
    pub pattern: Arc<str>,
}

impl BacktrackLimitExceeded {
    /// Builds the failure of the rule at `place`.
    pub fn of_rule(place: &Arc<str>, exhausted: Exhausted) -> Self {
        Self {
            rule: Arc::clone(place),
            pattern: exhausted.pattern,
        }
    }
}

/// Captures of a rule's conditions in the path: the groups of its pattern and the rest after its
/// prefix, as ranges of `Target::path`.
#[derive(Clone, Debug, Default)]
pub struct Captures {
    groups: Vec<Option<Range<usize>>>,
    names: Option<Arc<[Option<String>]>>,
    rest: usize,
}

impl<T> Rule<T> {
    /// Builds a rule of conditions, exceptions and a consequence; without conditions it always matches.
    pub fn new(conditions: Vec<Condition>, exceptions: Vec<Condition>, then: T) -> Self {
        Self::when(Set::new(conditions, exceptions), then)
    }

    /// Builds a rule of a condition set and a consequence.
    pub fn when(set: Set, then: T) -> Self {
        Self {
            set,
            place: "".into(),
            then,
        }
    }

    /// Sets the source location, `file:line`.
    #[must_use]
    pub fn at(self, place: Arc<str>) -> Self {
        Self { place, ..self }
    }

    /// Returns the source location as `file:line`; empty for an implied rule.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns the captures, of the last pattern, if every condition holds and no exception does.
    pub fn matches(
        &self,
        request: &Request,
        disk: &dyn Disk,
    ) -> Result<Option<Captures>, BacktrackLimitExceeded> {
        let (verdict, captures) = self.judge(request, disk)?;
        Ok(matches!(verdict, Verdict::Holds).then_some(captures))
    }

    /// Returns the conditions, for display.
    pub fn conditions(&self) -> &Set {
        &self.set
    }

    /// Returns the verdict, with the condition that decides it, and the captures.
    pub fn judge(
        &self,
        request: &Request,
        disk: &dyn Disk,
    ) -> Result<(Verdict<'_>, Captures), BacktrackLimitExceeded> {
        let mut captures = Captures::default();
        match self.set.judge(request, disk, &mut captures) {
            Ok(verdict) => Ok((verdict, captures)),
            Err(exhausted) => Err(BacktrackLimitExceeded::of_rule(&self.place, exhausted)),
        }
    }
}

/// Values for templates: the captures of the rule that matched, and the request.
#[derive(Debug)]
pub struct Scope<'a> {
    /// The request.
    pub request: &'a Request,
    /// The rule's captures.
    pub captures: &'a Captures,
    /// The user whom this rule has authenticated; otherwise that of an earlier rule counts.
    pub user: Option<&'a RemoteUser>,
}

impl<'a> Scope<'a> {
    /// Builds the values of a rule for a request.
    pub fn new(request: &'a Request, captures: &'a Captures) -> Self {
        Self {
            request,
            captures,
            user: None,
        }
    }

    /// Returns the authenticated user.
    pub fn user(&self) -> Option<&'a RemoteUser> {
        self.user.or_else(|| self.request.user())
    }
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

    fn variable(&self, variable: Variable) -> Cow<'_, [u8]> {
        let request = self.request;
        let (target, wire) = (&request.target, &request.wire);
        let text = match variable {
            Variable::Path => target.path(),
            Variable::Rest => target.path().get(self.captures.rest..).unwrap_or_default(),
            Variable::Query => target.query().unwrap_or_default().as_bytes(),
            Variable::Host => request.host.name().as_bytes(),
            Variable::Port => {
                let canonical = request.canonical.as_deref();
                let port = server_port(wire, canonical, request.host.port());
                return port.to_string().into_bytes().into();
            }
            Variable::Scheme => wire.scheme.as_str().as_bytes(),
            Variable::Protocol => protocol(request.version),
            Variable::Uri => target.raw().as_bytes(),
            Variable::Method => request.method.as_str().as_bytes(),
            Variable::RemoteAddr => wire.remote_addr.as_bytes(),
            Variable::RemotePort => wire.remote_port.as_bytes(),
            Variable::RemoteUser => self.user().map_or(&[][..], |user| &user.name),
            Variable::RequestId => return request.id.to_string().into_bytes().into(),
        };
        text.into()
    }

    fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        let field = self.request.fields.get(name)?;
        Some(field.as_bytes())
    }

    fn cookie(&self, name: &str) -> Option<&[u8]> {
        cookie::find(&self.request.fields, name)
    }
}

/// Returns the value of SERVER_PROTOCOL.
fn protocol(version: Version) -> &'static [u8] {
    match version {
        Version::HTTP_2 => b"HTTP/2.0",
        Version::HTTP_10 => b"HTTP/1.0",
        _ => b"HTTP/1.1",
    }
}
