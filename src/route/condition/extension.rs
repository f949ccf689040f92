//! `extension`: what follows the last dot of a segment, without regard to case.

use super::spelling;
use crate::message::Request;
use crate::section::{At, Key, Kind, Problems};

/// The `extension` key.
pub const KEY: Key = Key::new("extension", Kind::Texts, "What follows the last dot of a segment of the path, without regard to case: one or a list of alternatives. Earlier segments count too, since /a.php/x runs a.php.").example("[\"css\", \"js\"]");

/// Extensions of which one must be the path's.
#[derive(Debug)]
pub struct Extension(pub(super) Vec<String>);

impl Extension {
    /// A leading dot may be written.
    pub fn new(texts: &[At<String>], problems: &mut Problems) -> Self {
        let extensions = texts.iter();
        extensions
            .clone()
            .for_each(|text| spelling::check_extension(text, problems));
        let extensions = extensions.map(|text| text.value.trim_start_matches('.').to_owned());
        Self(extensions.collect())
    }

    /// Whether it holds wherever `other` does.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|text| self.names(text.as_bytes()))
    }

    /// Whether the extension of the path's last segment is one of them, or that of an earlier one:
    /// `/a.php/x` runs `a.php` with a PATH_INFO, and a rule that denies scripts must see it.
    pub fn holds(&self, request: &Request) -> bool {
        self.has(request.target.path())
    }

    /// As [`Self::holds`], of a path.
    pub fn has(&self, path: &[u8]) -> bool {
        let mut segments = path.split(|byte| *byte == b'/');
        segments.any(|segment| {
            let dot = segment.iter().rposition(|byte| *byte == b'.');
            let extension = dot.and_then(|dot| segment.get(dot + 1..));
            extension.is_some_and(|extension| self.names(extension))
        })
    }

    fn names(&self, extension: &[u8]) -> bool {
        self.0
            .iter()
            .any(|wanted| wanted.as_bytes().eq_ignore_ascii_case(extension))
    }
}
