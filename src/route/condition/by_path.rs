//! Judges conditions by the path alone, when the configuration is loaded and there is no request.

use super::{Condition, Set};
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
        let mut known = Some(true);
        for condition in &self.conditions {
            let holds = match asked {
                Asked::Again if !condition.asks_for_target() => Some(true),
                Asked::Again | Asked::First => condition.by_path(path, captures),
            };
            known = both(known, holds);
        }
        for exception in &self.exceptions {
            let holds = match asked {
                Asked::Again if !exception.asks_for_target() => Some(false),
                Asked::Again | Asked::First => exception.by_path(path, &mut captures.clone()),
            };
            known = both(known, not(holds));
        }
        known
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

    fn add_examples(&self, found: &mut Vec<Vec<u8>>) {
        for condition in &self.conditions {
            match condition {
                Condition::Path(path) => found.extend_from_slice(path.all()),
                Condition::Pattern(pattern) => {
                    let mut texts = pattern.examples();
                    if texts.is_empty() {
                        // A pattern with look-around is not analysed; most are about scripts.
                        texts.push(b".php".to_vec());
                    }
                    found.extend(texts.iter().map(|text| below(b"", text)));
                }
                Condition::Any(sets) | Condition::All(sets) => {
                    sets.iter().for_each(|set| set.add_examples(found));
                }
                Condition::Prefix(_) | Condition::Extension(_) | Condition::Method(_) => {}
                Condition::Host(_) | Condition::Scheme(_) | Condition::Listener(_) => {}
                Condition::Remote(_) | Condition::Field(_) | Condition::Exists(_) => {}
            }
        }
    }
}

/// Paths for conditions that name none.
const ANY: [&[u8]; 2] = [b"/", b"/x"];

/// Makes a path below `start` that contains a text.
fn below(start: &[u8], text: &[u8]) -> Vec<u8> {
    let start = start.strip_suffix(b"/").unwrap_or(start);
    let between: &[u8] = if text.starts_with(b"/") { b"" } else { b"/x" };
    [start, between, text].concat()
}

/// Reports whether all are true; `None` if an unknown one decides.
fn all(known: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut all = Some(true);
    for one in known {
        all = both(all, one);
    }
    all
}

fn not(known: Option<bool>) -> Option<bool> {
    known.map(|known| !known)
}

fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), known) | (known, Some(true)) => known,
        (None, None) => None,
    }
}

impl Condition {
    /// As [`Set::by_path`], of one condition.
    pub(in crate::route) fn by_path(&self, path: &[u8], captures: &mut Captures) -> Option<bool> {
        match self {
            Self::Path(paths) => Some(paths.has(path)),
            Self::Prefix(prefix) => Some(prefix.take(path, captures)),
            Self::Pattern(pattern) => pattern.has(path, captures).ok(),
            Self::Extension(extension) => Some(extension.has(path)),
            Self::Method(_) | Self::Host(_) | Self::Scheme(_) | Self::Listener(_) => None,
            Self::Remote(_) | Self::Field(_) | Self::Exists(_) => None,
            Self::Any(sets) => {
                let none = sets.iter().map(|set| not(nested(set, path)));
                not(all(none))
            }
            Self::All(sets) => all(sets.iter().map(|set| nested(set, path))),
        }
    }
}

/// Judges a set within a set; what it takes is no variable of the action.
fn nested(set: &Set, path: &[u8]) -> Option<bool> {
    set.by_path(path, Asked::First, &mut Captures::default())
}
