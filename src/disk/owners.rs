//! `symlinks = "same-owner"`: a walk that follows a link only to a target of the link's owner. It
//! checks opened descriptors, so that nothing can be exchanged between check and use.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat};

use super::{LOOK, kind, retry};

/// Opens `path`, relative and normalised, with `flags`; ELOOP for a link to another owner's target.
pub(super) fn open(root: &OwnedFd, path: &[u8], flags: OFlag) -> Result<OwnedFd, Errno> {
    let mut names = path
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
        .peekable();
    let mut here: Option<OwnedFd> = None;
    while let Some(name) = names.next() {
        let wanted = match names.peek() {
            Some(_) => LOOK,
            None => flags,
        };
        let next = step(here.as_ref().unwrap_or(root), name, wanted)?;
        here = Some(next);
    }
    here.ok_or(Errno::ENOENT)
}

fn step(folder: &OwnedFd, name: &[u8], flags: OFlag) -> Result<OwnedFd, Errno> {
    let path = Path::new(OsStr::from_bytes(name));
    let unfollowed = |flags: OFlag| openat(folder, path, flags | OFlag::O_NOFOLLOW, Mode::empty());
    let entry = unfollowed(LOOK)?;
    let stat = fstat(&entry)?;
    if kind(&stat) == SFlag::S_IFLNK {
        return follow(folder, &entry, flags, stat.st_uid);
    }
    if flags == LOOK {
        return Ok(entry);
    }
    unfollowed(flags)
}

/// Opens the target of an open link by the link's own text: its name may be another link's by now.
fn follow(folder: &OwnedFd, link: &OwnedFd, flags: OFlag, owner: u32) -> Result<OwnedFd, Errno> {
    let text = readlinkat(link, Path::new(""))?;
    let how = OpenHow::new()
        .flags(flags)
        .resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let target = retry(|| openat2(folder, Path::new(&text), how))?;
    if fstat(&target)?.st_uid != owner {
        return Err(Errno::ELOOP);
    }
    Ok(target)
}
