//! `deny`: a refusal with a status.

use http::StatusCode;

use super::Plan;
use crate::failure::Failure;
use crate::section::{Key, Kind, Lowered, Section};

/// The `deny` section.
pub static DENY: Section = Section {
    title: "[site.rule.deny]",
    doc: "Refuses. `deny = true` is 403.",
    keys: &[Key::new(
        "status",
        Kind::Integer { min: 400, max: 499 },
        "The status of the refusal; 404 does not tell that there is anything.",
    )
    .default("403")],
};

/// Refuses every request.
#[derive(Debug)]
pub struct Deny {
    status: StatusCode,
}

impl Deny {
    /// From its section.
    pub fn build(section: &Lowered) -> Self {
        let status = u16::try_from(section.integer("status"))
            .ok()
            .and_then(|code| StatusCode::from_u16(code).ok());
        Self {
            status: status.unwrap_or(StatusCode::FORBIDDEN),
        }
    }

    pub(super) fn decide(&self) -> Plan<'_> {
        Plan::Fail(Failure::Denied(self.status))
    }
}
