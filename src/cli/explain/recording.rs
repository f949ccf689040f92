//! A file system that remembers what it was asked, around the real one.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::message::disk::{OpenFolder, Symlinks};
use crate::message::{Disk, Found, Root};

/// Remembers every look-up.
#[derive(Debug)]
pub(super) struct Recording<'a> {
    disk: &'a dyn Disk,
    lookups: Mutex<Vec<Lookup>>,
}

impl Lookup {
    /// Reports whether a file was found, and opened.
    pub(super) fn is_file(&self) -> bool {
        self.asked == ANYTHING && self.found.starts_with(A_FILE)
    }
}

const ANYTHING: &str = "anything";
const A_FILE: &str = "a file of ";

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lookup {
    /// `anything`, `a file` or `a folder`.
    pub(super) asked: &'static str,
    /// The path that was looked at, as the gateway sees it.
    pub(super) path: String,
    /// What stood there.
    pub(super) found: String,
}

impl<'a> Recording<'a> {
    pub(super) fn new(disk: &'a dyn Disk) -> Self {
        Self {
            disk,
            lookups: Mutex::default(),
        }
    }

    /// What was asked since the last time.
    pub(super) fn take(&self) -> Vec<Lookup> {
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut lookups)
    }

    fn note(&self, asked: &'static str, root: &Root, path: &[u8], found: String) {
        let root = root.0.to_string_lossy();
        let path = String::from_utf8_lossy(path);
        let lookup = Lookup {
            asked,
            path: format!("{}{path}", root.trim_end_matches('/')),
            found,
        };
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        lookups.push(lookup);
    }
}

impl Disk for Recording<'_> {
    fn open(&self, root: &Root, path: &[u8]) -> Found {
        self.open_by(root, path, Symlinks::WithinRoot)
    }

    fn is_file(&self, root: &Root, path: &[u8]) -> bool {
        self.is_file_by(root, path, Symlinks::WithinRoot)
    }

    fn open_by(&self, root: &Root, path: &[u8], symlinks: Symlinks) -> Found {
        let found = self.disk.open_by(root, path, symlinks);
        self.note(ANYTHING, root, path, show(&found));
        found
    }

    fn is_file_by(&self, root: &Root, path: &[u8], symlinks: Symlinks) -> bool {
        let found = self.disk.is_file_by(root, path, symlinks);
        self.note("a file", root, path, yes(found));
        found
    }

    fn open_folder(
        &self,
        root: &Root,
        path: &[u8],
        symlinks: Symlinks,
    ) -> Result<OpenFolder, Found> {
        let found = self.disk.open_folder(root, path, symlinks);
        let shown = found.as_ref().map_or_else(show, |_| "a folder".to_owned());
        self.note("a folder to list", root, path, shown);
        found
    }

    fn is_directory(&self, root: &Root, path: &[u8]) -> bool {
        let found = self.disk.is_directory(root, path);
        self.note("a folder", root, path, yes(found));
        found
    }

    fn real_path(&self, root: &Root) -> Option<PathBuf> {
        self.disk.real_path(root)
    }
}

fn yes(found: bool) -> String {
    if found { "yes" } else { "no" }.to_owned()
}

fn show(found: &Found) -> String {
    match found {
        Found::File(file) => format!("{A_FILE}{} bytes", file.length),
        Found::Directory => "a folder".to_owned(),
        Found::Missing => "nothing".to_owned(),
        Found::TooLong => "nothing: the name is too long".to_owned(),
        Found::Refused(why) => format!("refused: {why}"),
        Found::Trouble(errno) => std::io::Error::from_raw_os_error(*errno).to_string(),
    }
}
