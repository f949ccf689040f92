//! An [`Opener`] for tests in place of the parent, and a thread without the rights to search a folder.

use std::fs::{File, Permissions, set_permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use nix::unistd::{Uid, geteuid, setfsuid};

use super::{Opener, open, open_log};

/// Opens files with the rights of this process, and keeps account of them.
#[derive(Debug, Default)]
pub(crate) struct OwnOpener {
    opened: Mutex<Vec<PathBuf>>,
    /// The folder that a test cannot search meanwhile.
    hidden: Option<PathBuf>,
}

impl OwnOpener {
    /// Returns the opener of a process that may search `hidden`.
    pub(crate) fn of(hidden: &Path) -> Self {
        Self {
            opened: Mutex::default(),
            hidden: Some(hidden.to_owned()),
        }
    }

    /// Returns the paths that were opened since the last call, in their order.
    pub(crate) fn opened(&self) -> Vec<PathBuf> {
        std::mem::take(&mut self.opened.lock().unwrap())
    }

    fn open_by(&self, path: &Path, open: impl Fn(&Path) -> io::Result<File>) -> io::Result<File> {
        self.opened.lock().unwrap().push(path.to_owned());
        let Some(hidden) = &self.hidden else {
            return open(path);
        };
        reveal(hidden);
        let opened = open(path);
        hide(hidden);
        opened
    }
}

impl Opener for OwnOpener {
    fn open(&self, path: &Path) -> io::Result<File> {
        self.open_by(path, open)
    }

    fn open_log(&self, path: &Path) -> io::Result<File> {
        self.open_by(path, open_log)
    }
}

/// Runs `work` on this thread without the right to search `folder`.
pub(crate) fn without_rights<T>(folder: &Path, work: impl FnOnce() -> T) -> T {
    struct Revealed<'a>(&'a Path);

    impl Drop for Revealed<'_> {
        fn drop(&mut self) {
            reveal(self.0);
        }
    }

    set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
    hide(folder);
    let _end = Revealed(folder);
    work()
}

/// Root may search any folder, but by the user of its thread for file systems (setfsuid(2)).
fn hide(folder: &Path) {
    if geteuid().is_root() {
        setfsuid(NOBODY);
    } else {
        set_permissions(folder, Permissions::from_mode(0o0)).unwrap();
    }
}

fn reveal(folder: &Path) {
    if geteuid().is_root() {
        setfsuid(Uid::from_raw(0));
    } else {
        set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
    }
}

const NOBODY: Uid = Uid::from_raw(65_534);
