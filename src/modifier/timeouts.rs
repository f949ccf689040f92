//! `timeouts`: timeouts of a script, in place of those of its upstream.

use std::sync::Arc;

use crate::handler::fastcgi::RULE_TIMEOUTS;
use crate::message::edits::RuleEdits;
use crate::section::{Key, Kind, Lowered, Place};
use crate::value::TimeLimit;

/// The key for the timeouts of a script.
pub(super) const TIMEOUTS: Key = Key::new("timeouts", Kind::Table(&RULE_TIMEOUTS), "How long scripts that answer requests which match may take, otherwise than their upstream says.").example("{ first_byte = \"300s\" }");

/// The timeouts that the rule sets.
#[derive(Debug)]
pub(super) struct Timeouts(Arc<[TimeLimit]>);

impl Timeouts {
    /// Builds the timeouts from the section of a rule; `show` returns a place as `file:line`.
    pub(super) fn build(section: &Lowered, show: &dyn Fn(&Place) -> String) -> Option<Self> {
        const NAMES: [(&str, &str); 3] = [
            ("timeouts.queue", "queue"),
            ("timeouts.first_byte", "first_byte"),
            ("timeouts.idle", "idle"),
        ];
        let table = section.given_table("timeouts")?;
        let given = NAMES.into_iter().filter(|(_, key)| table.is_given(key));
        let limits = given.map(|(name, key)| TimeLimit {
            name,
            duration: table.duration(key),
            place: show(&table.place_of(key)).into(),
        });
        Some(Self(limits.collect()))
    }

    /// Sets the timeouts.
    pub(super) fn amend(&self, edits: &mut RuleEdits) {
        edits.timeouts = Some(Arc::clone(&self.0));
    }
}
