//! `prefix`: leading whole segments. `/old` holds for `/old` and `/old/x`, not for `/older`.

use super::absolute;
use crate::message::Request;
use crate::route::Captures;
use crate::section::{At, Key, Kind, Problems};

/// The `prefix` key.
pub const KEY: Key = Key::new("prefix", Kind::Text, "Leading whole segments of the path: \"/old\" and \"/old/\" hold for /old/x, and never for /older. What follows is $rest.").example("\"/old/\"");

/// The segments that the path must begin with.
#[derive(Clone, Debug)]
pub struct Prefix(pub(super) Vec<u8>);

impl Prefix {
    /// None, with a problem, when it does not begin with a slash.
    pub fn new(text: &At<String>, problems: &mut Problems) -> Option<Self> {
        absolute(text, problems).map(Self)
    }

    /// Of the segments of a path that begins with a slash and does not end with one.
    pub(in crate::route) fn of(segments: &str) -> Self {
        Self(segments.into())
    }

    /// Whether the path begins with it; `$rest` becomes what follows, without a leading slash.
    pub fn holds(&self, request: &Request, captures: &mut Captures) -> bool {
        self.take(request.target.path(), captures)
    }

    /// As [`Self::holds`], of a path.
    pub(super) fn take(&self, path: &[u8], captures: &mut Captures) -> bool {
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

    /// Whether it holds wherever `other` does.
    pub fn covers(&self, other: &Self) -> bool {
        self.has(&other.0)
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
