//! Checks of folders and logs. While the configuration is loaded they are what this process can see: the user that runs
//! the gateway where it serves by itself, else the parent, which opens the logs. `denied_folders.rs` checks the rights
//! of the process that serves, after it has given up others.

use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use crate::files::Files;
use crate::section::{At, Key, Lowered, Place, Problem, Problems};

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

pub(super) const SPOOL_HELP: &str = "give the gateway's user write permission, or set server.spool_directory to another: request bodies that do not fit in memory get 507";

pub(super) fn spool_key(section: &Lowered) -> &'static str {
    if section.is_given(&SPOOL_DIRECTORY) {
        "server.spool_directory"
    } else {
        "TMPDIR, else /tmp, as server.spool_directory is not given"
    }
}

pub(super) fn unwritable_spool(directory: &Path, error: &io::Error, name: &str) -> String {
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
        let help = "create its folder, writable for the user that starts the gateway: it does not start without the file";
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
pub(super) fn unwritable_folder(folder: &Path) -> Option<io::Error> {
    denied(folder, AccessFlags::W_OK | AccessFlags::X_OK).map(io::Error::from)
}

/// Returns the error of an access by the effective user of this process; `None` without one.
pub(super) fn denied(path: &Path, access: AccessFlags) -> Option<Errno> {
    faccessat(AT_FDCWD, path, access, AtFlags::AT_EACCESS).err()
}
