//! The real file system, accessed without races: the kernel resolves every path below its root in
//! one call (openat2 with RESOLVE_BENEATH), so that neither `..` nor a symbolic link leads out,
//! even while the tree changes.

mod entries;
mod hot;
mod owners;
mod roots;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FileStat, SFlag, fstat, stat};
use tokio::sync::Notify;

pub use entries::{Entries, Entry, entries};

use crate::message::disk::FileVersion;
use crate::message::{Disk, Found, OpenFile, OpenFolder, Root, Symlinks};
use crate::moment;
use hot::HotFiles;
pub use hot::SMALL;
use roots::{Opened, Roots};

/// Flags for reading. O_NONBLOCK: opening a fifo must not wait for its writer.
const READ: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_NONBLOCK);

/// Flags for fstat only.
const LOOK: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

/// The reason of a refusal by the file's mode or by the sandbox.
const UNREADABLE: &str = "the gateway's user may not read it";

/// Attempts to resolve a path while renames disturb it.
const ATTEMPTS: usize = 8;

/// The real file system. Requested roots stay open; their number is bounded by the configuration. Frequently
/// requested files stay open too, within bounds.
#[derive(Debug)]
pub struct RealDisk {
    roots: Roots,
    hot: HotFiles,
    unreadable: Notify,
}

/// The file system of one request: each link above its roots is resolved once, so that a deployment that flips
/// `current` meanwhile does not mix two releases in one answer.
#[derive(Debug)]
pub struct OneRelease<'a> {
    disk: &'a RealDisk,
    seen: Mutex<Vec<Arc<Opened>>>,
}

impl Disk for OneRelease<'_> {
    fn open(&self, root: &Root, path: &[u8]) -> Found {
        self.open_by(root, path, Symlinks::WithinRoot)
    }

    fn is_file(&self, root: &Root, path: &[u8]) -> bool {
        self.is_file_by(root, path, Symlinks::WithinRoot)
    }

    fn open_by(&self, root: &Root, path: &[u8], symlinks: Symlinks) -> Found {
        let opened = self
            .root(root)
            .and_then(|root| open_below(&root.descriptor, path, symlinks, READ));
        match opened {
            Ok((descriptor, stat)) => found(descriptor, &stat, false),
            Err(errno) => self.not_found(errno),
        }
    }

    fn open_recent(&self, root: &Root, path: &[u8], symlinks: Symlinks) -> Found {
        let found = match self.root(root) {
            Ok(root) => self.disk.hot.open(&root, path, symlinks),
            Err(errno) => not_found(errno),
        };
        if matches!(found, Found::Refused(UNREADABLE)) {
            self.disk.unreadable.notify_one();
        }
        found
    }

    fn is_file_by(&self, root: &Root, path: &[u8], symlinks: Symlinks) -> bool {
        let root = self.root(root);
        root.is_ok_and(|root| self.disk.hot.is_file(&root, path, symlinks))
    }

    fn open_folder(
        &self,
        root: &Root,
        path: &[u8],
        symlinks: Symlinks,
    ) -> Result<OpenFolder, Found> {
        let root = self.root(root).map_err(|errno| self.not_found(errno))?;
        let flags = READ.union(OFlag::O_DIRECTORY);
        let opened = open_below(&root.descriptor, path, symlinks, flags);
        let (descriptor, _) = opened.map_err(|errno| self.not_found(errno))?;
        Ok(OpenFolder {
            descriptor,
            root: Arc::clone(&root.descriptor),
            path: path.to_vec(),
            symlinks,
        })
    }

    fn is_directory(&self, root: &Root, path: &[u8]) -> bool {
        // Without opening it for reading: a folder that may be entered but not listed exists too.
        self.kind_of(root, path, Symlinks::WithinRoot) == Some(SFlag::S_IFDIR)
    }

    fn version(&self, path: &Path) -> Option<FileVersion> {
        stat(path).ok().as_ref().map(FileVersion::from)
    }

    fn real_path(&self, root: &Root) -> Option<Arc<Path>> {
        self.root(root).ok()?.real.clone()
    }
}

impl OneRelease<'_> {
    fn not_found(&self, errno: Errno) -> Found {
        if errno == Errno::EACCES {
            self.disk.unreadable.notify_one();
        }
        not_found(errno)
    }

    fn kind_of(&self, root: &Root, path: &[u8], symlinks: Symlinks) -> Option<SFlag> {
        let root = self.root(root).ok()?;
        let (_, stat) = open_below(&root.descriptor, path, symlinks, LOOK).ok()?;
        Some(kind(&stat))
    }

    fn root(&self, root: &Root) -> Result<Arc<Opened>, Errno> {
        // A poisoned lock is harmless: the list is consistent at every moment.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = seen.iter().find(|opened| opened.name == *root) {
            return Ok(Arc::clone(opened));
        }
        let opened = match seen.iter().find_map(|opened| opened.sibling(root)) {
            Some(sibling) => Arc::new(self.disk.root(&sibling)?.renamed(root)),
            None => self.disk.root(root)?,
        };
        seen.push(Arc::clone(&opened));
        Ok(opened)
    }
}

/// Keeps no file open.
impl Default for RealDisk {
    fn default() -> Self {
        Self::new(0)
    }
}

impl RealDisk {
    /// Creates a file system with a cache of open files of `file_cache` bytes.
    pub fn new(file_cache: u64) -> Self {
        Self {
            roots: Roots::default(),
            hot: HotFiles::new(file_cache),
            unreadable: Notify::new(),
        }
    }

    /// Waits until a file was found that the gateway's user may not read.
    pub async fn unreadable(&self) {
        self.unreadable.notified().await;
    }

    /// Changes the size of the cache.
    pub fn resize(&self, file_cache: u64) {
        self.hot.resize(file_cache);
        if file_cache == 0 {
            // Unused roots are closed too.
            self.roots.clear();
        }
    }

    /// Closes idle files and roots.
    pub fn sweep(&self) {
        self.roots.sweep();
        self.hot.sweep();
    }

    /// Closes all cached files.
    pub fn make_room(&self) {
        self.hot.clear();
    }

    /// Returns the file system of one request.
    pub fn one_release(&self) -> OneRelease<'_> {
        OneRelease {
            disk: self,
            seen: Mutex::default(),
        }
    }

    fn root(&self, root: &Root) -> Result<Arc<Opened>, Errno> {
        self.roots.get(root, self.hot.is_on())
    }
}

/// Reports whether an open file is unchanged since it was opened. One that has grown counts as unchanged: logs grow.
pub fn is_as_opened(file: &OpenFile) -> bool {
    fstat(&file.descriptor).is_ok_and(|stat| {
        let length = u64::try_from(stat.st_size).unwrap_or(0);
        length > file.length || (length == file.length && modified(&stat) == file.modified)
    })
}

fn open_below(
    root: &OwnedFd,
    path: &[u8],
    symlinks: Symlinks,
    flags: OFlag,
) -> Result<(OwnedFd, FileStat), Errno> {
    let relative = match path.strip_prefix(b"/") {
        Some(b"") | None => b".".as_slice(),
        Some(relative) => relative,
    };
    let resolve = match symlinks {
        Symlinks::WithinRoot => ResolveFlag::RESOLVE_BENEATH,
        Symlinks::Never => ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS,
        // Most paths have no link, and need no walk.
        Symlinks::SameOwner => ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS,
        Symlinks::Anywhere => ResolveFlag::empty(),
    };
    let how = OpenHow::new()
        .flags(flags)
        .resolve(resolve | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let opened = retry(|| openat2(root, Path::new(OsStr::from_bytes(relative)), how));
    let descriptor = match (opened, symlinks) {
        (Err(Errno::ELOOP), Symlinks::SameOwner) => owners::open(root, relative, flags),
        (opened, _) => opened,
    };
    // The time of a slow disk must not count as that of the next callee.
    moment::read_clock();
    let descriptor = descriptor?;
    let stat = fstat(&descriptor)?;
    Ok((descriptor, stat))
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

fn found(descriptor: OwnedFd, stat: &FileStat, keep: bool) -> Found {
    match kind(stat) {
        SFlag::S_IFREG => Found::File(Arc::new(OpenFile {
            descriptor,
            length: u64::try_from(stat.st_size).unwrap_or(0),
            modified: modified(stat),
            cache: keep.then(Box::default),
        })),
        SFlag::S_IFDIR => Found::Directory,
        _ => Found::Refused("neither a file nor a folder"),
    }
}

fn modified(stat: &FileStat) -> SystemTime {
    let seconds = Duration::from_secs(stat.st_mtime.unsigned_abs());
    let nanoseconds = Duration::from_nanos(stat.st_mtime_nsec.unsigned_abs());
    let whole = if stat.st_mtime < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    whole
        .and_then(|time| time.checked_add(nanoseconds))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

fn not_found(errno: Errno) -> Found {
    const MISSING: [Errno; 2] = [Errno::ENOENT, Errno::ENOTDIR];
    const REFUSED: [(Errno, &str); 5] = [
        // By RESOLVE_BENEATH.
        (Errno::EXDEV, "a symbolic link leads out of the root"),
        (
            Errno::ELOOP,
            "a symbolic link that `symlinks` does not allow, or too many of them",
        ),
        (Errno::EACCES, UNREADABLE),
        (Errno::EPERM, UNREADABLE),
        (Errno::ENXIO, "neither a file nor a folder"),
    ];
    if MISSING.contains(&errno) {
        return Found::Missing;
    }
    if errno == Errno::ENAMETOOLONG {
        return Found::TooLong;
    }
    match REFUSED.iter().find(|(known, _)| *known == errno) {
        Some((_, reason)) => Found::Refused(reason),
        None => Found::Trouble(errno as i32),
    }
}

/// Repeats an attempt that fails with EAGAIN: a rename anywhere can race a `..` within a link (openat2(2)).
fn retry<T>(mut attempt: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    for _ in 0..ATTEMPTS {
        match attempt() {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            result => return result,
        }
    }
    attempt()
}
