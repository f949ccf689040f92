//! A disk that records all look-ups of another.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::message::disk::{FileVersion, OpenFolder, Symlinks};
use crate::message::{Disk, Found, OpenFile, Root};

/// Wrapper of a disk that records all look-ups.
#[derive(Debug)]
pub(super) struct RecordingDisk<'a> {
    disk: &'a dyn Disk,
    lookups: Mutex<Vec<Lookup>>,
    /// Opened files with their paths.
    opened: Mutex<Vec<(Arc<OpenFile>, String)>>,
}

/// A look-up and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lookup {
    /// The wanted type: `anything`, `a file` or `a folder`.
    pub(super) asked: &'static str,
    /// The path on the gateway's host.
    pub(super) path: String,
    /// The result.
    pub(super) found: String,
}

impl<'a> RecordingDisk<'a> {
    pub(super) fn new(disk: &'a dyn Disk) -> Self {
        Self {
            disk,
            lookups: Mutex::default(),
            opened: Mutex::default(),
        }
    }

    /// Takes all look-ups since the last call.
    pub(super) fn take_lookups(&self) -> Vec<Lookup> {
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut lookups)
    }

    /// Returns the path of an opened file.
    pub(super) fn path_of(&self, file: &Arc<OpenFile>) -> Option<String> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let found = opened.iter().find(|(known, _)| Arc::ptr_eq(known, file));
        found.map(|(_, path)| path.clone())
    }

    fn record_lookup(&self, asked: &'static str, root: &Root, path: &[u8], found: String) {
        let path = full(root, path);
        let lookup = Lookup { asked, path, found };
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        lookups.push(lookup);
    }
}

impl Disk for RecordingDisk<'_> {
    fn open(&self, root: &Root, path: &[u8]) -> Found {
        self.open_by(root, path, Symlinks::WithinRoot)
    }

    fn is_file(&self, root: &Root, path: &[u8]) -> bool {
        self.is_file_by(root, path, Symlinks::WithinRoot)
    }

    fn open_by(&self, root: &Root, path: &[u8], symlinks: Symlinks) -> Found {
        let found = self.disk.open_by(root, path, symlinks);
        self.record_lookup("anything", root, path, show(&found));
        if let Found::File(file) = &found {
            let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
            opened.push((Arc::clone(file), full(root, path)));
        }
        found
    }

    fn is_file_by(&self, root: &Root, path: &[u8], symlinks: Symlinks) -> bool {
        let found = self.disk.is_file_by(root, path, symlinks);
        self.record_lookup("a file", root, path, yes(found));
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
        self.record_lookup("a folder to list", root, path, shown);
        found
    }

    fn is_directory(&self, root: &Root, path: &[u8]) -> bool {
        let found = self.disk.is_directory(root, path);
        self.record_lookup("a folder", root, path, yes(found));
        found
    }

    /// Records nothing: the file is none of the site.
    fn version(&self, path: &Path) -> Option<FileVersion> {
        self.disk.version(path)
    }

    fn real_path(&self, root: &Root) -> Option<Arc<Path>> {
        self.disk.real_path(root)
    }
}

fn full(root: &Root, path: &[u8]) -> String {
    let root = root.0.to_string_lossy();
    format!(
        "{}{}",
        root.trim_end_matches('/'),
        String::from_utf8_lossy(path)
    )
}

fn yes(found: bool) -> String {
    if found { "yes" } else { "no" }.to_owned()
}

fn show(found: &Found) -> String {
    match found {
        Found::File(file) => format!("a file of {} bytes", file.length),
        Found::Directory => "a folder".to_owned(),
        Found::Missing => "nothing".to_owned(),
        Found::TooLong => "nothing: the name is too long".to_owned(),
        Found::Refused(why) => format!("refused: {why}"),
        Found::Trouble(errno) => std::io::Error::from_raw_os_error(*errno).to_string(),
    }
}
