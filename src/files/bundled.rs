//! Loading from a bundle: a configuration that asks for more than its bundle has is not the one that was recorded.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::bundle::{Bundle, Facts};
use super::{Content, Status};

/// A bundle that is loaded from.
#[derive(Debug)]
pub(super) struct Bundled {
    bundle: Bundle,
    /// The first path that the bundle lacks.
    lacking: Mutex<Option<PathBuf>>,
}

impl Bundled {
    pub(super) fn new(bundle: Bundle) -> Self {
        Self {
            bundle,
            lacking: Mutex::default(),
        }
    }

    /// Returns a copy of the bundle.
    pub(super) fn all(&self) -> Bundle {
        self.bundle.clone()
    }

    pub(super) fn content(&self, path: &Path, limit: u64) -> io::Result<Content> {
        let content = self.fact(path, |facts| facts.content.clone());
        content.and_then(|content| content.within(limit))
    }

    pub(super) fn status(&self, path: &Path) -> io::Result<Status> {
        self.fact(path, |facts| facts.status)
    }

    pub(super) fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        let canonical = self.fact(path, |facts| facts.canonical.clone());
        canonical.map(PathBuf::from)
    }

    pub(super) fn matches(&self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let lacks = || Err(self.lacks(pattern.as_ref()).to_string());
        self.bundle.matches(pattern).unwrap_or_else(lacks)
    }

    /// Returns the first path that a load has asked for and that the bundle lacks.
    pub(super) fn lacking(&self) -> Option<PathBuf> {
        let lacking = self.lacking.lock();
        lacking.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fact<T>(
        &self,
        path: &Path,
        fact: impl Fn(&Facts) -> Option<Result<T, i32>>,
    ) -> io::Result<T> {
        let known = self.bundle.known(path).and_then(fact);
        let fact = known.ok_or_else(|| self.lacks(path))?;
        fact.map_err(io::Error::from_raw_os_error)
    }

    fn lacks(&self, path: &Path) -> io::Error {
        let mut lacking = self.lacking.lock().unwrap_or_else(PoisonError::into_inner);
        lacking.get_or_insert_with(|| path.to_owned());
        io::Error::other("the configuration changed while it was loaded")
    }
}
