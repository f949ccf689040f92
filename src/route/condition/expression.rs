//! Regular expressions on bytes: matched in linear time where possible, else with bounded backtracking.

use std::ops::Range;
use std::sync::Arc;

use fancy_regex::BytesMode;
use regex::bytes::{Regex, RegexBuilder};

use super::pcre::{self, Refusal};
use crate::route::template::Groups;
use crate::section::{At, Place, Problem, Problems};

/// Size limit of a compiled pattern, in bytes: the regex crate's own default, against patterns that
/// exhaust the gateway's memory.
const SIZE_LIMIT: usize = 10 * 1024 * 1024;

/// Backtracking steps of one search: some milliseconds, more than legitimate paths need.
const BACKTRACK_LIMIT: usize = 100_000;

/// Failed search: it exceeded the backtracking limit, so the match is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// The pattern as written.
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

/// Ranges of the groups in the subject; 0 is the whole match.
pub(super) type Found = Vec<Option<Range<usize>>>;

impl Expression {
    /// Compiles a pattern in PCRE syntax; `None`, with a problem at its place, if it is invalid.
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

    /// Returns the pattern as written.
    pub(super) fn written(&self) -> &str {
        &self.written
    }

    /// Returns the group names, indexed by group number.
    pub(super) fn names(&self) -> &Arc<[Option<String>]> {
        &self.names
    }

    /// Returns the groups for templates.
    pub(super) fn groups(&self) -> Groups {
        Groups::new(
            self.names.len().saturating_sub(1),
            self.names.iter().flatten().cloned().collect(),
        )
    }

    /// Reports whether the pattern matches anywhere in the subject.
    pub(super) fn is_match(&self, subject: &[u8]) -> Result<bool, Exhausted> {
        match &self.engine {
            Engine::Linear(regex) => Ok(regex.is_match(subject)),
            Engine::Backtracking(regex) => regex.is_match(subject).map_err(|_| self.exhausted()),
        }
    }

    /// Returns the ranges of the groups if the pattern matches.
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

// In both engines `.` matches a newline too, so that no byte moves a split (CVE-2019-11043).

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

/// Returns the place of a part of a text: exact if the source is the text between two quotes.
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

/// Returns the last line: the regex crate draws the pattern first and puts the error last.
fn last_line(error: &str) -> &str {
    error
        .lines()
        .last()
        .unwrap_or(error)
        .trim_start_matches("error: ")
}
