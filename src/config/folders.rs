//! Checks of write permissions. They apply to this process, which for `check` may run as another user
//! than the gateway.

use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use crate::section::{At, Key, Lowered, Place, Problem, Problems};

pub(super) static SPOOL_DIRECTORY: Key<Option<At<String>>> = Key::text("spool_directory", "Folder for request bodies and buffered answers that do not fit in memory, an absolute path: unlinked files, which vanish with their request. Default: $TMPDIR, else /tmp.").example("\"/var/spool/fcgate\"");

/// Warns of an unwritable spool directory; a missing one is an error.
pub(super) fn check_spool(directory: &Path, section: &Lowered, problems: &mut Problems) {
    let name = if section.is_given(&SPOOL_DIRECTORY) {
        "server.spool_directory"
    } else {
        "TMPDIR, else /tmp, as server.spool_directory is not given"
    };
    let place = section.place_of(&SPOOL_DIRECTORY);
    if directory.is_relative() {
        let message = format!(
            "the spool directory {} is not an absolute path ({name})",
            directory.display()
        );
        let help = "set server.spool_directory or TMPDIR to an absolute path";
        problems.push(Problem::new(place, message).help(help));
    } else if !directory.is_dir() {
        let message = format!(
            "the spool directory {} does not exist ({name})",
            directory.display()
        );
        let help = "create it, or set server.spool_directory to another";
        problems.push(Problem::new(place, message).help(help));
    } else if let Some(error) = unwritable_folder(directory) {
        let message = format!(
            "cannot write to the spool directory {}: {error} ({name})",
            directory.display()
        );
        let help = "give the gateway's user write permission, or set server.spool_directory to another: request bodies that do not fit in memory get 507";
        problems.warn(Problem::new(place, message).help(help));
    }
}

/// Warns of a log that cannot be opened.
pub(super) fn check_log(file: &Path, place: Place, problems: &mut Problems) {
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
        Ok(_) => access(file, AccessFlags::W_OK).err().map(io::Error::from),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = file.parent().unwrap_or_else(|| Path::new("/"));
            unwritable_folder(folder)
        }
        Err(error) => Some(error),
    }
}

/// Returns the error of creating a file in a folder; `None` without one.
fn unwritable_folder(folder: &Path) -> Option<io::Error> {
    let may = access(folder, AccessFlags::W_OK | AccessFlags::X_OK);
    may.err().map(io::Error::from)
}
