//! A guard of tests: it asks for what takes more than looking, as `auth` and forward authentication do.

use http::{Method, StatusCode, header};

use super::modify::{Interruption, Modify, Parts};
use super::{Modifier, Modifiers};
use crate::failure::Failure;
use crate::message::edits::RuleEdits;
use crate::message::fact::{Ask, Credentials, Fact, Facts};
use crate::message::{EncodedSlash, Target};
use crate::route::Scope;
use crate::section::Lowered;

/// A guard.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Probe {
    /// Passes requests whose Authorization is the password; the driver of the test knows which that is.
    Password,
    /// Passes requests for which a subrequest for this target succeeds.
    Subrequest(&'static str),
    /// Passes requests for which one for their own path, below this, succeeds.
    Below(&'static str),
}

impl Modifiers {
    /// Returns the guard as the last of these modifiers.
    pub(crate) fn with(mut self, probe: Probe) -> Self {
        self.list.push(Modifier::Probe(probe));
        self
    }
}

/// Builds none: only tests have it, which no key stands for.
pub(super) fn build(_: &Lowered, _: &mut Parts<'_>) -> Option<Probe> {
    None
}

impl Modify for Probe {
    fn apply(
        &self,
        scope: &Scope<'_>,
        facts: &Facts,
        _: &mut RuleEdits,
    ) -> Result<(), Interruption> {
        let Some(ask) = self.ask(scope) else {
            return Err(refusal(StatusCode::UNAUTHORIZED));
        };
        match facts.find(&ask) {
            None => Err(Interruption::Ask(ask)),
            Some(Fact::Verified(true)) => Ok(()),
            Some(Fact::Verified(false)) => Err(refusal(StatusCode::UNAUTHORIZED)),
            Some(Fact::Answered(status)) if status.is_success() => Ok(()),
            Some(Fact::Answered(status)) => Err(refusal(status)),
        }
    }

    fn is_guard(&self) -> bool {
        true
    }
}

impl Probe {
    /// Returns the question about a request; `None` without a password.
    fn ask(self, scope: &Scope<'_>) -> Option<Ask> {
        let path = match self {
            Self::Subrequest(path) => path.to_owned(),
            Self::Below(path) => format!("{path}{}", scope.request.target.path().escape_ascii()),
            Self::Password => {
                let password = scope.request.fields.get(header::AUTHORIZATION)?;
                let user = b"somebody".as_slice().into();
                let password = password.as_bytes().into();
                return Some(Ask::Verify(Credentials { user, password }));
            }
        };
        let target = Target::parse(&path, EncodedSlash::Reject).unwrap();
        Some(Ask::Subrequest(Method::GET, target))
    }
}

fn refusal(status: StatusCode) -> Interruption {
    let allow = None;
    Interruption::Refuse(Failure::Denied { status, allow })
}
