//! Rules: under which conditions a request is whose business. A rule knows its conditions and
//! carries what follows from them, whatever that is.

pub mod condition;
pub mod coverage;
mod methods;
mod rules;
mod sent;
pub mod template;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

pub use rules::Rules;

use http::{HeaderName, Version, header};

use crate::message::{Disk, Request};
use condition::{Condition, Exhausted, Set, Verdict};
use template::{Values, Variable};

/// Conditions and what follows when all of them hold.
#[derive(Debug)]
pub struct Rule<T> {
    set: Set,
    /// Where it stands, as `file:line`, for the log; empty for a rule that nobody wrote.
    place: Arc<str>,
    /// What follows.
    pub then: T,
}

/// Whether a rule matches could not be found out within the bound on backtracking.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the pattern `{pattern}` of the rule at {rule} took too many steps back on this request: write it without repetitions in repetitions"
)]
pub struct TooHard {
    /// Where the rule stands, as `file:line`.
    pub rule: Arc<str>,
    /// The pattern as it was written.
    pub pattern: Arc<str>,
}

/// What the conditions of a rule took out of the path: the groups of its pattern and what
/// followed its prefix, as places in `Target::path`.
#[derive(Clone, Debug, Default)]
pub struct Captures {
    groups: Vec<Option<Range<usize>>>,
    names: Option<Arc<[Option<String>]>>,
    rest: usize,
}

impl<T> Rule<T> {
    /// A rule of conditions, exceptions and a consequence; without conditions it always matches.
    pub fn new(conditions: Vec<Condition>, exceptions: Vec<Condition>, then: T) -> Self {
        Self::when(Set::new(conditions, exceptions), then)
    }

    /// A rule of a set of conditions and a consequence.
    pub fn when(set: Set, then: T) -> Self {
        Self {
            set,
            place: "".into(),
            then,
        }
    }

    /// The same rule, written at this `file:line`.
    #[must_use]
    pub fn at(self, place: Arc<str>) -> Self {
        Self { place, ..self }
    }

    /// Where it was written, as `file:line`; empty where nobody wrote it.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Whether every condition holds and no exception does; the captures are the last pattern's.
    pub fn matches(&self, request: &Request, disk: &dyn Disk) -> Result<Option<Captures>, TooHard> {
        let (verdict, captures) = self.judge(request, disk)?;
        Ok(matches!(verdict, Verdict::Holds).then_some(captures))
    }

    /// The conditions, for people.
    pub fn conditions(&self) -> &Set {
        &self.set
    }

    /// Which condition decides, with the captures.
    pub fn judge(
        &self,
        request: &Request,
        disk: &dyn Disk,
    ) -> Result<(Verdict<'_>, Captures), TooHard> {
        let mut captures = Captures::default();
        match self.set.judge(request, disk, &mut captures) {
            Ok(verdict) => Ok((verdict, captures)),
            Err(Exhausted { pattern }) => Err(TooHard {
                rule: Arc::clone(&self.place),
                pattern,
            }),
        }
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

    fn variable(&self, variable: Variable) -> Cow<'_, [u8]> {
        let request = self.request;
        let (target, wire) = (&request.target, &request.wire);
        let text = match variable {
            Variable::Path => target.path(),
            Variable::Rest => target.path().get(self.captures.rest..).unwrap_or_default(),
            Variable::Query => target.query().unwrap_or_default().as_bytes(),
            Variable::Host => request.host.name().as_bytes(),
            Variable::Port => {
                let port = wire.server_port(request.host.port());
                return port.to_string().into_bytes().into();
            }
            Variable::Scheme => wire.scheme.as_str().as_bytes(),
            Variable::Protocol => protocol(request.version),
            Variable::Uri => target.raw().as_bytes(),
            Variable::Method => request.method.as_str().as_bytes(),
            Variable::RemoteAddr => wire.remote_addr.as_bytes(),
            Variable::RemotePort => wire.remote_port.as_bytes(),
            Variable::RequestId => return request.id.to_string().into_bytes().into(),
        };
        text.into()
    }

    fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        let field = self.request.fields.get(name)?;
        Some(field.as_bytes())
    }

    fn cookie(&self, name: &str) -> Option<&[u8]> {
        let fields = self.request.fields.get_all(header::COOKIE).iter();
        let mut cookies = fields.flat_map(|field| sent::cookies(field.as_bytes(), name.as_bytes()));
        cookies.next()
    }
}

/// As SERVER_PROTOCOL is.
fn protocol(version: Version) -> &'static [u8] {
    match version {
        Version::HTTP_2 => b"HTTP/2.0",
        Version::HTTP_10 => b"HTTP/1.0",
        _ => b"HTTP/1.1",
    }
}
