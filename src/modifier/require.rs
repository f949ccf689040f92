//! `require`: conditions of access. The first part of the access policy of a rule, before any password is asked for.

use std::sync::Arc;

use super::access_section::{AUTH, REQUIRE};
use super::modify::{Inputs, Interruption, Modify, Parts};
use super::policy::Policy;
use crate::failure::Failure;
use crate::message::edits::RuleEdits;
use crate::route::condition::Access;
use crate::route::{BacktrackLimitExceeded, Scope};
use crate::section::Lowered;

/// The conditions of access.
#[derive(Debug)]
pub(super) struct Require {
    policy: Arc<Policy>,
    /// A user could meet the conditions, and `auth` asks for one.
    asks_for_user: bool,
}

impl Require {
    /// Builds the conditions from the section of a rule; `None` without the key.
    pub(super) fn build(section: &Lowered, parts: &mut Parts<'_>) -> Option<Self> {
        section.given(&REQUIRE)?;
        Some(Self {
            policy: Arc::clone(parts.policy.as_ref()?),
            asks_for_user: section.is_given(&AUTH),
        })
    }
}

impl Modify for Require {
    /// Refuses a request that no user could make.
    fn apply(
        &self,
        scope: &Scope<'_>,
        inputs: &mut Inputs<'_>,
        edits: &mut RuleEdits,
    ) -> Result<(), Interruption> {
        let access = Access {
            request: scope.request,
            user: None,
            captures: scope.captures,
            disk: inputs.disk,
        };
        let admitted = self.policy.admits(&access);
        match admitted.map_err(|error| BacktrackLimitExceeded::of_rule(&edits.place, error))? {
            Some(true) => Ok(()),
            None if self.asks_for_user => Ok(()),
            Some(false) | None => Err(Interruption::Refuse(Failure::Requirement(Arc::clone(
                &edits.place,
            )))),
        }
    }

    fn is_guard(&self) -> bool {
        true
    }
}
