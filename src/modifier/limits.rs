//! `limits`: the largest body of matching requests, and how many of them there may be.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue};

use super::modify::{Inputs, Interruption, Modify, Parts};
use crate::limits::rate::{Client, RateLimiter, Subject};
use crate::limits::request_limit::{PartitionKey, RequestLimit};
use crate::limits::{BODY, RULE_LIMITS};
use crate::message::Wire;
use crate::message::edits::RuleEdits;
use crate::route::{Scope, cookie};
use crate::section::{Key, Lowered, Problems, Table};

/// The key for the limits of requests.
pub static LIMITS: Key<Table> = Key::table(
    "limits",
    &RULE_LIMITS,
    "Limits of the matching requests: the body in place of that of the site, and rates beside those of the site.",
)
.example("{ requests_per_second = 1, burst = 5 }");

/// The limits that take effect before authentication.
#[derive(Debug)]
pub(super) struct Limits {
    /// The largest request body, in bytes.
    body: Option<u64>,
    limiter: Option<RateLimiter>,
}

/// The limit of each user, which takes effect after authentication.
#[derive(Debug)]
pub(super) struct UserLimit(RateLimiter);

impl Limits {
    /// Builds the limits from the section of a rule; `None` without one of them.
    pub(super) fn build(section: &Lowered, parts: &mut Parts<'_>) -> Option<Self> {
        let table = section.given(&LIMITS)?;
        let body = table.given(&BODY).map(|size| size.0);
        let limiter = RequestLimit::build(table, parts.show, parts.problems)
            .filter(|limit| limit.key != PartitionKey::User)
            .map(RateLimiter::new);
        (body.is_some() || limiter.is_some()).then_some(Self { body, limiter })
    }
}

impl UserLimit {
    /// Builds the limit from the section of a rule; `None` where requests are counted by something else.
    pub(super) fn build(section: &Lowered, parts: &mut Parts<'_>) -> Option<Self> {
        let table = section.given(&LIMITS)?;
        // Its faults are reported by `Limits`.
        let limit = RequestLimit::build(table, parts.show, &mut Problems::default())?;
        (limit.key == PartitionKey::User).then(|| Self(RateLimiter::new(limit)))
    }
}

impl Modify for Limits {
    /// Sets the limit of the body, and counts the request.
    fn apply(
        &self,
        scope: &Scope<'_>,
        inputs: &mut Inputs<'_>,
        edits: &mut RuleEdits,
    ) -> Result<(), Interruption> {
        edits.body_limit = self.body;
        match &self.limiter {
            Some(limiter) => admit(limiter, scope, inputs, edits),
            None => Ok(()),
        }
    }

    fn is_guard(&self) -> bool {
        self.limiter.is_some()
    }

    fn limiter(&self) -> Option<&RateLimiter> {
        self.limiter.as_ref()
    }

    fn limiter_mut(&mut self) -> Option<&mut RateLimiter> {
        self.limiter.as_mut()
    }
}

impl Modify for UserLimit {
    /// Counts the request.
    fn apply(
        &self,
        scope: &Scope<'_>,
        inputs: &mut Inputs<'_>,
        edits: &mut RuleEdits,
    ) -> Result<(), Interruption> {
        admit(&self.0, scope, inputs, edits)
    }

    fn is_guard(&self) -> bool {
        true
    }

    fn limiter(&self) -> Option<&RateLimiter> {
        Some(&self.0)
    }

    fn limiter_mut(&mut self) -> Option<&mut RateLimiter> {
        Some(&mut self.0)
    }
}

/// Counts a request, once for the rule, or refuses it.
fn admit(
    limiter: &RateLimiter,
    scope: &Scope<'_>,
    inputs: &mut Inputs<'_>,
    edits: &RuleEdits,
) -> Result<(), Interruption> {
    let (request, now) = (scope.request, inputs.now);
    let admitted = inputs.taken.take(edits.rule, || {
        let user = scope.user().map(|user| &*user.name);
        let subject = subject(&limiter.limit().key, &request.wire, &request.fields, user);
        limiter.admit(&subject, now)
    });
    admitted.map_err(|exceeded| Interruption::Refuse(exceeded.into()))
}

/// Returns what a request with these fields is counted by.
pub fn subject<'a>(
    key: &PartitionKey,
    wire: &Wire,
    fields: &'a HeaderMap,
    user: Option<&'a [u8]>,
) -> Subject<'a> {
    let value = match key {
        PartitionKey::Header(name) => {
            let lines = fields.get_all(name).iter().map(HeaderValue::as_bytes);
            // RFC 9110 §5.3: several lines are one value, for PHP too.
            lines
                .map(Cow::Borrowed)
                .reduce(|value, line| [&*value, b", ", &*line].concat().into())
        }
        PartitionKey::Cookie(name) => cookie::find(fields, name).map(Cow::Borrowed),
        PartitionKey::User => user.map(Cow::Borrowed),
        PartitionKey::Client | PartitionKey::Site => None,
    };
    Subject {
        client: wire.client.map(Client::new),
        value,
    }
}
