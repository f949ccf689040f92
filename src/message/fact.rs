//! Facts that deciding about a request lacks and its driver finds. Each is kept with its question until the request
//! ends, and the decision is evaluated again from its start.

use std::fmt;

use http::{Method, StatusCode};
use zeroize::Zeroize;

use super::Target;

/// The most facts that one request may ask for: a decision that asks more often is in a loop.
pub const MAX_ASKS: usize = 64;

/// A question that a look at the request and the disk cannot answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The password check of a user.
    Verify(Credentials),
    /// The status of the answer to a request of this method for this target.
    Subrequest(Method, Target),
}

/// A user and a password as received (RFC 7617 §2). The password is overwritten when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: Box<[u8]>,
    /// The password.
    pub password: Box<[u8]>,
}

impl Drop for Credentials {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}

impl fmt::Debug for Credentials {
    /// Formats the user without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.escape_ascii();
        write!(f, "Credentials({user})")
    }
}

/// The answer to an [`Ask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The password is right (`true`) or wrong.
    Verified(bool),
    /// The status of the answer.
    Answered(StatusCode),
}

/// The facts that a request has asked for.
#[derive(Debug, Default)]
pub struct Facts(Vec<(Ask, Fact)>);

impl Facts {
    /// Returns the fact that answers `ask`, where it is known.
    pub fn find(&self, ask: &Ask) -> Option<Fact> {
        let known = self.0.iter().find(|(known, _)| known == ask);
        known.map(|(_, fact)| *fact)
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
