//! Files that a user may not open: the folder or file that denies it, and the remedy.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::user::{group_name, show_group, show_user};
use crate::privilege::User;

/// A file or folder that denies access to this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denied {
    path: PathBuf,
    /// The denied right: search of a folder on the way, or the one that was asked for.
    right: Right,
    uid: u32,
    gid: u32,
    mode: u32,
}

/// A right to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// Search a folder.
    Search,
    /// Create files in a folder.
    Create,
}

/// Returns what denies this process the `right` to `path`; `None` if it has it, or the file is missing. The real user of the
/// process counts, see access(2).
pub(super) fn denied(path: &Path, right: Right) -> Option<Denied> {
    denied_beyond(path, right, LINKS)
}

fn denied_beyond(path: &Path, right: Right, links: usize) -> Option<Denied> {
    let mut above: Vec<_> = path.ancestors().skip(1).collect();
    above.reverse();
    let folders = above.into_iter().map(|folder| (folder, Right::Search));
    let mut steps = folders.chain([(path, right)]);
    let (found, right) = steps.find(|(step, right)| is_denied(step, *right))?;
    let link = found.read_link().ok().filter(|_| links > 0);
    if let Some(target) = link {
        // What denies access may lie on the way to the link's target.
        let target = found.parent().unwrap_or(found).join(target);
        return denied_beyond(&target, right, links - 1);
    }
    let metadata = found.metadata().ok()?;
    Some(Denied {
        path: found.to_owned(),
        right,
        uid: metadata.uid(),
        gid: metadata.gid(),
        mode: metadata.mode() & 0o7777,
    })
}

fn is_denied(path: &Path, right: Right) -> bool {
    let flags = match right {
        Right::Search => AccessFlags::X_OK,
        Right::Create => AccessFlags::W_OK | AccessFlags::X_OK,
    };
    !path.as_os_str().is_empty() && access(path, flags) == Err(Errno::EACCES)
}

impl Denied {
    /// Returns the remedy for `user`.
    pub(super) fn remedy(&self, user: &User) -> String {
        let (path, name) = (self.path.display(), &user.name);
        match self.right {
            Right::Create => format!("chown {name} {path}, or setfacl -m u:{name}:rwx {path}"),
            Right::Search => {
                let group = self.helpful_group(user);
                let by_group = group.map_or_else(String::new, |group| {
                    format!(", or usermod -aG {group} {name} and restart fcgate")
                });
                format!("setfacl -m u:{name}:x {path}, or chmod o+x {path}{by_group}")
            }
        }
    }

    /// Returns the group of the folder if its members may search it; never that of root, which has more.
    fn helpful_group(&self, user: &User) -> Option<String> {
        let helps = self.gid != 0 && self.mode & 0o010 != 0 && !user.groups.contains(&self.gid);
        group_name(self.gid).filter(|_| helps)
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let right = match self.right {
            Right::Search => "search",
            Right::Create => "write",
        };
        write!(
            f,
            "no permission to {right} {}, which is {}:{} {:04o}",
            self.path.display(),
            show_user(self.uid),
            show_group(self.gid),
            self.mode
        )
    }
}

/// Symbolic links that are followed on the way, as path_resolution(7) has it.
const LINKS: usize = 40;
