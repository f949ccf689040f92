//! The file system as it really is, looked at without races: every path is resolved below its
//! root by the kernel in one call (openat2 with RESOLVE_BENEATH), so that neither `..` nor a
//! symbolic link leads out, whatever happens to the tree meanwhile.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use tokio::time::Instant;

use crate::message::{Disk, Found, OpenFile, Root};

/// How long an opened root is used before its name is resolved again: a `current` link that a
/// deployment flips is followed within a second.
const ROOT_AGE: Duration = Duration::from_secs(1);

/// How often a path is resolved again that a rename disturbed.
const ATTEMPTS: usize = 8;

/// The real file system. Roots stay open; there are as many as the configuration names.
#[derive(Debug, Default)]
pub struct RealDisk {
    roots: RwLock<HashMap<Root, Opened>>,
}

#[derive(Clone, Debug)]
struct Opened {
    descriptor: Arc<OwnedFd>,
    since: Instant,
}

impl Disk for RealDisk {
    fn open(&self, root: &Root, path: &[u8]) -> Found {
        // O_NONBLOCK: opening a fifo must not wait for its writer.
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
        match self.resolve(root, path, flags) {
            Ok((descriptor, stat)) => found(descriptor, &stat),
            Err(errno) => not_found(errno),
        }
    }

    fn is_file(&self, root: &Root, path: &[u8]) -> bool {
        let resolved = self.resolve(root, path, OFlag::O_PATH | OFlag::O_CLOEXEC);
        resolved.is_ok_and(|(_, stat)| kind(&stat) == SFlag::S_IFREG)
    }

    fn is_directory(&self, root: &Root, path: &[u8]) -> bool {
        // O_PATH: a folder that may be entered and not listed is there all the same.
        let resolved = self.resolve(root, path, OFlag::O_PATH | OFlag::O_CLOEXEC);
        resolved.is_ok_and(|(_, stat)| kind(&stat) == SFlag::S_IFDIR)
    }

    fn real_path(&self, root: &Root) -> Option<PathBuf> {
        root.0.canonicalize().ok()
    }
}

impl RealDisk {
    fn resolve(
        &self,
        root: &Root,
        path: &[u8],
        flags: OFlag,
    ) -> Result<(OwnedFd, FileStat), Errno> {
        let root = self.root(root)?;
        let relative = match path.strip_prefix(b"/") {
            Some(b"") | None => b".".as_slice(),
            Some(relative) => relative,
        };
        let how = OpenHow::new()
            .flags(flags)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let descriptor = again(|| openat2(&*root, Path::new(OsStr::from_bytes(relative)), how))?;
        let stat = fstat(&descriptor)?;
        Ok((descriptor, stat))
    }

    fn root(&self, root: &Root) -> Result<Arc<OwnedFd>, Errno> {
        let now = Instant::now();
        // A poisoned lock guards a map that is whole at every moment.
        let known = self
            .roots
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(root)
            .cloned();
        if let Some(opened) = known.filter(|opened| now.duration_since(opened.since) < ROOT_AGE) {
            return Ok(opened.descriptor);
        }
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let descriptor = Arc::new(open(root.0.as_path(), flags, Mode::empty())?);
        let opened = Opened {
            descriptor: Arc::clone(&descriptor),
            since: now,
        };
        self.roots
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(root.clone(), opened);
        Ok(descriptor)
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

fn found(descriptor: OwnedFd, stat: &FileStat) -> Found {
    match kind(stat) {
        SFlag::S_IFREG => Found::File(OpenFile {
            descriptor,
            length: u64::try_from(stat.st_size).unwrap_or(0),
            modified: modified(stat),
        }),
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
    const MISSING: [Errno; 3] = [Errno::ENOENT, Errno::ENOTDIR, Errno::ENAMETOOLONG];
    const REFUSED: [(Errno, &str); 5] = [
        // RESOLVE_BENEATH met a link that leads out of the root.
        (Errno::EXDEV, "a symbolic link leads out of the root"),
        (Errno::ELOOP, "too many symbolic links"),
        (Errno::EACCES, "the gateway's user may not read it"),
        (Errno::EPERM, "the gateway's user may not read it"),
        (Errno::ENXIO, "neither a file nor a folder"),
    ];
    if MISSING.contains(&errno) {
        return Found::Missing;
    }
    match REFUSED.iter().find(|(known, _)| *known == errno) {
        Some((_, why)) => Found::Refused(why),
        None => Found::Trouble(errno as i32),
    }
}

/// openat2(2): a rename anywhere can race a `..` within a link, and is told as EAGAIN.
fn again<T>(mut attempt: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    for _ in 0..ATTEMPTS {
        match attempt() {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            result => return result,
        }
    }
    attempt()
}
