//! `listener`: the listener that the client connected to, by its name.

use std::sync::Arc;

use crate::message::Request;
use crate::section::{At, Key, Kind};

/// The `listener` key.
pub const KEY: Key = Key::new(
    "listener",
    Kind::Texts,
    "The `name` of the [[listen]] that the client connected to: one or a list of alternatives.",
)
.example("[\"admin\"]");

/// Names of listeners of which one must be that of the connection.
#[derive(Debug)]
pub struct ListenerCondition(pub(super) Vec<Arc<str>>);

impl ListenerCondition {
    /// Of these names. Whether there are such listeners is for the owner of the configuration to check.
    pub fn new(texts: &[At<String>]) -> Self {
        let names = texts.iter().map(|text| text.value.as_str().into());
        Self(names.collect())
    }

    /// Whether it holds wherever `other` does.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|name| self.0.contains(name))
    }

    /// Whether the connection came in by one of them. A listener without a name is none of them.
    pub fn holds(&self, request: &Request) -> bool {
        self.0.contains(&request.wire.listener)
    }
}
