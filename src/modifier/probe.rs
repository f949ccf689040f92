//! A guard of tests: it asks for facts that need IO, as `auth` and forward authentication do.

use http::{StatusCode, header};

use super::fact::{Ask, Fact, Subrequest};
use super::modify::{Inputs, Interruption, Modify, Parts};
use super::{Modifier, Modifiers};
use crate::auth::basic::{Verification, Verified, sample};
use crate::failure::Failure;
use crate::message::edits::{RuleEdits, RuleId};
use crate::message::{Credentials, EncodedSlash, Target};
use crate::route::Scope;
use crate::section::Lowered;

/// A guard of tests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Probe {
    /// Admits requests with the right password as Authorization; the driver of the test has it.
    Password,
    /// Admits requests if a subrequest for this target succeeds.
    Subrequest(&'static str),
    /// Admits requests if a subrequest for their own path, below this one, succeeds.
    Below(&'static str),
}

impl Modifiers {
    /// Returns the guard as the last of these modifiers.
    pub(crate) fn with(mut self, probe: Probe) -> Self {
        self.list.push(Modifier::Probe(probe));
        self
    }
}

/// Returns `None`: tests add the guard, and no key builds it.
pub(super) fn build(_: &Lowered, _: &mut Parts<'_>) -> Option<Probe> {
    None
}

impl Modify for Probe {
    fn apply(
        &self,
        scope: &Scope<'_>,
        inputs: &mut Inputs<'_>,
        edits: &mut RuleEdits,
    ) -> Result<(), Interruption> {
        let Some(ask) = self.ask(scope, edits.rule) else {
            return Err(refusal(StatusCode::UNAUTHORIZED));
        };
        match inputs.facts.find(&ask) {
            None => Err(Interruption::Ask(ask)),
            Some(Fact::Verified(Verified::Right(_))) => Ok(()),
            Some(Fact::Verified(_)) => Err(refusal(StatusCode::UNAUTHORIZED)),
            Some(Fact::Answered(answer)) if answer.status.is_success() => Ok(()),
            Some(Fact::Answered(answer)) => Err(refusal(answer.status)),
        }
    }

    fn is_guard(&self) -> bool {
        true
    }
}

impl Probe {
    /// Returns the question about a request; `None` without a password.
    fn ask(self, scope: &Scope<'_>, rule: RuleId) -> Option<Ask> {
        let path = match self {
            Self::Subrequest(path) => path.to_owned(),
            Self::Below(path) => format!("{path}{}", scope.request.target.path().escape_ascii()),
            Self::Password => {
                let password = scope.request.fields.get(header::AUTHORIZATION)?;
                let user = b"user".as_slice().into();
                let password = password.as_bytes().into();
                return Some(Ask::Verify(Box::new(Verification {
                    basic: sample(),
                    credentials: Credentials { user, password },
                    client: None,
                    is_shared: false,
                })));
            }
        };
        let target = Target::parse(&path, EncodedSlash::Reject).unwrap();
        Some(Ask::Subrequest(Box::new(Subrequest {
            rule,
            target,
            fields: scope.request.fields.clone(),
            has_auth: false,
            timeouts: None,
        })))
    }
}

fn refusal(status: StatusCode) -> Interruption {
    let allow = None;
    Interruption::Refuse(Failure::Denied { status, allow })
}
