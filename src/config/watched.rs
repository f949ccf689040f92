//! What a configuration was read from, to tell when it would be read differently: the files as they
//! were, and the patterns that may come to name others.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::source::matches;

/// What tells one state of a file from another; `None`: it is not there.
type Mark = Option<(u64, u64, u64, i64, i64)>;

/// The files of a configuration by path, each with its state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look(Vec<(PathBuf, Mark)>);

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    seen: Look,
    /// Each with the file that it stands in.
    patterns: Vec<(PathBuf, String)>,
}

impl Look {
    /// Adds the file at `path` as it is now; to be called before it is read, so that what changes
    /// in between looks changed afterwards. Blocks.
    fn add(&mut self, path: &Path) {
        if let Err(place) = self.0.binary_search_by(|(known, _)| (**known).cmp(path)) {
            self.0.insert(place, (path.to_owned(), mark(path)));
        }
    }
}

impl Watched {
    /// The file at `path` is about to be read.
    pub(super) fn file(&mut self, path: &Path) {
        self.seen.add(path);
    }

    /// The file at `from` includes what `pattern` names.
    pub(super) fn pattern(&mut self, from: &Path, pattern: &str) {
        self.patterns.push((from.to_owned(), pattern.to_owned()));
    }

    /// The files as they were when they were read.
    pub fn seen(&self) -> &Look {
        &self.seen
    }

    /// The same files as they are now, and those that the patterns name by now. Blocks.
    pub fn look(&self) -> Look {
        let mut look = Look::default();
        for (path, _) in &self.seen.0 {
            look.add(path);
        }
        for (from, pattern) in &self.patterns {
            // A folder that cannot be read now names nothing new.
            for path in matches(from, pattern).unwrap_or_default() {
                look.add(&path);
            }
        }
        look
    }
}

fn mark(path: &Path) -> Mark {
    let found = std::fs::metadata(path).ok()?;
    Some((
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
    ))
}
