//! `match`: a regular expression on the decoded, normalised path, as ProxyPassMatch has; never on
//! the query.

use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};

use crate::message::Request;
use crate::route::Captures;
use crate::route::template::Groups;
use crate::section::{At, Key, Kind, Problem, Problems};

/// The `match` key.
pub const KEY: Key = Key::new("match", Kind::Text, "A regular expression on the path, decoded and normalised, never on the query. Its groups are $1 … $9 and ${name} in the action. Not anchored: write ^ and $.").example("'^/wiki/(.*)$'");

/// The largest compiled pattern, in bytes: the regex crate's own default, against patterns that
/// would eat the memory of the gateway.
const SIZE_LIMIT: usize = 10 * 1024 * 1024;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    names: Arc<[Option<String>]>,
}

impl Pattern {
    /// None, with a problem that shows where, when it does not compile.
    pub fn new(text: &At<String>, problems: &mut Problems) -> Option<Self> {
        // Paths are bytes; and `.` matches a newline too, so that no byte moves a split
        // (CVE-2019-11043).
        let built = RegexBuilder::new(&text.value)
            .unicode(false)
            .dot_matches_new_line(true)
            .size_limit(SIZE_LIMIT)
            .build();
        match built {
            Ok(regex) => {
                let names = regex
                    .capture_names()
                    .map(|name| name.map(str::to_owned))
                    .collect();
                Some(Self { regex, names })
            }
            Err(error) => {
                problems.push(Problem::new(text.place.clone(), format!("`{}` is not a regular expression: {}", text.value, last_line(&error.to_string()))).help("the syntax is that of Rust's regex crate: no look-around and no back-references"));
                None
            }
        }
    }

    /// The groups that templates may name.
    pub fn groups(&self) -> Groups {
        Groups::new(
            self.regex.captures_len() - 1,
            self.names.iter().flatten().cloned().collect(),
        )
    }

    /// Whether it matches this text.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.regex.is_match(text)
    }

    /// Whether the path matches; its groups are left in `captures`.
    pub fn holds(&self, request: &Request, captures: &mut Captures) -> bool {
        let path = request.target.path();
        if self.regex.captures_len() == 1 {
            return match self.regex.find(path) {
                Some(whole) => {
                    captures.groups = vec![Some(whole.range())];
                    true
                }
                None => false,
            };
        }
        // A failed search is far cheaper than one that keeps captures (crates.md, Regex).
        if !self.regex.is_match(path) {
            return false;
        }
        let Some(found) = self.regex.captures(path) else {
            return false;
        };
        captures.groups = found
            .iter()
            .map(|group| group.map(|text| text.range()))
            .collect();
        captures.names = Some(Arc::clone(&self.names));
        true
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
