//! `prefix`: leading whole segments. `/old` holds for `/old` and `/old/x`, not for `/older`.

use std::fmt;

use super::set::Builder;
use super::{Condition, Cost, Criterion, Exhausted, absolute};
use crate::message::{Disk, Request};
use crate::route::Captures;
use crate::section::{At, Key, Lowered, Problems};

/// The `prefix` key.
pub static KEY: Key<Option<At<String>>> = Key::text("prefix", "Leading whole segments of the path: \"/old\" and \"/old/\" hold for /old/x, and never for /older. What follows is $rest.").example("\"/old/\"");

/// The segments that the path must begin with.
#[derive(Clone, Debug)]
pub struct Prefix(Vec<u8>);

impl Prefix {
    /// None, with a problem, when it does not begin with a slash.
    pub fn new(text: &At<String>, problems: &mut Problems) -> Option<Self> {
        absolute(text, problems).map(Self)
    }

    /// Builds one of the segments of a path that begins with a slash and does not end with one.
    pub(in crate::route) fn of(segments: &str) -> Self {
        Self(segments.into())
    }

    /// Reports whether a path begins with it; `$rest` becomes the remainder, without a leading slash.
    fn take(&self, path: &[u8], captures: &mut Captures) -> bool {
        let Some(rest) = self.rest(path) else {
            return false;
        };
        let slash = usize::from(rest.starts_with(b"/"));
        captures.rest = self.0.len() + slash;
        true
    }

    /// Whether a path begins with it.
    pub fn has(&self, path: &[u8]) -> bool {
        self.rest(path).is_some()
    }

    /// Reports whether every path that begins with these bytes begins with it.
    pub(in crate::route) fn has_below(&self, start: &[u8]) -> bool {
        let rest = self.rest(start);
        rest.is_some_and(|rest| !rest.is_empty() || self.0.ends_with(b"/"))
    }

    /// What the path begins with.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn rest<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        let rest = path.strip_prefix(self.0.as_slice())?;
        let whole = rest.is_empty() || self.0.ends_with(b"/") || rest.starts_with(b"/");
        whole.then_some(rest)
    }
}

pub(super) fn build(section: &Lowered, builder: &mut Builder<'_>) -> Option<Prefix> {
    Prefix::new(&section.get(&KEY)?, builder.problems)
}

impl Criterion for Prefix {
    fn cost(&self) -> Cost {
        Cost::Path
    }

    fn holds(
        &self,
        request: &Request,
        _: &dyn Disk,
        captures: &mut Captures,
    ) -> Result<bool, Exhausted> {
        Ok(self.take(request.target.path(), captures))
    }

    fn by_path(&self, path: &[u8], captures: &mut Captures) -> Option<bool> {
        Some(self.take(path, captures))
    }

    fn covers(&self, other: &Condition) -> bool {
        if let Condition::Path(other) = other {
            return other.lies_below(self);
        }
        if let Condition::Pattern(other) = other {
            return self.has_below(&other.literal_start());
        }
        matches!(other, Condition::Prefix(other) if self.has(&other.0))
    }

    fn asks_for_target(&self) -> bool {
        true
    }

    fn names_paths(&self) -> bool {
        true
    }

    fn start(&self) -> Option<&[u8]> {
        Some(&self.0)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prefix {}", String::from_utf8_lossy(&self.0))
    }
}
