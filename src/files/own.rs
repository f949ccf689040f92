//! Opening and searching with the rights of this process.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use glob::Pattern;
use nix::libc::O_NONBLOCK;

/// Opens a file for reading with the rights of this process. A fifo does not wait for its writer.
pub fn open(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(path)
}

/// Opens a log with the rights of this process, and creates it if it is missing. A fifo without a reader is an error, so
/// that nobody waits for one.
pub fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(LOG_MODE)
        .custom_flags(O_NONBLOCK)
        .open(path)
}

/// Mode of a log that is created: its lines have addresses of clients.
const LOG_MODE: u32 = 0o640;

/// Returns the files that match a pattern of glob(7), in the order of their names, without folders. A name that begins
/// with a dot is matched by a pattern that begins with one, and one that is not UTF-8 by none.
pub(super) fn matches(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let found = glob::glob(pattern).map_err(|error| error.to_string())?;
    let mut files = found
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    files.retain(|path| is_shown(path, pattern) && !path.is_dir());
    files.sort();
    Ok(files)
}

/// Reports whether the pattern has each name of the path that begins with a dot. The option of glob for this panics at a
/// name that is not UTF-8.
fn is_shown(path: &Path, pattern: &str) -> bool {
    let is_dotted = |name: &&OsStr| name.as_encoded_bytes().starts_with(b".");
    let dotted = Path::new(pattern).iter().filter(is_dotted);
    let patterns: Vec<_> = dotted
        .filter_map(|name| Pattern::new(name.to_str()?).ok())
        .collect();
    let is_matched = |name: &OsStr| {
        let mut patterns = patterns.iter();
        patterns.any(|pattern| pattern.matches_path(name.as_ref()))
    };
    path.iter().filter(is_dotted).all(is_matched)
}
