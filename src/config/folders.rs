//! Checks of folders and logs. While the configuration is loaded they are what this process can see: the user that runs
//! the gateway where it serves by itself, else the parent, which opens the logs. [`denied_folders`] checks the rights
//! of the process that serves, after it has given up others.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, User, faccessat, geteuid};

use super::server;
use crate::files::Files;
use crate::section::{At, Key, Lowered, Place, Problem, Problems};
use crate::site::Snapshot;

pub(super) static SPOOL_DIRECTORY: Key<Option<At<String>>> = Key::text("spool_directory", "Folder for request bodies and buffered answers that do not fit in memory, an absolute path: unlinked files, which vanish with their request. Default: $TMPDIR, else /tmp.").example("\"/var/spool/fcgate\"");

/// Reports a missing spool directory, and warns of one that this process cannot write if it serves itself.
pub(super) fn check_spool(
    directory: &Path,
    section: &Lowered,
    files: &Files,
    problems: &mut Problems,
) {
    let name = spool_key(section);
    let place = section.place_of(&SPOOL_DIRECTORY);
    let is_there = || files.status(directory).is_ok_and(|status| status.is_dir());
    if directory.is_relative() {
        let message = format!(
            "the spool directory {} is not an absolute path ({name})",
            directory.display()
        );
        let help = "set server.spool_directory or TMPDIR to an absolute path";
        problems.push(Problem::new(place, message).help(help));
    } else if !is_there() {
        let message = format!(
            "the spool directory {} does not exist ({name})",
            directory.display()
        );
        let help = "create it, or set server.spool_directory to another";
        problems.push(Problem::new(place, message).help(help));
    } else if let Some(error) = unwritable_folder(directory).filter(|_| files.is_own()) {
        let message = unwritable_spool(directory, &error, name);
        problems.warn(Problem::new(place, message).help(SPOOL_HELP));
    }
}

const SPOOL_HELP: &str = "give the gateway's user write permission, or set server.spool_directory to another: request bodies that do not fit in memory get 507";

fn spool_key(section: &Lowered) -> &'static str {
    if section.is_given(&SPOOL_DIRECTORY) {
        "server.spool_directory"
    } else {
        "TMPDIR, else /tmp, as server.spool_directory is not given"
    }
}

fn unwritable_spool(directory: &Path, error: &io::Error, name: &str) -> String {
    let directory = directory.display();
    format!("cannot write to the spool directory {directory}: {error} ({name})")
}

/// Adds a log to those that are opened, and warns of one that cannot be opened.
pub(super) fn check_log(file: &Path, place: Place, files: &Files, problems: &mut Problems) {
    files.grant_log(file);
    if files.is_bundle() {
        return;
    }
    if let Some(message) = unwritable_log(file) {
        let help = "create its folder with write permission for the gateway's user: the gateway does not start without the file";
        problems.warn(Problem::new(place, message).help(help));
    }
}

/// Returns an error message if a log cannot be opened.
pub fn unwritable_log(file: &Path) -> Option<String> {
    let error = unwritable_file(file)?;
    let file = file.display();
    Some(format!("cannot write the log {file}: {error}"))
}

/// Returns the error of opening a file for appending, or of creating it; `None` without one.
fn unwritable_file(file: &Path) -> Option<io::Error> {
    match file.metadata() {
        Ok(metadata) if metadata.is_dir() => Some(Errno::EISDIR.into()),
        Ok(_) => denied(file, AccessFlags::W_OK).map(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = file.parent().unwrap_or_else(|| Path::new("/"));
            unwritable_folder(folder)
        }
        Err(error) => Some(error),
    }
}

/// Returns the error of creating a file in a folder; `None` without one.
fn unwritable_folder(folder: &Path) -> Option<io::Error> {
    denied(folder, AccessFlags::W_OK | AccessFlags::X_OK).map(io::Error::from)
}

/// Returns the error of an access by the effective user of this process; `None` without one.
fn denied(path: &Path, access: AccessFlags) -> Option<Errno> {
    faccessat(AT_FDCWD, path, access, AtFlags::AT_EACCESS).err()
}

/// Returns a message for each folder of `snapshot` that this process may not use: the spool directory, and the roots.
/// For a process that has given up its rights: a folder may be open to the one that loaded the configuration. A
/// missing root is no fault here, since scripts may be on another machine. Blocks.
pub fn denied_folders(snapshot: &Snapshot) -> Vec<String> {
    let sites = snapshot.sites();
    let mut roots: Vec<_> = sites
        .flat_map(|site| site.roots().map(|root| (root, &*site.name)))
        .collect();
    roots.sort_unstable();
    roots.dedup_by_key(|(root, _)| *root);
    let roots = roots.into_iter();
    let denied = roots.filter_map(|(root, site)| denied_root(root, site));
    denied_spool(snapshot).into_iter().chain(denied).collect()
}

fn denied_spool(snapshot: &Snapshot) -> Option<String> {
    let directory = &snapshot.server.spool_directory;
    let error = unwritable_folder(directory)?;
    let server = snapshot.files.first()?.get(&server::KEY);
    let message = unwritable_spool(directory, &error, spool_key(&server));
    Some(format!(
        "{message}: the gateway runs as {}; {SPOOL_HELP}",
        own_user()
    ))
}

fn denied_root(root: &Path, site: &str) -> Option<String> {
    let is_denied = |folder: &&Path| denied(folder, AccessFlags::X_OK) == Some(Errno::EACCES);
    is_denied(&root).then_some(())?;
    let mut above: Vec<_> = root.ancestors().collect();
    above.reverse();
    // That of a link to a root lies elsewhere.
    let folder = above.into_iter().find(is_denied).unwrap_or(root);
    let shown = folder.display();
    let mode = folder.metadata().map_or_else(
        |_| String::new(),
        |found| format!(" (mode {:04o})", found.mode() & 0o7777),
    );
    Some(format!(
        "the root {} of the site {site} cannot be used (root): the gateway runs as {}, without permission to search the folder {shown}{mode}: its files get 403, its scripts 404; chmod o+x {shown}, or give the gateway the folder's group with server.group",
        root.display(),
        own_user(),
    ))
}

/// Returns the user of this process as `www-data (33)`, or the number alone.
fn own_user() -> String {
    let uid = geteuid();
    let known = User::from_uid(uid).ok().flatten();
    known.map_or_else(|| uid.to_string(), |user| format!("{} ({uid})", user.name))
}
