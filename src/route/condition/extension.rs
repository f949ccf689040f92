//! `extension`: what follows the last dot of the last segment, without regard to case.

use crate::message::Request;
use crate::section::{At, Key, Kind};

/// The `extension` key.
pub const KEY: Key = Key::new("extension", Kind::Texts, "What follows the last dot of the path's last segment, without regard to case: one or a list of alternatives.").example("[\"css\", \"js\"]");

/// Extensions of which one must be the path's.
#[derive(Debug)]
pub struct Extension(Vec<String>);

impl Extension {
    /// None when none is given; a leading dot may be written.
    pub fn new(texts: &[At<String>]) -> Option<Self> {
        let extensions: Vec<_> = texts
            .iter()
            .map(|text| text.value.trim_start_matches('.').to_owned())
            .collect();
        (!extensions.is_empty()).then_some(Self(extensions))
    }

    /// Whether the path's extension is one of them.
    pub fn holds(&self, request: &Request) -> bool {
        let Some(extension) = request.target.extension() else {
            return false;
        };
        self.0
            .iter()
            .any(|wanted| wanted.as_bytes().eq_ignore_ascii_case(extension))
    }
}
