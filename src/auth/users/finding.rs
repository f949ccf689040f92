//! Errors and warnings about files of users and groups.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Error of a file that cannot be used. Names the file, the reason, and the remedy where there is one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Unavailable {
    text: Arc<str>,
    path: Arc<Path>,
    is_missing: bool,
}

impl Unavailable {
    /// Builds the error of the file at `path`; `what` continues the sentence that begins with its name.
    pub fn new(path: &Path, what: impl fmt::Display) -> Self {
        Self {
            text: format!("{} {what}", path.display()).into(),
            path: path.into(),
            is_missing: false,
        }
    }

    /// Builds the error of a file that cannot be read.
    pub fn unread(path: &Path, error: &io::Error) -> Self {
        Self {
            is_missing: error.kind() == io::ErrorKind::NotFound,
            ..Self::new(path, format_args!("cannot be read: {error}"))
        }
    }

    /// Reports whether it is the error of the file at `path`.
    pub fn is_of(&self, path: &Path) -> bool {
        *self.path == *path
    }

    /// Reports whether there is no file.
    pub fn is_missing(&self) -> bool {
        self.is_missing
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

/// The lines of a file that have no effect.
#[derive(Debug, Default)]
pub struct Findings {
    first: Vec<Finding>,
    /// Number of further lines.
    further: usize,
}

impl Findings {
    /// Returns the findings of the first twenty lines without effect.
    pub fn first(&self) -> &[Finding] {
        &self.first
    }

    /// Returns the warnings about the file at `path`.
    pub fn warnings(&self, path: &Path) -> Vec<String> {
        let path = path.display();
        let first = self.first.iter();
        let mut warnings: Vec<_> = first
            .map(|Finding { line, what }| format!("{path}:{line}: {what}"))
            .collect();
        if self.further > 0 {
            warnings.push(format!(
                "{path}: {} more lines have no effect",
                self.further
            ));
        }
        warnings
    }

    pub(super) fn add(&mut self, line: usize, what: String) {
        if self.first.len() < MOST_FINDINGS {
            self.first.push(Finding { line, what });
        } else {
            self.further += 1;
        }
    }
}

/// Limit of the findings that are reported one by one: a file of another format has one in each line.
const MOST_FINDINGS: usize = 20;

/// Returns a name of a file as it may stand in a message.
pub(super) fn show_name(name: &[u8]) -> String {
    String::from_utf8_lossy(name).escape_debug().to_string()
}
