//! `match`: a regular expression on the decoded, normalised path, as ProxyPassMatch has; never on
//! the query.

use std::fmt;
use std::sync::Arc;

use super::by_path::below;
use super::expression::Expression;
use super::language::{self, Contradiction, Subject};
use super::set::Builder;
use super::{Condition, Cost, Criterion, Exhausted};
use crate::message::{Disk, Request};
use crate::route::template::Groups;
use crate::route::{Captures, TooHard};
use crate::section::{At, Key, Lowered, Problem, Problems};

/// The `match` key.
pub static KEY: Key<Option<At<String>>> = Key::text("match", "A regular expression in the spelling of PCRE on the path, decoded and normalised, never on the query. Its groups are $1 … $9 and ${name} in the action. Not anchored: write ^ and $. Back-references and look-around cost backtracking, which is bounded: a request that reaches the bound gets 500.").example("'^/wiki/(.*)$'");

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern(Expression);

impl Pattern {
    /// Compiles a pattern on the path; `None`, with a problem at its place, if it cannot be understood.
    /// Warns if it can match no path.
    pub fn new(text: &At<String>, problems: &mut Problems) -> Option<Self> {
        Self::of(Subject::Path, text, problems)
    }

    /// Compiles a pattern on the name of a file without its folder, likewise.
    pub fn of_name(text: &At<String>, problems: &mut Problems) -> Option<Self> {
        Self::of(Subject::Name, text, problems)
    }

    fn of(subject: Subject, text: &At<String>, problems: &mut Problems) -> Option<Self> {
        let expression = Expression::new(text, problems)?;
        if let Some(reason) = language::find_contradiction(&text.value, subject) {
            problems.warn(never_matches(text, reason));
        }
        Some(Self(expression))
    }

    /// The groups that templates may name.
    pub fn groups(&self) -> Groups {
        self.0.groups()
    }

    /// Whether it matches this text; `rule` is where it stands, for what goes wrong.
    pub fn is_match(&self, text: &[u8], rule: &Arc<str>) -> Result<bool, TooHard> {
        let found = self.0.is_match(text);
        found.map_err(|Exhausted { pattern }| TooHard {
            rule: Arc::clone(rule),
            pattern,
        })
    }

    /// Returns the literal beginning of every path that it matches; empty if it has none.
    pub(in crate::route) fn literal_start(&self) -> Vec<u8> {
        language::literal_start(self.0.written())
    }

    /// Reports whether a path matches; its groups are left in `captures`.
    pub fn has(&self, path: &[u8], captures: &mut Captures) -> Result<bool, Exhausted> {
        let Some(groups) = self.0.find(path)? else {
            return Ok(false);
        };
        captures.groups = groups;
        captures.names = Some(Arc::clone(self.0.names()));
        Ok(true)
    }
}

/// Builds the pattern of a section, whose groups what stands beside it may name.
pub(super) fn build(section: &Lowered, builder: &mut Builder<'_>) -> Option<Box<Pattern>> {
    let text = section.get(&KEY);
    let pattern = text.and_then(|text| Pattern::new(&text, builder.problems));
    builder.own = groups_of(section, pattern.as_ref());
    pattern.map(Box::new)
}

/// Returns the groups that templates beside the pattern of a section may name; any, where it could not be
/// understood.
pub(super) fn groups_of(section: &Lowered, pattern: Option<&Pattern>) -> Option<Groups> {
    let is_there = || section.is_given(&KEY) || section.is_wrong(&KEY);
    let groups = pattern.map(Pattern::groups);
    groups.or_else(|| is_there().then(Groups::unread))
}

impl Criterion for Pattern {
    fn cost(&self) -> Cost {
        Cost::Pattern
    }

    fn holds(
        &self,
        request: &Request,
        _: &dyn Disk,
        captures: &mut Captures,
    ) -> Result<bool, Exhausted> {
        self.has(request.target.path(), captures)
    }

    fn by_path(&self, path: &[u8], captures: &mut Captures) -> Option<bool> {
        self.has(path, captures).ok()
    }

    fn covers(&self, other: &Condition) -> bool {
        matches!(other, Condition::Pattern(other) if self.0.written() == other.0.written())
    }

    fn asks_for_target(&self) -> bool {
        true
    }

    fn add_examples(&self, found: &mut Vec<Vec<u8>>) {
        let mut texts = language::examples(self.0.written());
        if texts.is_empty() {
            // A pattern with look-around is not analysed; most are about scripts.
            texts.push(b".php".to_vec());
        }
        found.extend(texts.iter().map(|text| below(b"", text)));
    }

    fn as_pattern(&self) -> Option<&Pattern> {
        Some(self)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "match '{}'", self.0.written())
    }
}

fn never_matches(text: &At<String>, reason: Contradiction) -> Problem {
    let pattern = &text.value;
    let help = match reason {
        Contradiction::Query => {
            "add a condition on the query: `query = { name = \"page\", match = '^\\d+$' }`"
                .to_owned()
        }
        Contradiction::Slash => match pattern.strip_prefix('^') {
            Some(rest) => format!("write `^/{rest}`"),
            None => "begin it with a `/`".to_owned(),
        },
        Contradiction::Normalised => "write the path that they lead to".to_owned(),
        Contradiction::Folder => "leave the folder to `prefix` or `match`".to_owned(),
        Contradiction::Other => "correct it, or remove the rule".to_owned(),
    };
    let message = match reason {
        Contradiction::Query => {
            "matches only what a client has percent-encoded as `%3F`: a path has no query"
        }
        Contradiction::Slash => "can never match: a path begins with `/`",
        Contradiction::Normalised => {
            "can never match: `//`, `/./` and `/../` are resolved before rules are asked"
        }
        Contradiction::Folder => "can never match: the name of a file has no `/`",
        Contradiction::Other => "can never match: its parts contradict each other",
    };
    Problem::new(
        text.place.clone(),
        format!("the pattern `{pattern}` {message}"),
    )
    .help(help)
}
