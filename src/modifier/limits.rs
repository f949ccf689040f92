//! `limits`: limits of matching requests, in place of those of the site.

use crate::limits::RULE_LIMITS;
use crate::message::edits::RuleEdits;
use crate::section::{Key, Kind, Lowered};

/// The key for the limits of a request.
pub(super) const LIMITS: Key = Key::new(
    "limits",
    Kind::Table(&RULE_LIMITS),
    "What requests that match may do otherwise than those of the site.",
)
.example("{ body = \"1GiB\" }");

/// The largest request body, in bytes.
#[derive(Debug)]
pub(super) struct Limits(u64);

impl Limits {
    /// Builds the limit from the section of a rule; `None` without the key.
    pub(super) fn build(section: &Lowered) -> Option<Self> {
        let table = section.given_table("limits");
        let limits = table.filter(|table| table.is_given("body"))?;
        Some(Self(limits.size("body").0))
    }

    /// Sets the limit.
    pub(super) fn amend(&self, edits: &mut RuleEdits) {
        edits.body_limit = Some(self.0);
    }
}
