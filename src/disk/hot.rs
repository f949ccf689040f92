//! The cache of open files. A file that was checked less than a second ago is served without a
//! system call to open it. Missing files are never cached: a file that appears is found at once.

use std::hash::{Hash, Hasher};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::sys::stat::{FileStat, SFlag};
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use tokio::time::Instant;

use super::roots::Opened;
use super::{LOOK, READ, found, kind, modified, not_found, open_below};
use crate::message::{Found, OpenFile, Symlinks};
use crate::moment;

/// Lifetime of a check.
const AGE: Duration = Duration::from_secs(1);

/// Time without a request after which a file is closed: an open file holds the space of a removed
/// file and keeps its file system mounted.
const IDLE: Duration = Duration::from_secs(10);

/// Age below which a modification time is not trusted: a second write may leave the times equal,
/// which are as coarse as the kernel's tick, and on some file systems a second or two.
const YOUNG: Duration = Duration::from_secs(2);

/// Largest file, in bytes, whose content is cached too.
pub const SMALL: u64 = 64 * 1024;

/// Minimum weight of an open file, in bytes: it bounds the number of descriptors, at 1024 by the
/// default of `server.file_cache`.
const LEAST: u64 = 16 * 1024;

/// Number of cached existence checks (of scripts); each takes some 200 bytes.
const SCRIPTS: usize = 4096;

/// The cache of open files.
#[derive(Debug)]
pub(super) struct HotFiles {
    files: Cache<Key, Arc<HotFile>, Weight>,
    /// Existing files of which only the existence matters, with the time of the check.
    existing: Cache<Key, Since>,
    /// Capacity in bytes; 0 caches nothing.
    capacity: AtomicU64,
    begun: Instant,
}

/// Milliseconds since the creation of the cache.
type Since = u64;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    /// Device and inode of the root: a `current` with another target is another root.
    root: (u64, u64),
    symlinks: Symlinks,
    path: Box<[u8]>,
}

/// A borrowed key for look-ups.
struct KeyRef<'a> {
    root: (u64, u64),
    symlinks: Symlinks,
    path: &'a [u8],
}

#[derive(Debug)]
struct HotFile {
    version: Version,
    file: Arc<OpenFile>,
    checked: AtomicU64,
}

/// Identity of a file and of its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    node: (u64, u64),
    length: i64,
    modified: (i64, i64),
    /// The ctime, which no program can set back.
    changed: (i64, i64),
}

#[derive(Clone, Debug)]
struct Weight;

impl HotFiles {
    pub(super) fn new(capacity: u64) -> Self {
        let items = usize::try_from(capacity / LEAST).unwrap_or(usize::MAX);
        Self {
            files: Cache::with_weighter(items.clamp(16, 65_536), capacity.max(1), Weight),
            existing: Cache::new(SCRIPTS),
            capacity: AtomicU64::new(capacity),
            begun: Instant::now(),
        }
    }

    pub(super) fn resize(&self, capacity: u64) {
        if self.capacity.swap(capacity, Ordering::Relaxed) != capacity {
            self.files.set_capacity(capacity.max(1));
            self.clear();
        }
    }

    /// Closes all files.
    pub(super) fn clear(&self) {
        self.files.clear();
        self.existing.clear();
    }

    /// Closes the files without a request in [`IDLE`].
    pub(super) fn sweep(&self) {
        let idle = u64::try_from(IDLE.as_millis()).unwrap_or(u64::MAX);
        let now = self.now();
        self.files.retain(|_, hot| hot.age(now) < idle);
    }

    /// Reports whether the cache is on; otherwise each request reads the disk.
    pub(super) fn is_on(&self) -> bool {
        self.capacity.load(Ordering::Relaxed) > 0
    }

    fn now(&self) -> Since {
        let age = moment::now().duration_since(self.begun);
        u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
    }

    /// Opens `path`; the result may be up to a second old.
    pub(super) fn open(&self, root: &Opened, path: &[u8], symlinks: Symlinks) -> Found {
        let wanted = root.wanted(path, symlinks);
        let known = self.files.get(&wanted);
        if let Some(hot) = &known
            && !hot.claim_check(self.now())
        {
            return Found::File(Arc::clone(&hot.file));
        }
        match self.look(root, path, symlinks) {
            Ok((descriptor, stat)) => {
                let version = Version::of(&stat);
                if let Some(hot) = known.filter(|hot| hot.version == version) {
                    return Found::File(Arc::clone(&hot.file));
                }
                let keep = self.is_on() && kind(&stat) == SFlag::S_IFREG && !is_recent(&stat);
                let found = found(descriptor, &stat, keep);
                if let (Found::File(file), true) = (&found, keep) {
                    self.keep(&wanted, version, file);
                } else {
                    self.forget(&wanted);
                }
                found
            }
            Err(errno) => {
                self.forget(&wanted);
                not_found(errno)
            }
        }
    }

    /// Opens `path` on the disk. With too many open files, it closes the cached ones and tries again.
    fn look(
        &self,
        root: &Opened,
        path: &[u8],
        symlinks: Symlinks,
    ) -> Result<(OwnedFd, FileStat), Errno> {
        match open_below(&root.descriptor, path, symlinks, READ) {
            Err(Errno::EMFILE | Errno::ENFILE) if !self.files.is_empty() => {
                self.clear();
                open_below(&root.descriptor, path, symlinks, READ)
            }
            looked => looked,
        }
    }

    fn keep(&self, wanted: &KeyRef<'_>, version: Version, file: &Arc<OpenFile>) {
        let hot = HotFile {
            version,
            file: Arc::clone(file),
            checked: AtomicU64::new(self.now()),
        };
        self.files.insert(wanted.key(), Arc::new(hot));
    }

    fn forget(&self, wanted: &KeyRef<'_>) {
        self.files.remove(wanted);
    }

    /// Reports whether `path` is a regular file, or was one less than a second ago.
    pub(super) fn is_file(&self, root: &Opened, path: &[u8], symlinks: Symlinks) -> bool {
        let wanted = root.wanted(path, symlinks);
        let now = self.now();
        let fresh = |since: &Since| now.saturating_sub(*since) < millis(AGE);
        if self.existing.get(&wanted).as_ref().is_some_and(fresh) {
            return true;
        }
        let look = open_below(&root.descriptor, path, symlinks, LOOK);
        let there = look.is_ok_and(|(_, stat)| kind(&stat) == SFlag::S_IFREG);
        if there && self.is_on() {
            self.existing.insert(wanted.key(), now);
        }
        there
    }
}

impl Opened {
    fn wanted<'a>(&self, path: &'a [u8], symlinks: Symlinks) -> KeyRef<'a> {
        KeyRef {
            root: self.node,
            symlinks,
            path,
        }
    }
}

impl HotFile {
    fn age(&self, now: Since) -> u64 {
        now.saturating_sub(self.checked.load(Ordering::Relaxed))
    }

    /// Claims the next check once the last one is outdated; reports whether the caller has to make it.
    fn claim_check(&self, now: Since) -> bool {
        let checked = self.checked.load(Ordering::Relaxed);
        now.saturating_sub(checked) >= millis(AGE)
            && self
                .checked
                .compare_exchange(checked, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

impl Version {
    fn of(stat: &FileStat) -> Self {
        Self {
            node: (stat.st_dev, stat.st_ino),
            length: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        }
    }
}

/// Reports whether the file was modified recently. A time in the future counts as recent.
fn is_recent(stat: &FileStat) -> bool {
    let age = SystemTime::now().duration_since(modified(stat));
    age.map_or(true, |age| age < YOUNG)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl KeyRef<'_> {
    fn key(&self) -> Key {
        Key {
            root: self.root,
            symlinks: self.symlinks,
            path: self.path.into(),
        }
    }
}

/// Hashes as [`Key`] does.
impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.root.hash(state);
        self.symlinks.hash(state);
        self.path.hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.root == key.root && self.symlinks == key.symlinks && *self.path == *key.path
    }
}

impl Weighter<Key, Arc<HotFile>> for Weight {
    fn weight(&self, key: &Key, hot: &Arc<HotFile>) -> u64 {
        let content = Some(hot.file.length).filter(|length| *length <= SMALL);
        content.unwrap_or(0).max(LEAST) + key.path.len() as u64
    }
}

#[cfg(test)]
mod tests;
