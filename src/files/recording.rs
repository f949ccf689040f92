//! A record of all that a load reads.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::bundle::{Bundle, MAX_BYTES, MAX_FACTS};
use super::{Content, Status};

/// A record of the files that loads have read, and of those that are opened again.
#[derive(Debug, Default)]
pub(super) struct Recording {
    pub(super) bundle: Bundle,
    files: BTreeSet<PathBuf>,
    logs: BTreeSet<PathBuf>,
}

/// The files that are opened again after a load, each once, in the order of their paths. A process without rights asks
/// for them by index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// Certificates, keys, authorities, users and groups, which are read again when they change.
    pub files: Vec<PathBuf>,
    /// Logs.
    pub logs: Vec<PathBuf>,
}

/// Limit of [`Granted`]: a certificate, a key and a log for each of twenty thousand sites.
const MAX_GRANTED: usize = 65_536;

/// Error of a configuration that names too many files, or too large ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the configuration needs {count} {what}, more than {limit}: let sites share certificates, users and pages"
)]
pub struct TooManyFiles {
    count: usize,
    what: &'static str,
    limit: usize,
}

impl Recording {
    pub(super) fn add_content(&mut self, path: &Path, content: &io::Result<Content>) {
        self.bundle.facts_of(path).content = Some(recorded(content));
    }

    pub(super) fn add_status(&mut self, path: &Path, status: &io::Result<Status>) {
        self.bundle.facts_of(path).status = Some(recorded(status));
    }

    pub(super) fn add_canonical(&mut self, path: &Path, canonical: &io::Result<PathBuf>) {
        let canonical = recorded(canonical).map(PathBuf::into_os_string);
        self.bundle.facts_of(path).canonical = Some(canonical);
    }

    pub(super) fn add_matches(&mut self, pattern: &str, matches: &Result<Vec<PathBuf>, String>) {
        self.bundle.add_matches(pattern, matches.clone());
    }

    pub(super) fn grant(&mut self, path: &Path) {
        self.files.insert(path.to_owned());
    }

    pub(super) fn grant_log(&mut self, path: &Path) {
        self.logs.insert(path.to_owned());
    }

    pub(super) fn bundle(&self) -> Result<Bundle, TooManyFiles> {
        within(self.bundle.count(), "facts about its files", MAX_FACTS)?;
        within(self.bundle.size(), "bytes of its files", MAX_BYTES)?;
        Ok(self.bundle.clone())
    }

    pub(super) fn granted(&self) -> Result<Granted, TooManyFiles> {
        let count = self.files.len().saturating_add(self.logs.len());
        within(count, "files that are read again", MAX_GRANTED)?;
        Ok(Granted {
            files: self.files.iter().cloned().collect(),
            logs: self.logs.iter().cloned().collect(),
        })
    }
}

fn within(count: usize, what: &'static str, limit: usize) -> Result<(), TooManyFiles> {
    let excess = TooManyFiles { count, what, limit };
    if count > limit { Err(excess) } else { Ok(()) }
}

/// Returns a result as it is recorded. An error without errno is that of a path that no system call takes.
fn recorded<T: Clone>(result: &io::Result<T>) -> Result<T, i32> {
    let errno = |error: &io::Error| error.raw_os_error().unwrap_or(Errno::EINVAL as i32);
    match result {
        Ok(fact) => Ok(fact.clone()),
        Err(error) => Err(errno(error)),
    }
}
