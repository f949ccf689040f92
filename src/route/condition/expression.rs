//! A regular expression on bytes: in linear time wherever that is possible, with a bound on
//! backtracking where it is not.

use std::ops::Range;
use std::sync::Arc;

use fancy_regex::BytesMode;
use regex::bytes::{Regex, RegexBuilder};

use super::pcre::{self, Refusal};
use crate::route::template::Groups;
use crate::section::{At, Place, Problem, Problems};

/// The largest compiled pattern, in bytes: the regex crate's own default, against patterns that
/// would eat the memory of the gateway.
const SIZE_LIMIT: usize = 10 * 1024 * 1024;

/// Steps back that one search may take: some milliseconds, which no honest path needs.
const BACKTRACK_LIMIT: usize = 100_000;

/// A search that took more steps back than one may: whether the pattern matches is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// The pattern as it was written.
    pub pattern: Arc<str>,
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Expression {
    engine: Engine,
    written: Arc<str>,
    names: Arc<[Option<String>]>,
}

#[derive(Debug)]
enum Engine {
    Linear(Regex),
    /// For back-references, look-around, atomic groups and possessive quantifiers.
    Backtracking(Box<fancy_regex::Regex>),
}

/// What the groups took, as places in the subject; 0 is the whole match.
pub(super) type Found = Vec<Option<Range<usize>>>;

impl Expression {
    /// From PCRE's spelling. None, with a problem that shows where, when it cannot be understood.
    pub(super) fn new(text: &At<String>, problems: &mut Problems) -> Option<Self> {
        let compiled = match pcre::translate(&text.value) {
            Ok(translated) if translated.backtracks => backtracking(&translated.text),
            Ok(translated) => linear(&translated.text),
            Err(refusal) => {
                problems.push(refused(text, refusal));
                return None;
            }
        };
        match compiled {
            Ok(engine) => Some(Self {
                names: engine.names(),
                engine,
                written: text.value.as_str().into(),
            }),
            Err(reason) => {
                let message = format!("`{}` is not a regular expression: {reason}", text.value);
                problems.push(Problem::new(text.place.clone(), message));
                None
            }
        }
    }

    /// As it was written.
    pub(super) fn written(&self) -> &str {
        &self.written
    }

    /// The names of its groups by their numbers.
    pub(super) fn names(&self) -> &Arc<[Option<String>]> {
        &self.names
    }

    /// The groups that templates may name.
    pub(super) fn groups(&self) -> Groups {
        Groups::new(
            self.names.len().saturating_sub(1),
            self.names.iter().flatten().cloned().collect(),
        )
    }

    /// Whether it matches somewhere.
    pub(super) fn is_match(&self, subject: &[u8]) -> Result<bool, Exhausted> {
        match &self.engine {
            Engine::Linear(regex) => Ok(regex.is_match(subject)),
            Engine::Backtracking(regex) => regex.is_match(subject).map_err(|_| self.exhausted()),
        }
    }

    /// What its groups took, where it matches.
    pub(super) fn find(&self, subject: &[u8]) -> Result<Option<Found>, Exhausted> {
        match &self.engine {
            Engine::Linear(regex) => Ok(self.find_linear(regex, subject)),
            Engine::Backtracking(regex) => {
                let found = regex.captures(subject).map_err(|_| self.exhausted())?;
                Ok(found.map(|found| {
                    let groups = found.iter();
                    groups.map(|group| group.map(|text| text.range())).collect()
                }))
            }
        }
    }

    fn find_linear(&self, regex: &Regex, subject: &[u8]) -> Option<Found> {
        if self.names.len() == 1 {
            return regex.find(subject).map(|whole| vec![Some(whole.range())]);
        }
        // A failed search is far cheaper than one that keeps captures (docs/internals/limits.md, "Regular
        // expressions").
        if !regex.is_match(subject) {
            return None;
        }
        let found = regex.captures(subject)?;
        let groups = found.iter();
        Some(groups.map(|group| group.map(|text| text.range())).collect())
    }

    fn exhausted(&self) -> Exhausted {
        Exhausted {
            pattern: Arc::clone(&self.written),
        }
    }
}

impl Engine {
    fn names(&self) -> Arc<[Option<String>]> {
        let owned = |name: Option<&str>| name.map(str::to_owned);
        match self {
            Self::Linear(regex) => regex.capture_names().map(owned).collect(),
            Self::Backtracking(regex) => regex.capture_names().map(owned).collect(),
        }
    }
}

// In both, `.` matches a newline too, so that no byte moves a split (CVE-2019-11043).

fn linear(pattern: &str) -> Result<Engine, String> {
    let built = RegexBuilder::new(pattern)
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(SIZE_LIMIT)
        .build();
    built
        .map(Engine::Linear)
        .map_err(|error| last_line(&error.to_string()).to_owned())
}

fn backtracking(pattern: &str) -> Result<Engine, String> {
    let built = fancy_regex::RegexBuilder::new(pattern)
        .bytes_mode(BytesMode::Ascii)
        .dot_matches_new_line(true)
        .backtrack_limit(BACKTRACK_LIMIT)
        .delegate_size_limit(SIZE_LIMIT)
        .build();
    built
        .map(|regex| Engine::Backtracking(Box::new(regex)))
        .map_err(|error| last_line(&error.to_string()).to_owned())
}

fn refused(text: &At<String>, refusal: Refusal) -> Problem {
    let message = format!("the pattern cannot be used: {}", refusal.message);
    Problem::new(within(text, refusal.range), message)
}

/// The place of a part of a text: exact where what is written is the text between two quotes.
pub(super) fn within(text: &At<String>, part: Range<usize>) -> Place {
    let span = &text.place.span;
    if span.len() != text.value.len() + 2 {
        return text.place.clone();
    }
    let begin = span.start + 1;
    Place {
        file: text.place.file,
        span: begin + part.start..begin + part.end,
    }
}

/// The regex crate draws the pattern first and says what is wrong in the last line.
fn last_line(error: &str) -> &str {
    error
        .lines()
        .last()
        .unwrap_or(error)
        .trim_start_matches("error: ")
}
