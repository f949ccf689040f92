//! Judges conditions by the path alone, when the configuration is loaded and there is no request.

use super::Set;
use super::nested::{conjunction, not};
use crate::route::Captures;

/// The request that a path is judged for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Any request.
    First,
    /// A request for which the same conditions held with another path: those on the client, its
    /// connection and its fields hold again.
    Again,
}

impl Set {
    /// Reports whether all conditions hold for every request with this path (`true`) or for none
    /// (`false`); `None` if that depends on more. What patterns and prefixes took is left in `captures`.
    pub fn by_path(&self, path: &[u8], asked: Asked, captures: &mut Captures) -> Option<bool> {
        let conditions = self.conditions.iter().map(|condition| {
            let condition = condition.criterion();
            match asked {
                Asked::Again if !condition.asks_for_target() => Some(true),
                Asked::Again | Asked::First => condition.by_path(path, captures),
            }
        });
        let conditions = conjunction(conditions);
        let exceptions = self.exceptions.iter().map(|exception| {
            let exception = exception.criterion();
            not(match asked {
                Asked::Again if !exception.asks_for_target() => Some(false),
                Asked::Again | Asked::First => exception.by_path(path, &mut captures.clone()),
            })
        });
        conjunction([conditions, conjunction(exceptions)].into_iter())
    }

    /// Returns some paths for which all conditions may hold: those that it names, and examples of its
    /// patterns.
    pub fn examples(&self) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        self.add_examples(&mut found);
        found.extend(ANY.map(<[u8]>::to_vec));
        let start = self.start();
        let below = found.iter().map(|path| below(start, path));
        let mut all: Vec<_> = found.iter().cloned().chain(below).collect();
        let may = |path: &Vec<u8>| {
            let known = self.by_path(path, Asked::First, &mut Captures::default());
            known != Some(false)
        };
        let mut seen = std::collections::HashSet::new();
        all.retain(|path| may(path) && seen.insert(path.clone()));
        all
    }

    pub(super) fn add_examples(&self, found: &mut Vec<Vec<u8>>) {
        for condition in &self.conditions {
            condition.criterion().add_examples(found);
        }
    }
}

/// Paths for conditions that name none.
const ANY: [&[u8]; 2] = [b"/", b"/x"];

/// Makes a path below `start` that contains a text.
pub(super) fn below(start: &[u8], text: &[u8]) -> Vec<u8> {
    let start = start.strip_suffix(b"/").unwrap_or(start);
    let between: &[u8] = if text.starts_with(b"/") { b"" } else { b"/x" };
    [start, between, text].concat()
}
