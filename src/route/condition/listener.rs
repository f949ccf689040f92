//! `listener`: the listener of the connection, by its name.

use std::fmt;
use std::sync::Arc;

use super::display::alternatives;
use super::set::Builder;
use super::{Condition, Cost, Criterion, Exhausted, listed};
use crate::message::{Disk, Request};
use crate::route::Captures;
use crate::section::{At, Key, Lowered};

/// The `listener` key.
pub static KEY: Key<Vec<At<String>>> = Key::texts(
    "listener",
    "The `name` of the connection's [[listen]]: one or a list of alternatives.",
)
.example("[\"admin\"]");

/// Alternative listener names, one of which the connection must have.
#[derive(Debug)]
pub struct ListenerCondition(Vec<Arc<str>>);

impl ListenerCondition {
    /// Builds the condition. The owner of the configuration checks that such listeners exist.
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
        // An unnamed listener matches none.
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
