//! Counts that a request has taken from the limits of rules. Each is taken once for a rule, however often the rule is
//! evaluated, and released when the request ends.

use crate::limits::rate::{Exceeded, RunningRequest};
use crate::message::edits::RuleId;

/// The counts that a request has taken.
#[derive(Debug, Default)]
pub struct Taken {
    is_exempt: bool,
    rules: Vec<(RuleId, Result<RunningRequest, Exceeded>)>,
}

impl Taken {
    /// Returns the counts of a request that limits of rules do not apply to.
    pub fn exempt() -> Self {
        Self {
            is_exempt: true,
            rules: Vec::new(),
        }
    }

    /// Takes the count of a rule, or returns the result of its first evaluation.
    pub(super) fn take(
        &mut self,
        rule: RuleId,
        take: impl FnOnce() -> Result<RunningRequest, Exceeded>,
    ) -> Result<(), Exceeded> {
        if self.is_exempt {
            return Ok(());
        }
        let known = self.rules.iter().position(|(known, _)| *known == rule);
        let index = known.unwrap_or_else(|| {
            self.rules.push((rule, take()));
            self.rules.len() - 1
        });
        let taken = self.rules.get(index).map(|(_, taken)| taken);
        taken.map_or(Ok(()), |taken| {
            taken.as_ref().map(drop).map_err(Clone::clone)
        })
    }
}
