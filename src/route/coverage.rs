//! Finds rules that can never match because earlier ones always do: whether conditions hold wherever
//! others do. It may miss such rules, and never invents one.

use std::collections::HashMap;

use super::Captures;
use super::condition::{Condition, Path, Prefix, Set};

/// Sets of conditions in their order, indexed by the literal beginning of their paths.
#[derive(Debug, Default)]
pub struct Coverage<'a> {
    sets: Vec<Covering<'a>>,
    by_start: HashMap<Vec<u8>, Vec<usize>>,
}

/// Conditions, and the path below which they count.
#[derive(Debug)]
struct Covering<'a> {
    set: &'a Set,
    mount: Option<Condition>,
}

impl<'a> Coverage<'a> {
    /// Adds a set that counts below a path without a slash at its end; an empty one is that of all paths.
    pub fn push(&mut self, set: &'a Set, mount: &str) {
        let mount = Some(mount).filter(|mount| !mount.is_empty());
        let start = mount.unwrap_or_default().as_bytes().to_vec();
        let start = longest(set.literal_start(), start);
        let numbers = self.by_start.entry(start).or_default();
        numbers.push(self.sets.len());
        let mount = mount.map(|mount| Condition::Prefix(Prefix::of(mount)));
        self.sets.push(Covering { set, mount });
    }

    /// Returns the numbers, in the order of adding, of sets that together hold wherever `other` does;
    /// `None` if there are none.
    pub fn find(&self, other: &Set) -> Option<Vec<usize>> {
        let start = other.literal_start();
        let whole = self.first(&start, |set| set.covers(other));
        whole
            .map(|number| vec![number])
            .or_else(|| self.find_for_paths(other.paths()?, other))
            .or_else(|| self.find_for_prefix(other.open_prefix()?, other))
    }

    /// Finds a set for each of the paths.
    fn find_for_paths(&self, paths: &Path, other: &Set) -> Option<Vec<usize>> {
        let paths = paths.all().iter();
        let found = paths.map(|path| self.first(path, |set| set.covers_at(path, other)));
        distinct(found).filter(|numbers| !numbers.is_empty())
    }

    /// Finds a set for the path of a prefix, and one for all below it.
    fn find_for_prefix(&self, prefix: &Prefix, other: &Set) -> Option<Vec<usize>> {
        let path = prefix.bytes();
        let below = [path, b"/"].concat();
        let below = self.first(&below, |set| set.covers_below(&below, other));
        distinct([self.first(path, |set| set.covers_at(path, other)), below])
    }

    /// Returns the first set that fits, of those which can hold for paths that begin with `start`.
    fn first(&self, start: &[u8], fits: impl Fn(&Covering<'_>) -> bool) -> Option<usize> {
        let starts = (0..=start.len()).filter_map(|end| self.by_start.get(start.get(..end)?));
        let fits = |number: &usize| self.sets.get(*number).is_some_and(&fits);
        starts
            .filter_map(|numbers| numbers.iter().copied().find(fits))
            .min()
    }
}

/// Returns each number once; `None` if one is missing.
fn distinct(numbers: impl IntoIterator<Item = Option<usize>>) -> Option<Vec<usize>> {
    let mut numbers = numbers.into_iter().collect::<Option<Vec<_>>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    Some(numbers)
}

impl Covering<'_> {
    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.set.conditions.iter().chain(&self.mount)
    }

    /// Reports whether this surely holds for every request for which `other` does.
    fn covers(&self, other: &Set) -> bool {
        let mut mount = self.mount.iter();
        self.set.covers(other) && mount.all(|mount| other.implies(mount))
    }

    /// Reports whether this surely holds for every request with this path for which `other` does.
    fn covers_at(&self, path: &[u8], other: &Set) -> bool {
        let at = |condition: &Condition| {
            let condition = condition.criterion();
            condition.by_path(path, &mut Captures::default())
        };
        let mut exceptions = self.set.exceptions.iter();
        exceptions.all(|exception| at(exception) == Some(false))
            && self.conditions().all(|condition| {
                at(condition) == Some(true) || (at(condition).is_none() && other.implies(condition))
            })
    }

    /// Reports whether this surely holds for every request below `start`, which ends with a slash, for
    /// which `other` does.
    fn covers_below(&self, start: &[u8], other: &Set) -> bool {
        let below = |condition: &Condition| {
            let prefix = matches!(condition, Condition::Prefix(prefix) if prefix.has(start));
            prefix || other.implies(condition)
        };
        self.set.exceptions.is_empty() && self.conditions().all(below)
    }
}

/// Returns the longer one; of two of a length the first.
fn longest(one: Vec<u8>, other: Vec<u8>) -> Vec<u8> {
    if other.len() > one.len() { other } else { one }
}

impl Set {
    /// Returns the literal beginning of every path for which this can hold, that of patterns included.
    fn literal_start(&self) -> Vec<u8> {
        let patterns = self.conditions.iter();
        let patterns = patterns.filter_map(|condition| condition.criterion().as_pattern());
        let pattern = patterns
            .map(|pattern| pattern.literal_start())
            .max_by_key(Vec::len);
        longest(self.start().to_vec(), pattern.unwrap_or_default())
    }

    /// Reports whether this surely holds for every request for which `other` does.
    pub fn covers(&self, other: &Self) -> bool {
        let implied = |condition: &Condition| other.implies(condition);
        self.exceptions.is_empty() && self.conditions.iter().all(implied)
    }

    fn implies(&self, wider: &Condition) -> bool {
        self.conditions
            .iter()
            .any(|narrower| wider.criterion().covers(narrower))
    }

    /// Returns its condition on the whole path.
    fn paths(&self) -> Option<&Path> {
        self.conditions.iter().find_map(|condition| {
            if let Condition::Path(path) = condition {
                Some(path)
            } else {
                None
            }
        })
    }

    /// Returns its prefix if that holds for a path and for all below it.
    fn open_prefix(&self) -> Option<&Prefix> {
        let prefix = self.conditions.iter().find_map(|condition| {
            if let Condition::Prefix(prefix) = condition {
                Some(prefix)
            } else {
                None
            }
        });
        prefix.filter(|prefix| !prefix.bytes().ends_with(b"/"))
    }
}
