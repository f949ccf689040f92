//! Entries of a folder, for a listing.

use std::io;
use std::os::fd::AsFd;
use std::time::SystemTime;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, SFlag, fstatat};

use super::{LOOK, kind, modified, open_below};
use crate::message::OpenFolder;

/// A file or folder in a folder, a possible target of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name: any bytes but `/` and NUL.
    pub name: Vec<u8>,
    /// True for a folder, or a link to one.
    pub is_folder: bool,
    /// Length of a file in bytes.
    pub length: u64,
    /// Last modification.
    pub modified: SystemTime,
}

/// Result of reading a folder.
#[derive(Debug, Default)]
pub struct Entries {
    /// The entries in the order of the file system.
    pub list: Vec<Entry>,
    /// True if these are all entries.
    pub complete: bool,
}

/// Reads the files and folders in `folder`, at most `most` of those for which `shown` is true; its
/// arguments are the name and whether it is a folder. Links are treated as their targets, and left
/// out where they must not be followed. This blocks: it reads the disk for every entry.
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
        // Entries removed meanwhile are left out.
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

/// Reads the names that may be shown. An entry of type file must be shown as a file; any other may be a folder.
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
        // Other types are never sent, so not shown.
        _ => return None,
    };
    Some(Entry {
        name,
        is_folder,
        length: u64::try_from(stat.st_size).unwrap_or(0),
        modified: modified(stat),
    })
}
