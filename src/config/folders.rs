//! Checks that the gateway can write where it has to. Permissions are those of this process, which for
//! `check` need not be the gateway's.

use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use crate::section::{At, Key, Lowered, Place, Problem, Problems};

pub(super) static SPOOL_DIRECTORY: Key<Option<At<String>>> = Key::text("spool_directory", "Where request bodies and buffered answers go that do not fit in memory, an absolute path: unlinked files, which vanish with their request. Default: $TMPDIR, else /tmp.").example("\"/var/spool/fcgate\"");

/// Warns of a spool directory that cannot be written; one that does not exist is an error.
pub(super) fn check_spool(directory: &Path, section: &Lowered, problems: &mut Problems) {
    let name = match section.is_given(&SPOOL_DIRECTORY) {
        true => "server.spool_directory",
        false => "TMPDIR, else /tmp, as server.spool_directory is not given",
    };
    let place = section.place_of(&SPOOL_DIRECTORY);
    if directory.is_relative() {
        let message = format!(
            "the spool directory {} is not an absolute path ({name})",
            directory.display()
        );
        let help = "name an absolute one as server.spool_directory, or in TMPDIR";
        problems.push(Problem::new(place, message).help(help));
    } else if !directory.is_dir() {
        let message = format!(
            "the spool directory {} does not exist ({name})",
            directory.display()
        );
        let help = "create it, or name another as server.spool_directory";
        problems.push(Problem::new(place, message).help(help));
    } else if let Some(error) = unwritable_folder(directory) {
        let message = format!(
            "nothing can be written to the spool directory {}: {error} ({name})",
            directory.display()
        );
        let help = "let the gateway's user write to it, or name another as server.spool_directory: request bodies that do not fit in memory get 507";
        problems.warn(Problem::new(place, message).help(help));
    }
}

/// Warns of an access log that cannot be opened.
pub(super) fn check_log(file: &Path, place: Place, problems: &mut Problems) {
    if let Some(message) = unwritable_log(file) {
        let help = "make its folder and let the gateway's user write to it: the gateway does not start without it";
        problems.warn(Problem::new(place, message).help(help));
    }
}

/// Says why an access log cannot be opened; `None` if it can.
pub fn unwritable_log(file: &Path) -> Option<String> {
    let error = unwritable_file(file)?;
    let file = file.display();
    Some(format!("the access log {file} cannot be written: {error}"))
}

/// Returns the error of opening a file for appending, or of creating it; `None` if there is none.
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

/// Returns the error of creating a file in a folder; `None` if there is none.
fn unwritable_folder(folder: &Path) -> Option<io::Error> {
    let may = access(folder, AccessFlags::W_OK | AccessFlags::X_OK);
    may.err().map(io::Error::from)
}
