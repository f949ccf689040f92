//! `path`: the whole path, exactly.

use super::absolute;
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
pub struct Path(Vec<Vec<u8>>);

impl Path {
    /// None when no path is given.
    pub fn new(texts: &[At<String>], problems: &mut Problems) -> Option<Self> {
        let paths: Vec<_> = texts
            .iter()
            .filter_map(|text| absolute(text, problems))
            .collect();
        (!paths.is_empty()).then_some(Self(paths))
    }

    /// Whether the request's path is one of them.
    pub fn holds(&self, request: &Request) -> bool {
        self.0.iter().any(|path| path == request.target.path())
    }
}
