//! `listener`: the listener that the client connected to, by its name.

use std::fmt;
use std::sync::Arc;

use super::set::Builder;
use super::shown::alternatives;
use super::{Condition, Cost, Criterion, Exhausted, listed};
use crate::message::{Disk, Request};
use crate::route::Captures;
use crate::section::{At, Key, Lowered};

/// The `listener` key.
pub static KEY: Key<Vec<At<String>>> = Key::texts(
    "listener",
    "The `name` of the [[listen]] that the client connected to: one or a list of alternatives.",
)
.example("[\"admin\"]");

/// Names of listeners of which one must be that of the connection.
#[derive(Debug)]
pub struct ListenerCondition(Vec<Arc<str>>);

impl ListenerCondition {
    /// Of these names. Whether there are such listeners is for the owner of the configuration to check.
    pub fn new(texts: &[At<String>]) -> Self {
        let names = texts.iter().map(|text| text.value.as_str().into());
        Self(names.collect())
    }
}

pub(super) fn build(section: &Lowered, builder: &mut Builder<'_>) -> Option<ListenerCondition> {
    let texts = listed(section, &KEY, builder.problems)?;
    Some(ListenerCondition::new(&texts))
}

impl Criterion for ListenerCondition {
    fn cost(&self) -> Cost {
        Cost::Word
    }

    fn holds(&self, request: &Request, _: &dyn Disk, _: &mut Captures) -> Result<bool, Exhausted> {
        // A listener without a name is none of them.
        Ok(self.0.contains(&request.wire.listener))
    }

    fn covers(&self, other: &Condition) -> bool {
        matches!(other, Condition::Listener(other) if other.0.iter().all(|name| self.0.contains(name)))
    }
}

impl fmt::Display for ListenerCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listener {}", alternatives(&self.0))
    }
}
