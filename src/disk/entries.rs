//! What stands in a folder, for a listing.

use std::io;
use std::os::fd::AsFd;
use std::time::SystemTime;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, SFlag, fstatat};

use super::{LOOK, kind, modified, open_below};
use crate::message::OpenFolder;

/// One of the things in a folder that a client can be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name: any bytes but `/` and NUL.
    pub name: Vec<u8>,
    /// Whether it is a folder, or a link to one.
    pub is_folder: bool,
    /// In bytes; of a file.
    pub length: u64,
    /// Last modification.
    pub modified: SystemTime,
}

/// What was read of a folder.
#[derive(Debug, Default)]
pub struct Entries {
    /// In the order of the file system.
    pub list: Vec<Entry>,
    /// Whether these are all.
    pub complete: bool,
}

/// Files and folders in `folder`, at most `most` of those that are `shown`, by their name and whether
/// they are folders. Links count as what they lead to, and not at all where they must not be
/// followed. This blocks: it reads the disk for every entry.
pub fn entries(
    folder: OpenFolder,
    most: usize,
    shown: impl Fn(&[u8], bool) -> bool,
) -> io::Result<Entries> {
    let OpenFolder {
        descriptor,
        root,
        path,
        symlinks,
    } = folder;
    let mut directory = Dir::from_fd(descriptor)?;
    let names = names(&mut directory, most, &shown)?;
    let stat_link = |name: &[u8]| {
        let path = [path.as_slice(), name].concat();
        open_below(&root, &path, symlinks, LOOK).map(|(_, stat)| stat)
    };
    let list = names.list.into_iter().filter_map(|name| {
        let own = fstatat(
            directory.as_fd(),
            name.as_slice(),
            AtFlags::AT_SYMLINK_NOFOLLOW,
        );
        let stat = match own {
            Ok(stat) if kind(&stat) == SFlag::S_IFLNK => stat_link(&name),
            own => own,
        };
        // What is gone by now is not shown.
        let entry = stat.ok().and_then(|stat| entry(name, &stat));
        entry.filter(|entry| shown(&entry.name, entry.is_folder))
    });
    Ok(Entries {
        list: list.collect(),
        complete: names.complete,
    })
}

struct Names {
    list: Vec<Vec<u8>>,
    complete: bool,
}

/// What surely is no folder has to be shown as a file.
fn names(
    directory: &mut Dir,
    most: usize,
    shown: &impl Fn(&[u8], bool) -> bool,
) -> Result<Names, Errno> {
    let mut list = Vec::new();
    for found in directory.iter() {
        let found = found?;
        let name = found.file_name().to_bytes();
        let may_be_folder = found.file_type() != Some(Type::File);
        if matches!(name, b"." | b"..") || !shown(name, may_be_folder) {
            continue;
        }
        if list.len() == most {
            return Ok(Names {
                list,
                complete: false,
            });
        }
        list.push(name.to_vec());
    }
    Ok(Names {
        list,
        complete: true,
    })
}

fn entry(name: Vec<u8>, stat: &FileStat) -> Option<Entry> {
    let is_folder = match kind(stat) {
        SFlag::S_IFDIR => true,
        SFlag::S_IFREG => false,
        // Never sent, so not shown.
        _ => return None,
    };
    Some(Entry {
        name,
        is_folder,
        length: u64::try_from(stat.st_size).unwrap_or(0),
        modified: modified(stat),
    })
}
