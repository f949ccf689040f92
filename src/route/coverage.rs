//! Whether conditions hold wherever others do: how a rule is found that can never match because earlier
//! ones always do. It may miss such rules, and never invents one.

use std::collections::HashMap;

use super::Captures;
use super::condition::{Condition, Path, Prefix, Set};

/// Sets of conditions, in their order, by what the paths begin with that they can hold for.
#[derive(Debug, Default)]
pub struct Coverage<'a> {
    sets: Vec<&'a Set>,
    by_start: HashMap<Vec<u8>, Vec<usize>>,
}

impl<'a> Coverage<'a> {
    /// Adds one.
    pub fn push(&mut self, set: &'a Set) {
        let numbers = self.by_start.entry(set.known_start()).or_default();
        numbers.push(self.sets.len());
        self.sets.push(set);
    }

    /// The numbers of those, as they were added, of which surely one holds for each request for which
    /// `other` does. `None` where there are none.
    pub fn of(&self, other: &Set) -> Option<Vec<usize>> {
        let start = other.known_start();
        let whole = self.first(&start, |set| set.covers(other));
        whole
            .map(|number| vec![number])
            .or_else(|| self.of_paths(other.only_paths()?, other))
            .or_else(|| self.of_prefix(other.only_prefix()?, other))
    }

    /// Those that hold for each of the paths.
    fn of_paths(&self, paths: &Path, other: &Set) -> Option<Vec<usize>> {
        let paths = paths.all().iter();
        let found = paths.map(|path| self.first(path, |set| set.covers_at(path, other)));
        distinct(found).filter(|numbers| !numbers.is_empty())
    }

    /// The one that holds for a prefix without what is below it, and the one that holds for that.
    fn of_prefix(&self, prefix: &Prefix, other: &Set) -> Option<Vec<usize>> {
        let path = prefix.bytes();
        let below = [path, b"/"].concat();
        let below = self.first(&below, |set| set.covers_below(&below, other));
        distinct([self.first(path, |set| set.covers_at(path, other)), below])
    }

    /// The first that fits, of those which can hold for what begins with `start`.
    fn first(&self, start: &[u8], fits: impl Fn(&Set) -> bool) -> Option<usize> {
        let starts = (0..=start.len()).filter_map(|end| self.by_start.get(start.get(..end)?));
        let fits = |number: &usize| self.sets.get(*number).is_some_and(|set| fits(set));
        starts
            .filter_map(|numbers| numbers.iter().copied().find(fits))
            .min()
    }
}

/// Each number once, if there are all.
fn distinct(numbers: impl IntoIterator<Item = Option<usize>>) -> Option<Vec<usize>> {
    let mut numbers = numbers.into_iter().collect::<Option<Vec<_>>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    Some(numbers)
}

impl Set {
    /// What every path begins with for which this can hold, patterns included.
    fn known_start(&self) -> Vec<u8> {
        let patterns = self.conditions.iter().filter_map(Condition::as_pattern);
        let longest = patterns.map(|pattern| pattern.start()).max_by_key(Vec::len);
        let longest = longest.unwrap_or_default();
        let start = self.start();
        if longest.len() > start.len() {
            longest
        } else {
            start.to_vec()
        }
    }

    /// Whether this surely holds for every request for which `other` does.
    pub fn covers(&self, other: &Self) -> bool {
        let implied = |condition: &Condition| other.implies(condition);
        self.exceptions.is_empty() && self.conditions.iter().all(implied)
    }

    fn implies(&self, wider: &Condition) -> bool {
        self.conditions
            .iter()
            .any(|narrower| covers(wider, narrower))
    }

    /// Whether this surely holds for every request with this path for which `other` does.
    fn covers_at(&self, path: &[u8], other: &Self) -> bool {
        let at = |condition: &Condition| condition.by_path(path, &mut Captures::default());
        let mut exceptions = self.exceptions.iter();
        exceptions.all(|exception| at(exception) == Some(false))
            && self.conditions.iter().all(|condition| {
                at(condition) == Some(true) || (at(condition).is_none() && other.implies(condition))
            })
    }

    /// Whether this surely holds for every request with a path that begins with `start`, which ends
    /// with a slash, for which `other` does.
    fn covers_below(&self, start: &[u8], other: &Self) -> bool {
        let below = |condition: &Condition| {
            let prefix = matches!(condition, Condition::Prefix(prefix) if prefix.has(start));
            prefix || other.implies(condition)
        };
        self.exceptions.is_empty() && self.conditions.iter().all(below)
    }

    /// The list of paths of which it wants one.
    fn only_paths(&self) -> Option<&Path> {
        self.conditions.iter().find_map(|condition| {
            if let Condition::Path(path) = condition {
                Some(path)
            } else {
                None
            }
        })
    }

    /// The prefix that it wants, if that stands for a path and all below it.
    fn only_prefix(&self) -> Option<&Prefix> {
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

fn covers(wider: &Condition, other: &Condition) -> bool {
    use Condition as C;
    match wider {
        C::Path(wider) => matches!(other, C::Path(other) if wider.covers(other)),
        C::Prefix(wider) => match other {
            C::Prefix(other) => wider.covers(other),
            C::Path(other) => other.lies_below(wider),
            C::Pattern(other) => wider.has_below(&other.start()),
            C::Extension(_) | C::Method(_) | C::Host(_) | C::Scheme(_) => false,
            C::Remote(_) | C::Field(_) | C::Exists(_) | C::Any(_) | C::All(_) => false,
        },
        C::Pattern(wider) => matches!(other, C::Pattern(other) if wider.is_same(other)),
        C::Extension(wider) => matches!(other, C::Extension(other) if wider.covers(other)),
        C::Method(wider) => matches!(other, C::Method(other) if wider.covers(other)),
        C::Host(wider) => matches!(other, C::Host(other) if wider.covers(other)),
        C::Scheme(wider) => matches!(other, C::Scheme(other) if wider.is_same(other)),
        C::Remote(wider) => matches!(other, C::Remote(other) if wider.is_same(other)),
        C::Field(_) | C::Exists(_) | C::Any(_) | C::All(_) => false,
    }
}
