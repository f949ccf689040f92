//! Facts that the way of a request lacks and its driver finds: each is kept with its question until the request ends,
//! and what asked is evaluated again from its start.

use std::fmt;

use http::{Method, StatusCode};

use super::Target;

/// The most facts that one request may ask for: what asks more often than this asks in a circle.
pub const MAX_ASKS: usize = 64;

/// A question that takes more than looking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Is this the password of this user?
    Verify(Credentials),
    /// How would a request of this method for this target be answered?
    Subrequest(Method, Target),
}

/// A user and a password, as a client sent them (RFC 7617 §2).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: Box<[u8]>,
    /// The password.
    pub password: Box<[u8]>,
}

impl fmt::Debug for Credentials {
    /// Shows no password.
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
    /// Returns what is known of a question.
    pub fn find(&self, ask: &Ask) -> Option<Fact> {
        let known = self.0.iter().find(|(known, _)| known == ask);
        known.map(|(_, fact)| *fact)
    }

    /// Keeps the answer to a question.
    pub fn insert(&mut self, ask: Ask, fact: Fact) {
        self.0.push((ask, fact));
    }

    /// Reports whether no further question is answered.
    pub fn is_full(&self) -> bool {
        self.0.len() >= MAX_ASKS
    }
}
