//! `limits`: limits of matching requests, in place of those of the site.

use super::modify::{Inputs, Interruption, Modify, Parts};
use crate::limits::{BODY, RULE_LIMITS};
use crate::message::edits::RuleEdits;
use crate::route::Scope;
use crate::section::{Key, Lowered, Table};

/// The key for the limits of a request.
pub static LIMITS: Key<Table> = Key::table(
    "limits",
    &RULE_LIMITS,
    "Limits of the matching requests in place of those of the site.",
)
.example("{ body = \"1GiB\" }");

/// The largest request body, in bytes.
#[derive(Debug)]
pub(super) struct Limits(u64);

impl Limits {
    /// Builds the limit from the section of a rule; `None` without the key.
    pub(super) fn build(section: &Lowered, _: &mut Parts<'_>) -> Option<Self> {
        let limit = section.given(&LIMITS)?.given(&BODY)?;
        Some(Self(limit.0))
    }
}

impl Modify for Limits {
    /// Sets the limit.
    fn apply(
        &self,
        _: &Scope<'_>,
        _: &mut Inputs<'_>,
        edits: &mut RuleEdits,
    ) -> Result<(), Interruption> {
        edits.body_limit = Some(self.0);
        Ok(())
    }
}
