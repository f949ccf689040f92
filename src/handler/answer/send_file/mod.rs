//! `send_file`: a script names a file and the gateway sends it, so that no worker is held by a slow client.
//! Never sends a file outside the configured folders, and never reveals its path to a client.

mod answer;
mod section;
#[cfg(test)]
mod tests;

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderValue;

pub use section::SEND_FILE;

use super::orders::Orders;
use crate::cgi::Mapping;
use crate::cgi::meta_variables::Constants;
use crate::handler::static_files::unsafe_name;
use crate::message::{Disk, EncodedSlash, Found, OpenFile, Root, Target};

/// Files that scripts may name.
#[derive(Clone, Debug, Default)]
pub struct SendFile {
    /// For X-Sendfile.
    roots: Vec<Folder>,
    /// For X-Accel-Redirect: URI prefixes that begin and end with `/`, the longest first.
    internal: Vec<(String, Folder)>,
    all_names: bool,
    /// Set once a field without configuration was logged: once for a site is enough.
    is_logged: Arc<AtomicBool>,
}

/// A folder below which files are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Folder {
    root: Root,
    /// Its path for PHP, where it differs.
    seen: Option<PathBuf>,
}

/// A file named by a script in a configured field.
#[derive(Clone, Copy, Debug)]
pub(super) enum NamedFile<'a> {
    /// An absolute path as PHP sees it.
    Path(&'a HeaderValue),
    /// A percent-encoded URI.
    Uri(&'a HeaderValue),
}

/// Reason for a named file that is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// A fault of the script or of the configuration.
    Because(&'static str),
    /// A fault of the gateway, as an errno.
    Trouble(i32),
}

impl SendFile {
    fn new(roots: Vec<Folder>, mut internal: Vec<(String, Folder)>, all_names: bool) -> Self {
        internal.sort_by_key(|(uri, _)| std::cmp::Reverse(uri.len()));
        Self {
            roots,
            internal,
            all_names,
            is_logged: Arc::default(),
        }
    }

    /// Returns the folders below which files are sent.
    pub fn folders(&self) -> impl Iterator<Item = &Root> {
        let internal = self.internal.iter().map(|(_, folder)| folder);
        self.roots.iter().chain(internal).map(|folder| &folder.root)
    }

    /// Adapts the folders to an application that sees the document root at another path.
    #[must_use]
    pub fn seen_through(mut self, mapping: &Mapping) -> Self {
        let internal = self.internal.iter_mut().map(|(_, folder)| folder);
        for folder in self.roots.iter_mut().chain(internal) {
            folder.see_through(mapping);
        }
        self
    }

    /// Adds the variables that announce the usable field, by the names of Rack and Symfony.
    pub fn announce(&self, constants: Constants) -> Constants {
        const KIND: &str = "HTTP_X_SENDFILE_TYPE";
        if self.internal.is_empty() {
            return if self.roots.is_empty() {
                constants
            } else {
                constants.with(KIND, b"X-Sendfile")
            };
        }
        let names = self.internal.iter();
        let folders = names.map(|(uri, folder)| (folder.name().to_vec(), uri));
        constants
            .with(KIND, b"X-Accel-Redirect")
            .with_accel_mapping(&accel_mapping(folders.collect()))
    }

    /// Returns HTTP_X_ACCEL_MAPPING with folders without symbolic links in their names; empty without any folder.
    pub fn accel_mapping(&self, disk: &dyn Disk) -> Vec<u8> {
        let folders = self.internal.iter().map(|(uri, folder)| {
            let real = match &folder.seen {
                Some(_) => None,
                None => disk.real_path(&folder.root),
            };
            let name = real.as_deref().map_or_else(|| folder.name(), trimmed);
            (name.to_vec(), uri)
        });
        accel_mapping(folders.collect())
    }

    /// Returns the file that the script named in a configured field, if any.
    pub(super) fn named<'a>(&self, orders: &'a Orders) -> Option<NamedFile<'a>> {
        let uri = orders.x_accel_redirect.as_ref().map(NamedFile::Uri);
        let path = orders.x_sendfile.as_ref().map(NamedFile::Path);
        uri.filter(|_| !self.internal.is_empty())
            .or_else(|| path.filter(|_| !self.roots.is_empty()))
    }

    /// Returns the key to set for a file that was named and is not sent; once for a site.
    fn missing_key(&self, orders: &Orders) -> Option<&'static str> {
        let key = match (&orders.x_accel_redirect, &orders.x_sendfile) {
            (Some(_), _) => "site.send_file.internal",
            (None, Some(_)) => "site.send_file.roots",
            (None, None) => return None,
        };
        (!self.is_logged.swap(true, Ordering::Relaxed)).then_some(key)
    }

    /// Opens the file. Returns it with its path below its folder, which begins with `/`.
    fn open(
        &self,
        named: NamedFile<'_>,
        disk: &dyn Disk,
    ) -> Result<(Vec<u8>, Arc<OpenFile>), Refusal> {
        let (root, path) = match named {
            NamedFile::Path(value) => self.by_path(value, disk)?,
            NamedFile::Uri(value) => self.by_uri(value)?,
        };
        if !self.all_names && unsafe_name::withheld(&path).is_some() {
            return Err(Refusal::Because(
                "dotfiles, PHP sources and editor backups are sent only with site.send_file.all_names",
            ));
        }
        match disk.open(root, &path) {
            Found::File(file) => Ok((path, file)),
            Found::Directory => Err(Refusal::Because("it is a folder")),
            Found::Missing | Found::TooLong => Err(Refusal::Because("the file does not exist")),
            Found::Refused(why) => Err(Refusal::Because(why)),
            Found::Trouble(errno) => Err(Refusal::Trouble(errno)),
        }
    }

    /// Finds the folder of a path, which is taken as it is: frameworks do not encode it.
    fn by_path(&self, value: &HeaderValue, disk: &dyn Disk) -> Result<(&Root, Vec<u8>), Refusal> {
        if !value.as_bytes().starts_with(b"/") {
            return Err(Refusal::Because("the path is not absolute"));
        }
        // `__DIR__ . '/../files/a'` is an ordinary way to write it.
        let path = normal(value.as_bytes())?;
        let known = self.roots.iter().find_map(|folder| {
            let rest = below(&path, folder.name())?;
            Some((&folder.root, rest))
        });
        // PHP's realpath resolves the links on the way to a folder.
        let found = known.or_else(|| {
            self.roots.iter().find_map(|folder| {
                let real = disk.real_path(&folder.root)?;
                Some((&folder.root, below(&path, trimmed(&real))?))
            })
        });
        found.ok_or(Refusal::Because("it is outside site.send_file.roots"))
    }

    fn by_uri(&self, value: &HeaderValue) -> Result<(&Root, Vec<u8>), Refusal> {
        const UNREADABLE: Refusal = Refusal::Because("the URI cannot be read");
        let text = str::from_utf8(value.as_bytes()).map_err(|_| UNREADABLE)?;
        // Symfony encodes the slashes too, the first among them; nginx decodes before it matches.
        let target =
            Target::parse(&format!("/{text}"), EncodedSlash::Decode).map_err(|_| UNREADABLE)?;
        let found = self.internal.iter().find_map(|(uri, folder)| {
            let rest = target.path().strip_prefix(uri.as_bytes())?;
            Some((&folder.root, [b"/", rest].concat()))
        });
        found.ok_or(Refusal::Because("it is outside site.send_file.internal"))
    }
}

impl Folder {
    fn see_through(&mut self, mapping: &Mapping) {
        if let (None, Some(backend_root), Ok(rest)) = (
            &self.seen,
            &mapping.backend_root,
            self.root.0.strip_prefix(&mapping.root.0),
        ) {
            self.seen = Some(backend_root.join(rest));
        }
    }

    /// Returns its path for PHP, without a slash at its end.
    fn name(&self) -> &[u8] {
        trimmed(self.seen.as_ref().unwrap_or(&self.root.0))
    }
}

/// Returns the list of folders with their URIs. The first match is taken there: of two nested folders the inner one has
/// to come first.
fn accel_mapping(mut folders: Vec<(Vec<u8>, &String)>) -> Vec<u8> {
    folders.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    let pairs: Vec<_> = folders
        .iter()
        .map(|(name, uri)| [name.as_slice(), b"/=", uri.as_bytes()].concat())
        .collect();
    pairs.join(b",".as_slice())
}

fn trimmed(path: &Path) -> &[u8] {
    let name = path.as_os_str().as_bytes();
    name.strip_suffix(b"/").unwrap_or(name)
}

/// Returns the rest of `path` after `folder`, with its slash.
fn below(path: &[u8], folder: &[u8]) -> Option<Vec<u8>> {
    let rest = path.strip_prefix(folder)?;
    rest.starts_with(b"/").then(|| rest.to_vec())
}

/// Removes empty and dot segments, as [`Disk`] requires.
fn normal(path: &[u8]) -> Result<Vec<u8>, Refusal> {
    let root = Target::parse("/", EncodedSlash::Reject);
    let target = root.and_then(|root| root.with_path(path.to_vec()));
    match target {
        Ok(target) => Ok(target.path().to_vec()),
        Err(_) => Err(Refusal::Because("the path cannot be read")),
    }
}
