//! `deny`: a refusal with a status.

use http::{HeaderValue, Method, StatusCode};

use super::Decision;
use crate::failure::Failure;
use crate::section::{Key, Lowered, Section, Table};

/// The `deny` key of a rule.
pub static KEY: Key<Table> = Key::flag_or("deny", &DENY, "Refuses.").example("true");

/// The `deny` section.
pub static DENY: Section = Section {
    title: "[site.rule.deny]",
    doc: "Refuses. `deny = true` is 403.",
    groups: &[&[&STATUS]],
};

static STATUS: Key<u16> = Key::integer("status", 400..=499, "The status of the refusal; 404 does not tell that there is anything. 405 has an Allow with the methods for which the rule does not hold, by its `method` or `not = { method = … }`.")
    .default("403");

/// Refuses every request.
#[derive(Debug)]
pub struct Deny {
    status: StatusCode,
    /// What Allow says, for 405 alone.
    allow: Option<HeaderValue>,
}

impl Deny {
    /// From its section; `left` are the methods that its rule leaves to others.
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

/// RFC 9110 §15.5.6: a 405 names the methods that have a meaning, and an empty list where none has (§10.2.1).
pub(super) fn allow(status: StatusCode, methods: &[Method]) -> Option<HeaderValue> {
    let names: Vec<_> = methods.iter().map(Method::as_str).collect();
    let value = HeaderValue::from_str(&names.join(", ")).ok();
    value.filter(|_| status == StatusCode::METHOD_NOT_ALLOWED)
}
