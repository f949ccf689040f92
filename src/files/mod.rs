//! Access to the files that the configuration names: its sources, certificates, keys, users, logs. A process that has
//! given up its rights asks its parent for them.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use nix::libc::O_NONBLOCK;

/// Handle of the access, cheap to clone.
#[derive(Clone, Debug)]
pub struct Files(Source);

#[derive(Clone, Debug)]
enum Source {
    /// The rights of this process.
    Own,
    /// The rights of the parent.
    Parent(Arc<dyn Opener>),
}

/// Opens files on behalf of this process. Both calls block for a round trip.
pub trait Opener: std::fmt::Debug + Send + Sync {
    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<File>;

    /// Opens a log for appending, and creates it if it is missing.
    fn open_log(&self, path: &Path) -> io::Result<File>;
}

impl Files {
    /// Returns access with the rights of this process.
    pub fn own() -> Self {
        Self(Source::Own)
    }

    /// Returns access through `opener`.
    pub fn through(opener: Arc<dyn Opener>) -> Self {
        Self(Source::Parent(opener))
    }

    /// Opens a file for reading. A fifo does not wait for its writer. Blocks.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        match &self.0 {
            Source::Own => File::options()
                .read(true)
                .custom_flags(O_NONBLOCK)
                .open(path),
            Source::Parent(opener) => opener.open(path),
        }
    }

    /// Opens a log for appending, and creates it if it is missing. Blocks.
    pub fn open_log(&self, path: &Path) -> io::Result<File> {
        match &self.0 {
            Source::Own => open_log(path),
            Source::Parent(opener) => opener.open_log(path),
        }
    }
}

/// Opens a log with the rights of this process. A fifo without a reader is an error, so that nobody waits for one.
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
