//! The cause of PHP-FPM's `Primary script unknown`, a message with neither path nor cause. One log record holds
//! the state of the path in this host's file system. The path is examined only then, and the result is a guess,
//! as PHP may see other files.

mod repeats;

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cgi::{Mapping, Script};

pub use repeats::Refusals;
pub(super) use repeats::Suppressed;

/// PHP-FPM's message for a script that it does not run (sapi/fpm/fpm/fpm_main.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// `Primary script unknown`: stat(2) failed, for any reason.
    Unknown,
    /// `Unable to open primary script: /path (No such file or directory)` and the like.
    NotOpened,
    /// `Unable to open primary script: /path (Permission denied)`.
    NotPermitted,
}

/// Findings about a script that PHP-FPM does not run.
#[derive(Debug)]
pub(super) struct Diagnosis {
    /// SCRIPT_FILENAME.
    pub(super) sent: PathBuf,
    /// The script's path for this gateway: the same but for `backend_root`.
    pub(super) here: PathBuf,
    /// The kind of file there.
    pub(super) at_here: Seen,
    /// The first folder of `sent` that this host does not have.
    pub(super) first_missing: Option<PathBuf>,
    /// The most likely cause.
    pub(super) cause: Cause,
}

/// Kind of file at a path, for this gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A regular file.
    File,
    /// A directory, a socket, or another kind.
    Other,
    /// ENOENT or another error.
    Nothing,
    /// EACCES.
    Hidden,
}

/// The most likely cause, with its remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The root does not exist on this host.
    NoRoot(PathBuf),
    /// The folder that the link above the root led to when the request began does not exist any more.
    ReleaseRemoved(PathBuf),
    /// The root exists and the script does not.
    NoScript,
    /// The name is that of a directory or of a special file.
    NoFile,
    /// EACCES on this host.
    Hidden,
    /// The file exists, and its mode or that of this folder above it excludes some users.
    Closed(PathBuf),
    /// PHP-FPM reported EACCES.
    NotPermitted,
    /// The file exists, and `backend_root` makes a path of it that does not.
    BackendRoot,
    /// The file exists, at this very path.
    Elsewhere,
}

impl Refusal {
    /// Returns the refusal that a message reports; `marked` is a message of PHP itself, which a script may have
    /// written.
    pub(super) fn of(marked: bool, text: &[u8]) -> Option<Self> {
        if marked {
            return None;
        }
        if text.starts_with(b"Primary script unknown") {
            return Some(Self::Unknown);
        }
        let reason = text.strip_prefix(b"Unable to open primary script")?;
        Some(if reason.ends_with(b"(Permission denied)") {
            Self::NotPermitted
        } else {
            Self::NotOpened
        })
    }
}

impl Diagnosis {
    /// Examines the path of a script below the roots of `mapping`. Blocks on the disk, once per script and interval.
    pub(super) fn look(mapping: &Mapping, script: &Script, refusal: Refusal) -> Self {
        let sent = below(OsStr::from_bytes(script.root(mapping)), &script.file);
        let here = below(mapping.root.0.as_os_str(), &script.file);
        let release = script.resolved.as_ref().map(|roots| &*roots.script);
        let facts = Facts {
            refusal,
            root: (mapping.root.0.clone(), Seen::at(&mapping.root.0)),
            removed: release
                .filter(|release| Seen::at(release) == Seen::Nothing)
                .map(Path::to_path_buf),
            here: Seen::at(&here),
            sent: Seen::at(&sent),
            closed: first_above(&sent, is_closed),
        };
        Self {
            at_here: facts.here,
            cause: facts.cause(),
            first_missing: first_above(&sent, |path, found| path != sent && is_missing(found)),
            sent,
            here,
        }
    }
}

/// Returns the most likely cause why PHP-FPM does not find the script `file` below the roots of `mapping`, and
/// the remedy, in the words of the log. Blocks on the disk.
pub fn explain_unknown_script(mapping: &Mapping, file: &[u8]) -> String {
    Diagnosis::look(mapping, &Script::at(file, file.len()), Refusal::Unknown)
        .cause
        .to_string()
}

/// Observations that determine the cause.
#[derive(Clone, Debug)]
struct Facts {
    refusal: Refusal,
    root: (PathBuf, Seen),
    removed: Option<PathBuf>,
    here: Seen,
    sent: Seen,
    closed: Option<PathBuf>,
}

impl Facts {
    fn cause(self) -> Cause {
        match (self.here, self.sent) {
            _ if self.refusal == Refusal::NotPermitted => {
                self.closed.map_or(Cause::NotPermitted, Cause::Closed)
            }
            _ if let Some(release) = self.removed => Cause::ReleaseRemoved(release),
            (Seen::Hidden, _) => Cause::Hidden,
            (Seen::Other, _) => Cause::NoFile,
            (Seen::Nothing, _) if self.root.1 == Seen::Nothing => Cause::NoRoot(self.root.0),
            (Seen::Nothing, _) => Cause::NoScript,
            (Seen::File, Seen::Nothing) => Cause::BackendRoot,
            (Seen::File, Seen::File | Seen::Other | Seen::Hidden) => {
                self.closed.map_or(Cause::Elsewhere, Cause::Closed)
            }
        }
    }
}

impl Cause {
    /// Reports whether it is the normal result of `missing = "pass"`: a client named no existing script.
    pub(super) fn is_ordinary(&self) -> bool {
        *self == Self::NoScript
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NoRoot(root) => {
                return write!(
                    f,
                    "the root {root:?} does not exist on this host: it is wrong, or only PHP sees it and has no such script there"
                );
            }
            Self::ReleaseRemoved(release) => {
                return write!(
                    f,
                    "{release:?}, to which the root's link led when the request began, has been removed: a deployment must keep a release until its requests have ended"
                );
            }
            Self::NoScript => {
                "the script does not exist below the root; `missing = \"pass\"` sends requests for it anyway"
            }
            Self::NoFile => "this name is that of a directory or a special file",
            Self::Hidden => {
                "this gateway's user has no permission to look there, and PHP-FPM's perhaps not either: search permission is missing on a folder above"
            }
            Self::Closed(path) => {
                return write!(
                    f,
                    "the mode of {path:?} admits only its owner and group, and PHP-FPM's user is perhaps neither"
                );
            }
            Self::NotPermitted => "PHP-FPM's user has no permission to read it",
            Self::BackendRoot => {
                "the script exists here, and `backend_root` makes another path of it, which this host does not have: it must be the root as PHP-FPM sees it in its container or chroot"
            }
            Self::Elsewhere => {
                "the script exists here, at this very path, so PHP-FPM sees other files: mount them in its container at the same path, or set `backend_root` to the root as PHP-FPM sees it; a `chroot` of its pool is no part of that path"
            }
        };
        f.write_str(text)
    }
}

impl Seen {
    /// Returns the value of the log field.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::File => "yes",
            Self::Other => "not a file",
            Self::Nothing => "no",
            Self::Hidden => "hidden",
        }
    }

    fn at(path: &Path) -> Self {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Self::File,
            Ok(_) => Self::Other,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Self::Hidden,
            Err(_) => Self::Nothing,
        }
    }
}

fn below(root: &OsStr, file: &[u8]) -> PathBuf {
    let bytes = root.as_bytes();
    let trimmed = bytes.strip_suffix(b"/").unwrap_or(bytes);
    PathBuf::from(OsStr::from_bytes(&[trimmed, file].concat()))
}

/// Returns the first of the folders above `path`, from the top, or `path` itself, for which `wanted` holds.
fn first_above(
    path: &Path,
    wanted: impl Fn(&Path, &io::Result<Metadata>) -> bool,
) -> Option<PathBuf> {
    let mut all: Vec<_> = path.ancestors().collect();
    all.reverse();
    let found = all
        .into_iter()
        .find(|path| wanted(path, &fs::metadata(path)));
    found.map(Path::to_path_buf)
}

fn is_missing(found: &io::Result<Metadata>) -> bool {
    let kind = found.as_ref().err().map(io::Error::kind);
    kind == Some(io::ErrorKind::NotFound)
}

/// Reports whether the mode denies other users to enter the folder or to read the file.
fn is_closed(_: &Path, found: &io::Result<Metadata>) -> bool {
    const ENTER: u32 = 0o001;
    const READ: u32 = 0o004;
    found.as_ref().is_ok_and(|metadata| {
        let needed = if metadata.is_dir() { ENTER } else { READ };
        metadata.permissions().mode() & needed == 0
    })
}

#[cfg(test)]
mod tests;
