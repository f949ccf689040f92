//! Files and include patterns that a configuration was read from, for the detection of changes.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// State of a file: device, inode, size, and time of modification; `None` for a missing one.
type FileState = Option<(u64, u64, u64, i64, i64)>;

/// States of the files of a configuration, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStates(Vec<(PathBuf, FileState)>);

/// Files and patterns of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedFiles {
    seen: FileStates,
    /// Include patterns, each with its file.
    patterns: Vec<(PathBuf, String)>,
}

impl FileStates {
    /// Adds the current state of a file. Called before the file is read, so that a change in between is
    /// detected afterwards. Blocks.
    fn add(&mut self, path: &Path) {
        if let Err(place) = self.0.binary_search_by(|(known, _)| (**known).cmp(path)) {
            self.0.insert(place, (path.to_owned(), file_state(path)));
        }
    }
}

impl WatchedFiles {
    /// Adds a file that is about to be read.
    pub(crate) fn add_file(&mut self, path: &Path) {
        self.seen.add(path);
    }

    /// Adds an include pattern of the file at `from`.
    pub(crate) fn add_pattern(&mut self, from: &Path, pattern: &str) {
        self.patterns.push((from.to_owned(), pattern.to_owned()));
    }

    /// Returns the states of the files at their read.
    pub fn seen(&self) -> &FileStates {
        &self.seen
    }

    /// Returns the current states of these files, and of all that the patterns match now. Blocks.
    pub fn scan(&self) -> FileStates {
        let mut states = FileStates::default();
        for (path, _) in &self.seen.0 {
            states.add(path);
        }
        for (from, pattern) in &self.patterns {
            // A folder that cannot be read now adds no files.
            for path in expand_pattern(from, pattern).unwrap_or_default() {
                states.add(&path);
            }
        }
        states
    }
}

fn file_state(path: &Path) -> FileState {
    let found = std::fs::metadata(path).ok()?;
    Some((
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
    ))
}

/// Returns the files that match a pattern, relative to the directory of the file `from`, in the order
/// of their names. A wildcard may match none and skips directories and hidden files, which are often
/// the backups of an editor; a plain path must exist.
pub(crate) fn expand_pattern(from: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let directory = from.parent().unwrap_or_else(|| Path::new(""));
    if !pattern.contains(['*', '?', '[']) {
        return Ok(vec![directory.join(pattern)]);
    }
    // The pattern is checked alone first, so that the message does not name the directory.
    glob::Pattern::new(pattern)
        .map_err(|error| format!("`{pattern}` is not a pattern: {}", error.msg))?;
    let directory = directory
        .to_str()
        .ok_or("the path of this file is not UTF-8, so no pattern can follow it")?;
    // The directory is literal. `join` lets an absolute pattern replace it.
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
