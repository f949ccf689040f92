//! Facts that deciding about a request lacks and its driver finds. Each is kept with its question until the request
//! ends, and the decision is evaluated again from its start.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::auth::basic::{Verification, Verified};
use crate::message::Target;
use crate::message::edits::RuleId;
use crate::value::TimeLimit;

/// The most facts that one request may ask for: a decision that asks more often is in a loop.
pub const MAX_ASKS: usize = 64;

/// A question that a look at the request and the disk cannot answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The password check of a user.
    Verify(Box<Verification>),
    /// The answer to a request of the gateway's own.
    Subrequest(Box<Subrequest>),
}

/// A request of the gateway's own for a path of the site: GET without content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subrequest {
    /// The rule that needs the answer; it does not apply to the subrequest.
    pub rule: RuleId,
    /// The target.
    pub target: Target,
    /// All header fields.
    pub fields: HeaderMap,
    /// A rule has checked the credentials: the script does not get them.
    pub has_auth: bool,
    /// Time limits of the rule for scripts.
    pub timeouts: Option<Arc<[TimeLimit]>>,
}

/// The answer to an [`Ask`].
#[derive(Clone, Debug)]
pub enum Fact {
    /// The result of a password check.
    Verified(Verified),
    /// The answer to a subrequest.
    Answered(Box<Answer>),
}

/// The answer to a subrequest, with its whole content.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The header fields.
    pub fields: HeaderMap,
    /// The content.
    pub content: Bytes,
}

/// The facts that a request has asked for.
#[derive(Debug, Default)]
pub struct Facts(Vec<(Ask, Fact)>);

impl Facts {
    /// Returns the fact that answers `ask`, where it is known.
    pub fn find(&self, ask: &Ask) -> Option<&Fact> {
        let known = self.0.iter().find(|(known, _)| known == ask);
        known.map(|(_, fact)| fact)
    }

    /// Stores the answer to a question.
    pub fn insert(&mut self, ask: Ask, fact: Fact) {
        self.0.push((ask, fact));
    }

    /// Reports whether the limit of [`MAX_ASKS`] facts is reached.
    pub fn is_full(&self) -> bool {
        self.0.len() >= MAX_ASKS
    }
}
