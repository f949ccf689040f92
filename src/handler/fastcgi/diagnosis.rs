//! Why PHP-FPM does not run a script: its `Primary script unknown` names neither the path nor a
//! cause. What this host's file system says of the path goes into one record; it is looked at only
//! then, and says nothing sure, as PHP may see other files.

mod repeats;

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cgi::Mapping;

pub(super) use repeats::Before;
pub use repeats::Refusals;

/// PHP-FPM's words for a script that it does not run (sapi/fpm/fpm/fpm_main.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// `Primary script unknown`: stat(2) failed, whatever the reason.
    Unknown,
    /// `Unable to open primary script: /path (Permission denied)`.
    NotOpened,
    /// The same without permission.
    NotPermitted,
}

/// What is known of a script that PHP-FPM does not run.
#[derive(Debug)]
pub(super) struct Diagnosis {
    /// SCRIPT_FILENAME.
    pub(super) sent: PathBuf,
    /// Where this gateway sees the script: the same but for `backend_root`.
    pub(super) here: PathBuf,
    /// What stands there.
    pub(super) at_here: Seen,
    /// The first folder of `sent` that this host does not have.
    pub(super) first_missing: Option<PathBuf>,
    /// What it most likely is.
    pub(super) cause: Cause,
}

/// What stands at a path, for this gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A regular file.
    File,
    /// A folder, a socket, anything else.
    Other,
    /// Nothing.
    Nothing,
    /// The gateway may not look there.
    Hidden,
}

/// Why, most likely, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The root itself is not here.
    NoRoot(PathBuf),
    /// The root is here and the script is not.
    NoScript,
    /// Something else than a file has its name.
    NoFile,
    /// The gateway may not look.
    Hidden,
    /// The file is here, and not all may read it or enter this folder above it.
    Closed(PathBuf),
    /// PHP-FPM says that it may not.
    NotPermitted,
    /// The file is here, and `backend_root` makes a path of it that is not.
    BackendRoot,
    /// The file is here, at this very path.
    Elsewhere,
}

impl Refusal {
    /// Whether a message says so. What PHP's marker precedes a script has written.
    pub(super) fn of(marked: bool, text: &[u8]) -> Option<Self> {
        if marked {
            return None;
        }
        if text.starts_with(b"Primary script unknown") {
            return Some(Self::Unknown);
        }
        let reason = text.strip_prefix(b"Unable to open primary script")?;
        match reason.ends_with(b"(Permission denied)") {
            true => Some(Self::NotPermitted),
            false => Some(Self::NotOpened),
        }
    }
}

impl Diagnosis {
    /// Looks at the path of `file`, which is below the roots of `mapping`. Asks the disk, once a
    /// script in a while.
    pub(super) fn look(mapping: &Mapping, file: &[u8], refusal: Refusal) -> Self {
        let sent = below(OsStr::from_bytes(mapping.document_root()), file);
        let here = below(mapping.root.0.as_os_str(), file);
        let facts = Facts {
            refusal,
            root: (mapping.root.0.clone(), Seen::at(&mapping.root.0)),
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

/// Why PHP-FPM most likely does not see the script `file` below the roots of `mapping`, and what to
/// do, as the log would say it. Asks the disk.
pub fn why_unknown(mapping: &Mapping, file: &[u8]) -> String {
    Diagnosis::look(mapping, file, Refusal::Unknown)
        .cause
        .to_string()
}

/// What the cause is judged by.
#[derive(Clone, Debug)]
struct Facts {
    refusal: Refusal,
    root: (PathBuf, Seen),
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
    /// Whether it is what `missing = "pass"` lets happen: a client asked for no script.
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
            Self::NoScript => {
                "there is no such script below the root; `missing = \"pass\"` sends requests for it all the same"
            }
            Self::NoFile => "what has this name is no regular file",
            Self::Hidden => {
                "this gateway's user may not look there, and PHP-FPM's perhaps not either: a folder above is closed to them"
            }
            Self::Closed(path) => {
                return write!(
                    f,
                    "the mode of {path:?} lets only its owner and group in, and PHP-FPM's user is perhaps neither"
                );
            }
            Self::NotPermitted => "PHP-FPM's user may not read it",
            Self::BackendRoot => {
                "the script is here, and `backend_root` makes another path of it, which this host does not have: it must be the root as PHP-FPM sees it in its container or chroot"
            }
            Self::Elsewhere => {
                "the script is here, at this very path, so PHP-FPM sees other files: mount them in its container at the same path, or set `backend_root` to the root as PHP-FPM sees it; a `chroot` of its pool is no part of that path"
            }
        };
        f.write_str(text)
    }
}

impl Seen {
    /// What logs call it.
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
    let root = root.as_bytes();
    let root = root.strip_suffix(b"/").unwrap_or(root);
    PathBuf::from(OsStr::from_bytes(&[root, file].concat()))
}

/// The first of the folders above `path`, from the top, or `path` itself, that `wanted` holds for.
fn first_above(
    path: &Path,
    wanted: impl Fn(&Path, &io::Result<Metadata>) -> bool,
) -> Option<PathBuf> {
    let mut all: Vec<_> = path.ancestors().collect();
    all.reverse();
    let mut all = all.into_iter();
    let found = all.find(|path| wanted(path, &fs::metadata(path)));
    found.map(Path::to_path_buf)
}

fn is_missing(found: &io::Result<Metadata>) -> bool {
    let kind = found.as_ref().err().map(io::Error::kind);
    kind == Some(io::ErrorKind::NotFound)
}

/// Whether some users may not enter the folder, or not read the file.
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
