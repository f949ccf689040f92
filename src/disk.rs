//! The real file system, accessed without races: the kernel resolves every path below its root in
//! one call (openat2 with RESOLVE_BENEATH), so that neither `..` nor a symbolic link leads out,
//! even while the tree changes.

mod entries;
mod hot;
mod owners;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, stat};
use tokio::time::Instant;

pub use entries::{Entries, Entry, entries};

use crate::message::disk::FileVersion;
use crate::message::{Disk, Found, OpenFile, OpenFolder, Root, Symlinks};
use crate::moment;
use hot::HotFiles;
pub use hot::SMALL;

/// Lifetime of an open root before its name is resolved again: a `current` link that a deployment
/// flips is followed within a second; at once where no file is kept open.
const ROOT_AGE: Duration = Duration::from_secs(1);

/// Flags for reading. O_NONBLOCK: opening a fifo must not wait for its writer.
const READ: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_NONBLOCK);

/// Flags for fstat only.
const LOOK: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

/// Attempts to resolve a path while renames disturb it.
const ATTEMPTS: usize = 8;

/// The real file system. Roots stay open; their number is bounded by the configuration. Frequently
/// requested files stay open too, within bounds.
#[derive(Debug)]
pub struct RealDisk {
    roots: RwLock<HashMap<Root, Arc<Opened>>>,
    hot: HotFiles,
}

/// An open root with the time of its resolution.
#[derive(Debug)]
struct Opened {
    name: Root,
    descriptor: Arc<OwnedFd>,
    /// Device and inode.
    node: (u64, u64),
    since: Instant,
}

/// The file system of one request: each root is resolved once, so that a deployment that flips
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
            Err(errno) => not_found(errno),
        }
    }

    fn open_recent(&self, root: &Root, path: &[u8], symlinks: Symlinks) -> Found {
        match self.root(root) {
            Ok(root) => self.disk.hot.open(&root, path, symlinks),
            Err(errno) => not_found(errno),
        }
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
        let root = self.root(root).map_err(not_found)?;
        let flags = READ.union(OFlag::O_DIRECTORY);
        let opened = open_below(&root.descriptor, path, symlinks, flags);
        let (descriptor, _) = opened.map_err(not_found)?;
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

    fn real_path(&self, root: &Root) -> Option<PathBuf> {
        root.0.canonicalize().ok()
    }
}

impl OneRelease<'_> {
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
        let opened = self.disk.root(root)?;
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
            roots: RwLock::default(),
            hot: HotFiles::new(file_cache),
        }
    }

    /// Changes the size of the cache.
    pub fn resize(&self, file_cache: u64) {
        self.hot.resize(file_cache);
        if file_cache == 0 {
            // Unused roots are closed too.
            let mut roots = self.roots.write().unwrap_or_else(PoisonError::into_inner);
            roots.clear();
        }
    }

    /// Closes idle files.
    pub fn sweep(&self) {
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
        if let Some(opened) = self.cached_root(root) {
            return Ok(opened);
        }
        let flags = LOOK.union(OFlag::O_DIRECTORY);
        let descriptor = open(root.0.as_path(), flags, Mode::empty())?;
        let stat = fstat(&descriptor)?;
        let opened = Arc::new(Opened {
            name: root.clone(),
            descriptor: Arc::new(descriptor),
            node: (stat.st_dev, stat.st_ino),
            since: moment::now(),
        });
        if self.hot.is_on() {
            self.roots
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(root.clone(), Arc::clone(&opened));
        }
        Ok(opened)
    }

    /// Returns a root that was opened within the last second, where the cache is on.
    fn cached_root(&self, root: &Root) -> Option<Arc<Opened>> {
        if !self.hot.is_on() {
            return None;
        }
        // A poisoned lock is harmless: the map is consistent at every moment.
        let roots = self.roots.read().unwrap_or_else(PoisonError::into_inner);
        let opened = roots.get(root)?;
        let age = moment::now().duration_since(opened.since);
        (age < ROOT_AGE).then(|| Arc::clone(opened))
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
        (Errno::EACCES, "the gateway's user may not read it"),
        (Errno::EPERM, "the gateway's user may not read it"),
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
