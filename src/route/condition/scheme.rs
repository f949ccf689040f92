//! `scheme`: whether the client came with TLS.

use std::fmt;

use super::set::Builder;
use super::{Condition, Cost, Criterion, Exhausted};
use crate::message::{Disk, Request, Scheme};
use crate::route::Captures;
use crate::section::{At, Key, Lowered};

/// The `scheme` key.
pub static KEY: Key<Option<At<String>>> = Key::one_of(
    "scheme",
    &["http", "https"],
    "How the client came; behind a trusted proxy, how it came to that.",
)
.example("\"https\"");

/// The scheme that the request must have.
#[derive(Debug)]
pub struct SchemeCondition(Scheme);

impl SchemeCondition {
    /// Of one of the two words.
    pub fn new(text: &At<String>) -> Self {
        match text.value.as_str() {
            "https" => Self(Scheme::Https),
            _ => Self(Scheme::Http),
        }
    }
}

pub(super) fn build(section: &Lowered, _: &mut Builder<'_>) -> Option<SchemeCondition> {
    section.get(&KEY).map(|text| SchemeCondition::new(&text))
}

impl Criterion for SchemeCondition {
    fn cost(&self) -> Cost {
        Cost::Word
    }

    fn holds(&self, request: &Request, _: &dyn Disk, _: &mut Captures) -> Result<bool, Exhausted> {
        Ok(request.wire.scheme == self.0)
    }

    fn covers(&self, other: &Condition) -> bool {
        matches!(other, Condition::Scheme(other) if self.0 == other.0)
    }
}

impl fmt::Display for SchemeCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scheme {}", self.0.as_str())
    }
}
