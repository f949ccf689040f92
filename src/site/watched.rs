//! What a configuration was read from, to tell when it would be read differently: the files as they
//! were, and the patterns that may come to name others.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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
    pub(crate) fn file(&mut self, path: &Path) {
        self.seen.add(path);
    }

    /// The file at `from` includes what `pattern` names.
    pub(crate) fn pattern(&mut self, from: &Path, pattern: &str) {
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

/// The files that a pattern names, relative to the directory of the file it stands in, in the order
/// of their names. A wildcard may match none and passes over directories and hidden files, which are
/// often the backups of an editor; a plain path must exist.
pub(crate) fn matches(from: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let directory = from.parent().unwrap_or_else(|| Path::new(""));
    if !pattern.contains(['*', '?', '[']) {
        return Ok(vec![directory.join(pattern)]);
    }
    // Checked alone first, so that the message does not speak of the directory.
    glob::Pattern::new(pattern)
        .map_err(|error| format!("`{pattern}` is not a pattern: {}", error.msg))?;
    let directory = directory
        .to_str()
        .ok_or("the path of this file is not UTF-8, so no pattern can follow it")?;
    // The directory is meant literally. `join` lets an absolute pattern replace it.
    let whole = Path::new(&glob::Pattern::escape(directory)).join(pattern);
    let options = glob::MatchOptions {
        require_literal_leading_dot: true,
        ..glob::MatchOptions::new()
    };
    let found =
        glob::glob_with(&whole.to_string_lossy(), options).map_err(|error| error.to_string())?;
    let mut files = found
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    files.retain(|path| !path.is_dir());
    files.sort();
    Ok(files)
}
