//! `limits`: bounds on requests that match, in place of those of the site.

use super::modify::{Interruption, Modify, Parts};
use crate::limits::{BODY, RULE_LIMITS};
use crate::message::edits::RuleEdits;
use crate::message::fact::Facts;
use crate::route::Scope;
use crate::section::{Key, Lowered, Table};

/// Bounds on a request.
pub static LIMITS: Key<Table> = Key::table(
    "limits",
    &RULE_LIMITS,
    "What requests that match may do otherwise than those of the site.",
)
.example("{ body = \"1GiB\" }");

/// The largest request body, in bytes.
#[derive(Debug)]
pub(super) struct Limits(u64);

impl Limits {
    /// Builds it from the section of a rule.
    pub(super) fn build(section: &Lowered, _: &mut Parts<'_>) -> Option<Self> {
        let limit = section.given(&LIMITS)?.given(&BODY)?;
        Some(Self(limit.0))
    }
}

impl Modify for Limits {
    /// Sets the bound.
    fn apply(&self, _: &Scope<'_>, _: &Facts, edits: &mut RuleEdits) -> Result<(), Interruption> {
        edits.body_limit = Some(self.0);
        Ok(())
    }
}
