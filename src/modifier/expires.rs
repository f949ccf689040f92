//! `expires`: the freshness lifetime of the answer.

use std::time::Duration;

use crate::message::edits::RuleEdits;
use crate::section::{Key, Kind, Lowered};

/// The freshness lifetime of the answer (RFC 9111 §4.2.1).
pub(super) const EXPIRES: Key = Key::new("expires", Kind::Duration, "How long a client may keep the answer without asking again: Cache-Control with max-age, and Expires; of answers with a status of 200 to 399 that say nothing of it themselves.").example("\"30d\"");

/// A freshness lifetime.
#[derive(Debug)]
pub(super) struct Expires(Duration);

impl Expires {
    /// Builds the lifetime from the section of a rule; `None` without the key.
    pub(super) fn build(section: &Lowered) -> Option<Self> {
        let is_given = section.is_given("expires");
        is_given.then(|| Self(section.duration("expires")))
    }

    /// Sets the lifetime.
    pub(super) fn amend(&self, edits: &mut RuleEdits) {
        edits.expires = Some(self.0);
    }
}
