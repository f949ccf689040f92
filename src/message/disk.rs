//! Disk facts as data: what a handler's `decide` may ask of the file system, and the answers.
//! The one implementation that really looks is `crate::disk`; tests bring their own.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use super::OpenFile;
use crate::section::{At, Problems, absolute_path};

/// A folder below which files are looked up; nothing outside it is ever reached.
#[derive(Clone, Debug)]
pub struct Root(pub PathBuf);

impl Root {
    /// Reads the root that a key names; a relative path is a problem.
    pub fn at(text: &At<String>, problems: &mut Problems) -> Option<Self> {
        absolute_path(text, problems).map(Self)
    }
}

/// By their bytes: each request looks one up, and `Path` compares and hashes segment by segment.
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

/// Which symbolic links below a root are followed. The root's own name may always be one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Symlinks {
    /// Those that stay below the root; an absolute one does not, wherever it points.
    #[default]
    WithinRoot,
    /// None.
    Never,
    /// Those whose owner owns what they point to, wherever that is.
    SameOwner,
    /// All.
    Anywhere,
}

/// A folder, opened to list what stands in it.
#[derive(Debug)]
pub struct OpenFolder {
    /// The folder; closed when dropped.
    pub descriptor: OwnedFd,
    /// The root that its links are judged by.
    pub root: Arc<OwnedFd>,
    /// Its path below the root; begins and ends with `/`.
    pub path: Vec<u8>,
    /// Which links are shown: those that would be followed.
    pub symlinks: Symlinks,
}

/// What stands at a path below a root.
#[derive(Debug)]
pub enum Found {
    /// A regular file.
    File(Arc<OpenFile>),
    /// A folder.
    Directory,
    /// Nothing, or a path that goes through a file.
    Missing,
    /// Nothing: the file system has no names as long as this one.
    TooLong,
    /// Something that must not be sent: outside the root, not a regular file, not readable. The
    /// text says which, for the log.
    Refused(&'static str),
    /// Too many open files or another trouble of ours, as an errno.
    Trouble(i32),
}

/// The file system as the handlers see it. Paths are decoded, normalised and start with `/`.
pub trait Disk: Debug + Sync {
    /// Opens what stands at `path` below `root`; symbolic links are followed within the root.
    fn open(&self, root: &Root, path: &[u8]) -> Found;

    /// Whether a regular file stands there, or stood there a second ago: as `open`, without opening
    /// it for reading.
    fn is_file(&self, root: &Root, path: &[u8]) -> bool;

    /// Whether a folder stands there.
    fn is_directory(&self, root: &Root, path: &[u8]) -> bool {
        matches!(self.open(root, path), Found::Directory)
    }

    /// As [`Self::open`], with links followed by `symlinks`. A disk without links has but one way.
    fn open_by(&self, root: &Root, path: &[u8], _symlinks: Symlinks) -> Found {
        self.open(root, path)
    }

    /// As [`Self::open_by`]; the file may be as it was a second ago, and one that was removed may
    /// still be there for so long.
    fn open_recent(&self, root: &Root, path: &[u8], symlinks: Symlinks) -> Found {
        self.open_by(root, path, symlinks)
    }

    /// As [`Self::is_file`], with links followed by `symlinks`.
    fn is_file_by(&self, root: &Root, path: &[u8], _symlinks: Symlinks) -> bool {
        self.is_file(root, path)
    }

    /// Opens the folder at `path`, which ends with `/`, to be listed. A disk that lists nothing
    /// has nothing there.
    fn open_folder(
        &self,
        _root: &Root,
        _path: &[u8],
        _symlinks: Symlinks,
    ) -> Result<OpenFolder, Found> {
        Err(Found::Missing)
    }

    /// Where `root` lies once every symbolic link in its name is followed: what PHP's realpath
    /// says of it. `None` where that cannot be told.
    fn real_path(&self, root: &Root) -> Option<PathBuf>;
}
