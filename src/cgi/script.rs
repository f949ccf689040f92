//! Splits a path into the script and the rest: SCRIPT_NAME and PATH_INFO (RFC 3875 §4.1.5, §4.1.13).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::message::{Disk, Root, Symlinks};

/// A script and the URL of its call. Paths are bytes: file names need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// The script's file below the root, beginning with `/`: root and file together are the path for the
    /// gateway.
    pub file: Vec<u8>,
    /// SCRIPT_NAME (RFC 3875 §4.1.13): the path by which the client reached the script.
    pub name: Vec<u8>,
    /// PATH_INFO (RFC 3875 §4.1.5): the path after the script; empty if none.
    pub path_info: Vec<u8>,
    /// The roots without symbolic links, if the application gets them.
    pub resolved: Option<ResolvedRoots>,
}

/// The roots of a request without the symbolic links in their names (`resolve_root`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRoots {
    /// The root of the script.
    pub script: Arc<Path>,
    /// DOCUMENT_ROOT.
    pub document: Arc<Path>,
    /// HTTP_X_ACCEL_MAPPING; empty if the application gets none.
    pub accel_mapping: Vec<u8>,
}

/// The folders in which scripts are looked up.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The document root as the gateway sees it.
    pub root: Root,
    /// The document root as PHP sees it (`backend_root`), where it differs.
    pub backend_root: Option<PathBuf>,
    /// Symbolic links that may lead to scripts: `files.symlinks` of the site.
    pub symlinks: Symlinks,
    /// The application gets the roots without symbolic links (`resolve_root`).
    pub resolves_root: bool,
}

impl Mapping {
    /// Reports whether `file`, below the root, exists.
    pub fn has(&self, file: &[u8], disk: &dyn Disk) -> bool {
        disk.is_file_by(&self.root, file, self.symlinks)
    }
}

/// Extension of a script, as opposed to a static file.
const SCRIPT_EXTENSION: &[u8] = b".php";

/// Splits `path` at the first of its `.php` segments that is a file: as Apache's directory walk does, byte for
/// byte and without a regular expression (CVE-2019-11043 was one whose `.` did not match a newline). `None`:
/// the path names no existing script.
pub fn find(path: &[u8], mapping: &Mapping, disk: &dyn Disk) -> Option<usize> {
    candidates(path).find(|end| path.get(..*end).is_some_and(|file| mapping.has(file, disk)))
}

/// Iterates over the ends of all prefixes of `path` that look like a script: `/a.php/b.php/c` has two. A
/// segment that begins with a dot ends the search.
pub fn candidates(path: &[u8]) -> impl Iterator<Item = usize> + '_ {
    ends(path).filter(move |end| {
        path.get(..*end)
            .is_some_and(|prefix| prefix.ends_with(SCRIPT_EXTENSION) && !prefix.ends_with(b"/.php"))
    })
}

/// Iterates over the ends of all prefixes of `path` that are whole segments, up to the first that begins with a
/// dot.
pub fn ends(path: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let visible = path
        .windows(2)
        .position(|pair| pair == b"/.")
        .unwrap_or(path.len());
    let ends = path
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, byte)| **byte == b'/')
        .map(|(index, _)| index);
    ends.chain(std::iter::once(path.len()))
        .filter(move |end| *end <= visible)
}

impl Script {
    /// Reports whether `byte` occurs in the file or in PATH_INFO.
    pub fn has(&self, byte: u8) -> bool {
        self.file.contains(&byte) || self.path_info.contains(&byte)
    }

    /// Creates the script at `path[..end]`, called by its own path.
    pub fn at(path: &[u8], end: usize) -> Self {
        let (file, rest) = path.split_at_checked(end).unwrap_or((path, &[]));
        Self {
            file: file.to_vec(),
            name: file.to_vec(),
            path_info: rest.to_vec(),
            resolved: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Files(&'static [&'static str]);

    impl Disk for Files {
        fn open(&self, _: &Root, _: &[u8]) -> crate::message::Found {
            crate::message::Found::Missing
        }
        fn is_file(&self, _: &Root, path: &[u8]) -> bool {
            self.0.iter().any(|file| file.as_bytes() == path)
        }
    }

    #[test]
    fn the_first_script_that_exists_wins() {
        let disk = Files(&["/a.php", "/dir.php/b.php", "/.git/x.php"]);
        let mapping = Mapping {
            root: Root(PathBuf::from("/srv")),
            backend_root: None,
            symlinks: Symlinks::default(),
            resolves_root: false,
        };
        type Found = Option<(&'static [u8], &'static [u8])>;
        let cases: [(&[u8], Found); 11] = [
            (b"/a.php", Some((b"/a.php", b""))),
            (b"/a.php/", Some((b"/a.php", b"/"))),
            (b"/a.php/b.php/c", Some((b"/a.php", b"/b.php/c"))),
            (b"/dir.php/b.php/c", Some((b"/dir.php/b.php", b"/c"))),
            (b"/a.php\nX", None),
            (b"/a.phpx", None),
            (b"/a.php.jpg", None),
            (b"/missing.php", None),
            (b"/.git/x.php", None),
            (b"/.php", None),
            (b"/a.php/\xff %2f", Some((b"/a.php", b"/\xff %2f"))),
        ];
        for (path, expected) in cases {
            let script = find(path, &mapping, &disk).map(|end| Script::at(path, end));
            let found = script
                .as_ref()
                .map(|script| (script.file.as_slice(), script.path_info.as_slice()));
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(path));
        }
    }
}
