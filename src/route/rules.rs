//! The ordered rules of a site. A filter over literal prefixes rejects rules for a path without touching
//! them: a thousand sites with twenty rules each fit no cache, and ten thousand redirects must stay fast.

use super::Rule;

/// The rules in their order.
#[derive(Debug)]
pub struct Rules<T> {
    /// One filter a rule.
    filters: Vec<PathFilter>,
    all: Vec<Rule<T>>,
}

impl<T> Rules<T> {
    /// Builds the list, in this order.
    pub fn new(all: Vec<Rule<T>>) -> Self {
        let filters = all
            .iter()
            .map(|rule| PathFilter::of_prefix(rule.set.start()));
        Self {
            filters: filters.collect(),
            all,
        }
    }

    /// Iterates over all rules, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule<T>> {
        self.all.iter()
    }

    /// Returns the rule of this number, from 0.
    pub fn get(&self, number: usize) -> Option<&Rule<T>> {
        self.all.get(number)
    }

    /// Returns the first rule from `number` on that can match a request for `path`, with its number; never
    /// skips a rule that matches.
    pub fn candidate(&self, number: usize, path: &[u8]) -> Option<(usize, &Rule<T>)> {
        let head = word(path);
        let mut filters = self.filters.get(number..)?.iter();
        let number = number + filters.position(|filter| filter.admits(path, head))?;
        Some((number, self.all.get(number)?))
    }
}

impl<T> Rules<T> {
    /// Returns the first from `number` on that can match a request for one of `paths`, with its number.
    pub fn candidate_of(&self, number: usize, paths: &[&[u8]]) -> Option<(usize, &Rule<T>)> {
        let heads: Vec<_> = paths.iter().map(|path| (*path, word(path))).collect();
        let mut filters = self.filters.get(number..)?.iter();
        let may = |filter: &PathFilter| heads.iter().any(|(path, head)| filter.admits(path, *head));
        let number = number + filters.position(may)?;
        Some((number, self.all.get(number)?))
    }
}

/// Fingerprint of a literal prefix: its first eight bytes and its last eight. Rejects rules without
/// touching them.
#[derive(Clone, Copy, Debug)]
struct PathFilter {
    head: u64,
    /// Mask of the bytes of `head` that count: fewer than eight, or none.
    mask: u64,
    tail: u64,
    /// Offset of `tail`; 0 if `head` decides alone.
    tail_at: usize,
}

const WORD: usize = size_of::<u64>();

impl PathFilter {
    /// Builds the filter for paths that begin with `start`.
    fn of_prefix(start: &[u8]) -> Self {
        let missing = WORD.saturating_sub(start.len());
        let tail_at = start.len().saturating_sub(WORD);
        let tail = start.get(tail_at..).unwrap_or_default();
        // The first byte of a path is the lowest byte of a word.
        let mask = match missing {
            WORD => 0,
            missing => u64::MAX >> (8 * missing),
        };
        Self {
            head: word(start),
            mask,
            tail: word(tail),
            tail_at,
        }
    }

    /// Reports whether `path`, whose first word is `head`, may have the prefix; never rejects one that has it.
    fn admits(&self, path: &[u8], head: u64) -> bool {
        let has_tail = || {
            let rest = path.get(self.tail_at..);
            rest.is_some_and(|rest| word(rest) == self.tail)
        };
        head & self.mask == self.head && (self.tail_at == 0 || has_tail())
    }
}

/// Returns the first eight bytes, padded with zeros.
fn word(bytes: &[u8]) -> u64 {
    let padded = || {
        let mut padded = [0; WORD];
        padded
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        padded
    };
    let first = bytes.first_chunk().copied();
    u64::from_le_bytes(first.unwrap_or_else(padded))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::route::condition::{Condition, Path, Prefix};
    use crate::section::{At, Place, Problems};

    fn text(value: &str) -> At<String> {
        At {
            value: value.to_owned(),
            place: Place::default(),
        }
    }

    /// Builds a rule for a prefix, or for these paths if there are any.
    fn rule(prefix: &str, paths: &[String]) -> Rule<Prefix> {
        let problems = &mut Problems::default();
        let prefix = Prefix::new(&text(prefix), problems).unwrap();
        let paths: Vec<_> = paths.iter().map(|path| text(path)).collect();
        let condition = if paths.is_empty() {
            Condition::Prefix(prefix.clone())
        } else {
            Condition::Path(Path::new(&paths, problems))
        };
        Rule::new(vec![condition], Vec::new(), prefix)
    }

    fn candidates<T>(rules: &Rules<T>, path: &str) -> Vec<usize> {
        let mut numbers = Vec::new();
        while let Some((number, _)) = {
            let from = numbers.last().map_or(0, |last| last + 1);
            rules.candidate(from, path.as_bytes())
        } {
            numbers.push(number);
        }
        numbers
    }

    #[test]
    fn rules_keep_their_order_and_their_numbers() {
        let of = |paths: &[&str]| {
            paths
                .iter()
                .map(|path| (*path).to_owned())
                .collect::<Vec<_>>()
        };
        let rules = Rules::new(vec![
            rule("/old/", &[]),
            Rule::new(
                Vec::new(),
                Vec::new(),
                Prefix::new(&text("/"), &mut Problems::default()).unwrap(),
            ),
            rule("/", &of(&["/a", "/b"])),
            rule("/", &of(&["/old/page"])),
            rule("/old/page-of-another-name", &[]),
        ]);
        assert_eq!(candidates(&rules, "/old/page"), [0, 1, 2, 3]);
        assert_eq!(candidates(&rules, "/a"), [1, 2]);
        assert_eq!(
            candidates(&rules, "/old/page-of-another-name/x"),
            [0, 1, 2, 3, 4]
        );
    }

    fn admits(start: &[u8], path: &[u8]) -> bool {
        PathFilter::of_prefix(start).admits(path, word(path))
    }

    #[test]
    fn other_prefixes_are_rejected() {
        assert!(admits(b"", b"/any") && admits(b"", b""));
        assert!(admits(b"/old", b"/old") && admits(b"/old", b"/old/page"));
        assert!(!admits(b"/old", b"/ol") && !admits(b"/old", b"/new"));
        assert!(admits(b"/1234567", b"/1234567") && !admits(b"/1234567", b"/1234568"));
        let long = b"/blog/2019/01/first";
        assert!(admits(long, long) && admits(long, b"/blog/2019/01/first/page"));
        assert!(!admits(long, b"/blog/2019/01/firsT") && !admits(long, b"/blog/2019/01/firs"));
    }

    proptest! {
        #[test]
        fn no_rule_that_holds_is_passed_over(
            prefixes in prop::collection::vec("(/[ab]{0,5}){1,4}", 0..20),
            path in "(/[ab]{0,5}){1,5}",
        ) {
            let all = prefixes.iter().map(|prefix| rule(prefix, &[]));
            let rules = Rules::new(all.collect());
            let found = candidates(&rules, &path);
            for (number, rule) in rules.iter().enumerate() {
                prop_assert!(found.contains(&number) || !rule.then.has(path.as_bytes()));
            }
        }

        #[test]
        fn no_path_that_begins_so_is_missed(
            start in prop::collection::vec(any::<u8>(), 0..30),
            rest in prop::collection::vec(any::<u8>(), 0..30),
        ) {
            let path = [start.as_slice(), &rest].concat();
            prop_assert!(admits(&start, &path));
        }
    }
}
