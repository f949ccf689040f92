//! `match`: a regular expression on the decoded, normalised path, as ProxyPassMatch has; never on
//! the query.

use std::sync::Arc;

use super::expression::{Exhausted, Expression};
use crate::message::Request;
use crate::route::template::Groups;
use crate::route::{Captures, TooHard};
use crate::section::{At, Key, Kind, Problems};

/// The `match` key.
pub const KEY: Key = Key::new("match", Kind::Text, "A regular expression in the spelling of PCRE on the path, decoded and normalised, never on the query. Its groups are $1 … $9 and ${name} in the action. Not anchored: write ^ and $. Back-references and look-around cost backtracking, which is bounded: a request that reaches the bound gets 500.").example("'^/wiki/(.*)$'");

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern(pub(super) Expression);

impl Pattern {
    /// None, with a problem that shows where, when it cannot be understood.
    pub fn new(text: &At<String>, problems: &mut Problems) -> Option<Self> {
        Expression::new(text, problems).map(Self)
    }

    /// The groups that templates may name.
    pub fn groups(&self) -> Groups {
        self.0.groups()
    }

    /// Whether two were written alike.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0.written() == other.0.written()
    }

    /// Whether it matches this text; `rule` is where it stands, for what goes wrong.
    pub fn is_match(&self, text: &[u8], rule: &Arc<str>) -> Result<bool, TooHard> {
        let found = self.0.is_match(text);
        found.map_err(|Exhausted { pattern }| TooHard {
            rule: Arc::clone(rule),
            pattern,
        })
    }

    /// Whether the path matches; its groups are left in `captures`.
    pub fn holds(&self, request: &Request, captures: &mut Captures) -> Result<bool, Exhausted> {
        let Some(groups) = self.0.find(request.target.path())? else {
            return Ok(false);
        };
        captures.groups = groups;
        captures.names = Some(Arc::clone(self.0.names()));
        Ok(true)
    }
}
