//! `expires`: the freshness lifetime of the answer.

use std::time::Duration;

use super::modify::{Inputs, Interruption, Modify, Parts};
use crate::message::edits::RuleEdits;
use crate::route::Scope;
use crate::section::{Key, Lowered};

/// The freshness lifetime of the answer (RFC 9111 §4.2.1).
pub(super) static EXPIRES: Key<Option<Duration>> = Key::duration("expires", "Freshness lifetime of the answer: Cache-Control with max-age, and Expires, for answers with a status of 200 to 399 that have neither field.").example("\"30d\"");

/// A freshness lifetime.
#[derive(Debug)]
pub(super) struct Expires(Duration);

impl Expires {
    /// Builds the lifetime from the section of a rule; `None` without the key.
    pub(super) fn build(section: &Lowered, _: &mut Parts<'_>) -> Option<Self> {
        section.get(&EXPIRES).map(Self)
    }
}

impl Modify for Expires {
    /// Sets the lifetime.
    fn apply(
        &self,
        _: &Scope<'_>,
        _: &mut Inputs<'_>,
        edits: &mut RuleEdits,
    ) -> Result<(), Interruption> {
        edits.expires = Some(self.0);
        Ok(())
    }
}
