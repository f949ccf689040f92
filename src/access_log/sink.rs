//! What lines are written to: an open file, and how to open it again.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// An open destination.
#[derive(Debug)]
pub(super) struct Sink {
    file: File,
    /// Absent for standard output, which cannot be opened again.
    path: Option<PathBuf>,
}

impl Sink {
    /// Standard output, past std's buffer: lines come here many at a time.
    pub(super) fn stdout() -> io::Result<Self> {
        let descriptor = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self {
            file: File::from(descriptor),
            path: None,
        })
    }

    /// The end of the file at `path`.
    pub(super) fn file(path: PathBuf) -> io::Result<Self> {
        Ok(Self {
            file: open(&path)?,
            path: Some(path),
        })
    }

    /// Opens the file again: another one, where the old was renamed. The old one stays in use when
    /// that fails.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Some(path) = &self.path {
            self.file = open(path)?;
        }
        Ok(())
    }

    /// Writes whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.write_all(lines)
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Addresses and targets of people are not for everyone to read.
    options.append(true).create(true).mode(0o640).open(path)
}
