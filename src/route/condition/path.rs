//! `path`: the whole path, exactly.

use super::{Prefix, absolute};
use crate::message::Request;
use crate::section::{At, Key, Kind, Problems};

/// The `path` key.
pub const KEY: Key = Key::new(
    "path",
    Kind::Texts,
    "The whole path, decoded and normalised: one or a list of alternatives.",
)
.example("[\"/status\"]");

/// Paths of which one must be the request's.
#[derive(Debug)]
pub struct Path(pub(super) Vec<Vec<u8>>);

impl Path {
    /// What is no path is a problem.
    pub fn new(texts: &[At<String>], problems: &mut Problems) -> Self {
        let paths = texts.iter().filter_map(|text| absolute(text, problems));
        Self(paths.collect())
    }

    /// Whether it holds wherever `other` does.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|path| self.0.contains(path))
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

    /// Whether the request's path is one of them.
    pub fn holds(&self, request: &Request) -> bool {
        self.has(request.target.path())
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
