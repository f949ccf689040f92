//! `deny`: a refusal with a status.

use http::{HeaderValue, Method, StatusCode};

use super::Decision;
use crate::failure::Failure;
use crate::section::{Key, Lowered, Section, Table};

/// The `deny` key of a rule.
pub static KEY: Key<Table> = Key::flag_or("deny", &DENY, "Refuses the request.").example("true");

/// The `deny` section.
pub static DENY: Section = Section {
    title: "[site.rule.deny]",
    doc: "Refuses the request. `deny = true` is 403.",
    groups: &[&[&STATUS]],
};

static STATUS: Key<u16> = Key::integer("status", 400..=499, "Status of the refusal; 404 hides that the resource exists. 405 has an Allow with the methods for which the rule does not hold, by its `method` or `not = { method = … }`.")
    .default("403");

/// A refusal of every request.
#[derive(Debug)]
pub struct Deny {
    status: StatusCode,
    /// Allow, for 405 alone.
    allow: Option<HeaderValue>,
}

impl Deny {
    /// Builds the refusal from its section; `left` are the methods to which its rule does not apply.
    pub fn build(section: &Lowered, left: &[Method]) -> Self {
        let status = StatusCode::from_u16(section.get(&STATUS)).unwrap_or(StatusCode::FORBIDDEN);
        Self {
            status,
            allow: allow(status, left),
        }
    }

    pub(super) fn decide(&self) -> Decision {
        Decision::Fail(Failure::Denied {
            status: self.status,
            allow: self.allow.clone(),
        })
    }
}

/// Returns Allow of a 405 (RFC 9110 §15.5.6): the allowed methods, and an empty list if there is none (§10.2.1).
pub(super) fn allow(status: StatusCode, methods: &[Method]) -> Option<HeaderValue> {
    let names: Vec<_> = methods.iter().map(Method::as_str).collect();
    let value = HeaderValue::from_str(&names.join(", ")).ok();
    value.filter(|_| status == StatusCode::METHOD_NOT_ALLOWED)
}
