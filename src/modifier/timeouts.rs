//! `timeouts`: timeouts of a script, in place of those of its upstream.

use std::sync::Arc;

use super::modify::{Inputs, Interruption, Modify, Parts};
use crate::handler::fastcgi::{RULE_TIMEOUTS, RULE_TIMES, warn_of_total};
use crate::message::edits::RuleEdits;
use crate::route::Scope;
use crate::section::{Key, Lowered, Table};
use crate::value::TimeLimit;

/// The key for the timeouts of a script.
pub static TIMEOUTS: Key<Table> = Key::table("timeouts", &RULE_TIMEOUTS, "Time limits of scripts that answer the matching requests, in place of those of their upstream.").example("{ first_byte = \"300s\" }");

/// The timeouts that the rule sets.
#[derive(Debug)]
pub(super) struct Timeouts(Arc<[TimeLimit]>);

impl Timeouts {
    /// Builds the timeouts from the section of a rule; `None` without the key.
    pub(super) fn build(section: &Lowered, parts: &mut Parts<'_>) -> Option<Self> {
        let table = section.given(&TIMEOUTS)?;
        warn_of_total(table, parts.problems);
        let limits = RULE_TIMES.into_iter().filter_map(|(name, key)| {
            Some(TimeLimit {
                name,
                duration: table.given(key)?,
                place: (parts.show)(&table.place_of(key)).into(),
            })
        });
        Some(Self(limits.collect()))
    }
}

impl Modify for Timeouts {
    /// Sets the timeouts.
    fn apply(
        &self,
        _: &Scope<'_>,
        _: &mut Inputs<'_>,
        edits: &mut RuleEdits,
    ) -> Result<(), Interruption> {
        edits.timeouts = Some(Arc::clone(&self.0));
        Ok(())
    }
}
