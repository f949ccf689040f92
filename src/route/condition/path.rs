//! `path`: the whole path, exactly.

use std::fmt;

use super::set::Builder;
use super::shown::bytes;
use super::{Condition, Cost, Criterion, Exhausted, Prefix, absolute, listed};
use crate::message::{Disk, Request};
use crate::route::Captures;
use crate::section::{At, Key, Lowered, Problems};

/// The `path` key.
pub(super) static KEY: Key<Vec<At<String>>> = Key::texts(
    "path",
    "The whole path, decoded and normalised: one or a list of alternatives.",
)
.example("[\"/status\"]");

/// Paths of which one must be the request's.
#[derive(Debug)]
pub struct Path(Vec<Vec<u8>>);

impl Path {
    /// What is no path is a problem.
    pub fn new(texts: &[At<String>], problems: &mut Problems) -> Self {
        let paths = texts.iter().filter_map(|text| absolute(text, problems));
        Self(paths.collect())
    }

    /// Whether all of its paths lie below a prefix.
    pub fn lies_below(&self, prefix: &Prefix) -> bool {
        self.0.iter().all(|path| prefix.has(path))
    }

    /// The path, where there is one alone.
    pub fn only(&self) -> Option<&[u8]> {
        match self.0.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Reports whether this is one of them.
    pub fn has(&self, path: &[u8]) -> bool {
        self.0.iter().any(|known| known == path)
    }

    /// Returns all of them.
    pub(in crate::route) fn all(&self) -> &[Vec<u8>] {
        &self.0
    }
}

pub(super) fn build(section: &Lowered, builder: &mut Builder<'_>) -> Option<Path> {
    let texts = listed(section, &KEY, builder.problems)?;
    Some(Path::new(&texts, builder.problems))
}

impl Criterion for Path {
    fn cost(&self) -> Cost {
        Cost::Path
    }

    fn holds(&self, request: &Request, _: &dyn Disk, _: &mut Captures) -> Result<bool, Exhausted> {
        Ok(self.has(request.target.path()))
    }

    fn by_path(&self, path: &[u8], _: &mut Captures) -> Option<bool> {
        Some(self.has(path))
    }

    fn covers(&self, other: &Condition) -> bool {
        matches!(other, Condition::Path(other) if other.0.iter().all(|path| self.has(path)))
    }

    fn asks_for_target(&self) -> bool {
        true
    }

    fn names_paths(&self) -> bool {
        true
    }

    fn start(&self) -> Option<&[u8]> {
        self.only()
    }

    fn add_examples(&self, found: &mut Vec<Vec<u8>>) {
        found.extend_from_slice(&self.0);
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "path {}", bytes(&self.0))
    }
}
