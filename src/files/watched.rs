//! Files and include patterns that a configuration was read from, for the detection of changes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Files, Status};

/// State of a file: device, inode, size, and time of modification; `None` for a missing one.
type FileState = Option<(u64, u64, u64, (i64, i64))>;

/// States of the files of a configuration, by path. Paths are encoded as bytes, since they need not be UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStates(Vec<(OsString, FileState)>);

/// Files and patterns of a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedFiles {
    seen: FileStates,
    /// Include patterns, each with its file.
    patterns: Vec<(OsString, String)>,
}

impl FileStates {
    /// Adds the current state of a file. Called before the file is read, so that a change in between is
    /// detected afterwards. Blocks.
    fn add(&mut self, path: &Path, files: &Files) {
        let path = path.as_os_str();
        if let Err(place) = self.0.binary_search_by(|(known, _)| (**known).cmp(path)) {
            let state = files.status(path.as_ref()).ok().as_ref().map(file_state);
            self.0.insert(place, (path.to_owned(), state));
        }
    }
}

impl WatchedFiles {
    /// Adds a file that is about to be read.
    pub(crate) fn add_file(&mut self, path: &Path, files: &Files) {
        self.seen.add(path, files);
    }

    /// Adds an include pattern of the file at `from`.
    pub(crate) fn add_pattern(&mut self, from: &Path, pattern: &str) {
        let from = from.as_os_str().to_owned();
        self.patterns.push((from, pattern.to_owned()));
    }

    /// Returns the states of the files at their read.
    pub fn seen(&self) -> &FileStates {
        &self.seen
    }

    /// Returns the current states of these files, and of all that the patterns match now, with the rights of this
    /// process: the server may be unable to search their folders, and its parent is not. Blocks.
    pub fn scan(&self) -> FileStates {
        let files = &Files::own();
        let mut states = FileStates::default();
        for (path, _) in &self.seen.0 {
            states.add(path.as_ref(), files);
        }
        for (from, pattern) in &self.patterns {
            // A folder that cannot be read now adds no files.
            for path in expand_pattern(from.as_ref(), pattern, files).unwrap_or_default() {
                states.add(&path, files);
            }
        }
        states
    }
}

fn file_state(status: &Status) -> (u64, u64, u64, (i64, i64)) {
    (status.device, status.inode, status.size, status.modified)
}

/// Returns the files that match a pattern, relative to the directory of the file `from`, in the order
/// of their names. A wildcard may match none and skips directories and hidden files, which are often
/// the backups of an editor; a plain path must exist.
pub(crate) fn expand_pattern(
    from: &Path,
    pattern: &str,
    files: &Files,
) -> Result<Vec<PathBuf>, String> {
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
    files.matches(&whole.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn another_process_sees_the_same_changes() {
        let folder = tempfile::tempdir().unwrap();
        // As the command line may name it.
        let main = folder.path().join(OsStr::from_bytes(b"\xff.toml"));
        let sites = folder.path().join("sites");
        fs::create_dir(&sites).unwrap();
        for file in [&main, &sites.join("a.toml")] {
            fs::write(file, "1").unwrap();
        }
        let files = Files::recording();
        let mut watched = WatchedFiles::default();
        watched.add_file(&main, &files);
        watched.add_file(&sites.join("a.toml"), &files);
        let from = folder.path().join("main.toml");
        watched.add_pattern(&from, "sites/*.toml");
        let encoded = postcard::to_allocvec(&watched).unwrap();
        let received: WatchedFiles = postcard::from_bytes(&encoded).unwrap();
        assert_eq!(received, watched);

        let seen = received.seen().clone();
        assert_eq!(received.scan(), seen);
        fs::write(sites.join(".hidden.toml"), "1").unwrap();
        assert_eq!(received.scan(), seen);
        fs::write(&main, "12").unwrap();
        let changed = received.scan();
        assert_ne!(changed, seen);
        fs::write(sites.join("b.toml"), "1").unwrap();
        assert_ne!(received.scan(), changed);
    }
}
