//! `extension`: what follows the last dot of a segment, without regard to case.

use std::fmt;

use super::set::Builder;
use super::{Condition, Cost, Criterion, Exhausted, listed, spelling};
use crate::message::{Disk, Request};
use crate::route::Captures;
use crate::section::{At, Key, Lowered, Problems};

/// The `extension` key.
pub(super) static KEY: Key<Vec<At<String>>> = Key::texts("extension", "What follows the last dot of a segment of the path, without regard to case: one or a list of alternatives. Earlier segments count too, since /a.php/x runs a.php.").example("[\"css\", \"js\"]");

/// Extensions of which one must be the path's.
#[derive(Debug)]
pub struct Extension(Vec<String>);

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

    /// Reports whether the extension of the last segment is one of them, or that of an earlier one:
    /// `/a.php/x` runs `a.php` with a PATH_INFO, and a rule that denies scripts must see it.
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

pub(super) fn build(section: &Lowered, builder: &mut Builder<'_>) -> Option<Extension> {
    let texts = listed(section, &KEY, builder.problems)?;
    Some(Extension::new(&texts, builder.problems))
}

impl Criterion for Extension {
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
        matches!(other, Condition::Extension(other) if other.0.iter().all(|text| self.names(text.as_bytes())))
    }

    fn asks_for_target(&self) -> bool {
        true
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "extension {}", self.0.join(" or "))
    }
}
