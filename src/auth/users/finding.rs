//! Errors and warnings about files of users and groups.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Error of a file that cannot be used. Names the file, the reason, and the remedy where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(Arc<str>);

impl Unavailable {
    /// Builds the error of the file at `path`; `what` continues the sentence that begins with its name.
    pub fn new(path: &Path, what: impl fmt::Display) -> Self {
        Self(format!("{} {what}", path.display()).into())
    }
}

/// A line of a file that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Line number, from 1.
    pub line: usize,
    /// The defect, its consequence and its remedy.
    pub what: String,
}

impl Finding {
    /// Returns the warning about this line of the file at `path`.
    pub fn show(&self, path: &Path) -> String {
        format!("{}:{}: {}", path.display(), self.line, self.what)
    }
}

/// Returns a name of a file as it may stand in a message.
pub(super) fn show_name(name: &[u8]) -> String {
    String::from_utf8_lossy(name).escape_debug().to_string()
}
