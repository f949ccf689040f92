//! Status of a file.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::libc::{S_IFDIR, S_IFMT, S_IFREG};
use serde::{Deserialize, Serialize};

/// Status of a file (stat(2)), as far as a configuration depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// Type and permissions.
    pub mode: u32,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change of the content, in seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    /// Time of the last change of content, owner, mode or name.
    pub changed: (i64, i64),
}

impl Status {
    /// Returns the status of the file at `path`, following symbolic links.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        path.metadata().map(|metadata| Self::from(&metadata))
    }

    /// Reports whether it is that of a folder.
    pub fn is_dir(&self) -> bool {
        self.mode & S_IFMT == S_IFDIR
    }

    /// Reports whether it is that of a regular file.
    pub fn is_file(&self) -> bool {
        self.mode & S_IFMT == S_IFREG
    }
}

impl From<&Metadata> for Status {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            mode: metadata.mode(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
