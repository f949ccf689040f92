//! `scheme`: whether the client came with TLS.

use crate::message::{Request, Scheme};
use crate::section::{At, Key, Kind};

/// The `scheme` key.
pub const KEY: Key = Key::new(
    "scheme",
    Kind::OneOf(&["http", "https"]),
    "How the client came; behind a trusted proxy, how it came to that.",
)
.example("\"https\"");

/// The scheme that the request must have.
#[derive(Debug)]
pub struct SchemeCondition(pub(super) Scheme);

impl SchemeCondition {
    /// Of one of the two words.
    pub fn new(text: &At<String>) -> Self {
        match text.value.as_str() {
            "https" => Self(Scheme::Https),
            _ => Self(Scheme::Http),
        }
    }

    /// Whether both want the same.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Whether the request has it.
    pub fn holds(&self, request: &Request) -> bool {
        request.wire.scheme == self.0
    }
}
