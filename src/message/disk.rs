//! The file system interface of the handlers' `decide`, and its results as data. `crate::disk`
//! implements it for the real file system; tests have implementations of their own.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nix::sys::stat::FileStat;

use super::OpenFile;
use crate::section::{At, Problems, absolute_path};

/// A folder below which files are looked up; nothing outside it is ever reached.
#[derive(Clone, Debug)]
pub struct Root(pub PathBuf);

impl Root {
    /// Reads the root from the value of a key; a relative path is a problem.
    pub fn at(text: &At<String>, problems: &mut Problems) -> Option<Self> {
        absolute_path(text, problems).map(Self)
    }
}

/// Compares bytes: each request looks one up, and `Path` compares and hashes segment by segment.
impl PartialEq for Root {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_os_str() == other.0.as_os_str()
    }
}

impl Eq for Root {}

impl Hash for Root {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_os_str().hash(state);
    }
}

/// Policy for symbolic links below a root. The root itself may always be one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Symlinks {
    /// Links that stay below the root; an absolute one does not, wherever it points.
    #[default]
    WithinRoot,
    /// No links.
    Never,
    /// Links whose owner owns their target, wherever that is.
    SameOwner,
    /// All links.
    Anywhere,
}

/// A folder, opened to be listed.
#[derive(Debug)]
pub struct OpenFolder {
    /// The folder; closed when dropped.
    pub descriptor: OwnedFd,
    /// The root that confines its links.
    pub root: Arc<OwnedFd>,
    /// Its path below the root; begins and ends with `/`.
    pub path: Vec<u8>,
    /// The links to show: those that would be followed.
    pub symlinks: Symlinks,
}

/// Result of looking up a path below a root.
#[derive(Debug)]
pub enum Found {
    /// A regular file.
    File(Arc<OpenFile>),
    /// A folder.
    Directory,
    /// No entry, or a path that goes through a file.
    Missing,
    /// No entry: the name is longer than the file system allows.
    TooLong,
    /// An entry that must not be sent: outside the root, not a regular file, not readable. The
    /// text names the reason, for the log.
    Refused(&'static str),
    /// Too many open files or another failure of the gateway, as an errno.
    Trouble(i32),
}

/// Identity and state of a file: after a change, and for another file, it is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion {
    device: u64,
    inode: u64,
    /// Size in bytes.
    pub size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// Time of the last change of content, owner, mode or name. No program can set it.
    pub changed: SystemTime,
}

impl From<&FileStat> for FileVersion {
    fn from(stat: &FileStat) -> Self {
        let [seconds, nanoseconds] =
            [stat.st_ctime, stat.st_ctime_nsec].map(|part| u64::try_from(part).unwrap_or(0));
        let since = Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanoseconds));
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: SystemTime::UNIX_EPOCH
                .checked_add(since)
                .unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }
}

/// The file system interface of the handlers. Paths are decoded, normalised and start with `/`.
pub trait Disk: Debug + Sync {
    /// Opens `path` below `root`; symbolic links are followed within the root.
    fn open(&self, root: &Root, path: &[u8]) -> Found;

    /// Reports whether `path` is a regular file, or was one a second ago: as `open`, without opening it
    /// for reading.
    fn is_file(&self, root: &Root, path: &[u8]) -> bool;

    /// Reports whether `path` is a folder.
    fn is_directory(&self, root: &Root, path: &[u8]) -> bool {
        matches!(self.open(root, path), Found::Directory)
    }

    /// Opens as [`Self::open`], with links followed by `symlinks`. A disk without links ignores it.
    fn open_by(&self, root: &Root, path: &[u8], _symlinks: Symlinks) -> Found {
        self.open(root, path)
    }

    /// Opens as [`Self::open_by`]; the result may be a second old, so that a removed file is found for
    /// so long.
    fn open_recent(&self, root: &Root, path: &[u8], symlinks: Symlinks) -> Found {
        self.open_by(root, path, symlinks)
    }

    /// Reports as [`Self::is_file`], with links followed by `symlinks`.
    fn is_file_by(&self, root: &Root, path: &[u8], _symlinks: Symlinks) -> bool {
        self.is_file(root, path)
    }

    /// Opens the folder at `path`, which ends with `/`, to be listed. By default no folder exists.
    fn open_folder(
        &self,
        _root: &Root,
        _path: &[u8],
        _symlinks: Symlinks,
    ) -> Result<OpenFolder, Found> {
        Err(Found::Missing)
    }

    /// Returns the version of the file at an absolute path, outside of any root; `None` where none can be seen. By
    /// default no file exists.
    fn version(&self, _path: &Path) -> Option<FileVersion> {
        None
    }

    /// Returns the path of `root` without symbolic links, as it was when the request first used the root; `None` if its
    /// name has none, and if it does not exist. By default no name has a link.
    fn real_path(&self, _root: &Root) -> Option<Arc<Path>> {
        None
    }
}
