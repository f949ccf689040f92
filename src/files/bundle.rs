//! The files that a load has read, as one value: their contents, their status, and what patterns matched. One process
//! records it and another loads from it, so that both see the same files.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Content, Status, memfd};

/// Contents and status of files, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    files: BTreeMap<OsString, Facts>,
    patterns: BTreeMap<String, Result<Vec<OsString>, String>>,
}

/// The facts about a file that a load has asked for; an error is an errno.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) status: Option<Result<Status, i32>>,
    pub(super) canonical: Option<Result<OsString, i32>>,
    pub(super) content: Option<Result<Content, i32>>,
}

/// A fact about one path, or a file that the pattern before it matched.
#[derive(Serialize, Deserialize)]
enum Fact {
    Status(OsString, Result<Status, i32>),
    Canonical(OsString, Result<OsString, i32>),
    Content(OsString, Result<Content, i32>),
    Pattern(String, Result<(), String>),
    Match(OsString),
}

/// Error of a bundle that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the bundle of files cannot be used: {0}")]
pub enum BundleError {
    /// The memory of the bundle cannot be read or written.
    Memory(#[from] io::Error),
    /// A fact is malformed.
    Malformed(#[from] postcard::Error),
    /// Not a bundle of this version of fcgate.
    #[error("the bundle of files is one of another version of fcgate")]
    OtherVersion,
    /// A limit is exceeded.
    #[error("the bundle of files has more than {MAX_FACTS} facts about files")]
    TooManyFacts,
}

/// Begins the encoding, with the version of [`Fact`].
const FORMAT: &[u8] = b"fcgate files 1\n";

/// Limit of an encoded bundle, in bytes: it is memory of two processes. Twenty thousand certificates with their chains
/// take 160 MiB.
pub(super) const MAX_BYTES: usize = 256 * 1024 * 1024;

/// Limit of the facts of a bundle: content, status and real path of 65 536 files, and some hundred bytes of memory each.
pub(super) const MAX_FACTS: usize = 3 * 65_536;

impl Bundle {
    pub(super) fn facts_of(&mut self, path: &Path) -> &mut Facts {
        self.files.entry(path.as_os_str().to_owned()).or_default()
    }

    pub(super) fn known(&self, path: &Path) -> Option<&Facts> {
        self.files.get(path.as_os_str())
    }

    pub(super) fn add_matches(&mut self, pattern: &str, matches: Result<Vec<PathBuf>, String>) {
        let paths = |files: Vec<PathBuf>| files.into_iter().map(PathBuf::into_os_string);
        let matches = matches.map(|files| paths(files).collect());
        self.patterns.insert(pattern.to_owned(), matches);
    }

    pub(super) fn matches(&self, pattern: &str) -> Option<Result<Vec<PathBuf>, String>> {
        let matches = self.patterns.get(pattern)?.as_ref();
        let files = matches.map(|files| files.iter().map(PathBuf::from).collect());
        Some(files.map_err(Clone::clone))
    }

    /// Returns the bundle in sealed anonymous memory, for another process.
    pub fn to_memfd(&self) -> Result<OwnedFd, BundleError> {
        Ok(memfd::seal("fcgate files", &self.encode()?)?)
    }

    /// Reads a bundle from sealed anonymous memory.
    pub fn from_memfd(memory: impl AsFd) -> Result<Self, BundleError> {
        Self::decode(&memfd::read(memory, MAX_BYTES)?)
    }

    /// Encodes the bundle. The memory of the result is zeroed when it is dropped.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, BundleError> {
        // A buffer that grows would leave parts of keys behind.
        let mut bytes = Zeroizing::new(vec![0; self.size()]);
        let mut end = FORMAT.len();
        bytes
            .iter_mut()
            .zip(FORMAT)
            .for_each(|(to, from)| *to = *from);
        for fact in self.facts() {
            let free = bytes.get_mut(end..).unwrap_or_default();
            end += postcard::to_slice(&fact, free)?.len();
        }
        Ok(bytes)
    }

    /// Decodes a bundle.
    pub fn decode(bytes: &[u8]) -> Result<Self, BundleError> {
        let mut rest = bytes
            .strip_prefix(FORMAT)
            .ok_or(BundleError::OtherVersion)?;
        let mut bundle = Self::default();
        let mut pattern = None;
        for _ in 0..=MAX_FACTS {
            if rest.is_empty() {
                return Ok(bundle);
            }
            let (fact, after) = postcard::take_from_bytes(rest)?;
            bundle.add(fact, &mut pattern)?;
            rest = after;
        }
        Err(BundleError::TooManyFacts)
    }

    /// Adds a fact; `pattern` is the last one before it.
    fn add(&mut self, fact: Fact, pattern: &mut Option<String>) -> Result<(), BundleError> {
        match fact {
            Fact::Status(path, status) => self.facts_of(path.as_ref()).status = Some(status),
            Fact::Canonical(path, real) => self.facts_of(path.as_ref()).canonical = Some(real),
            Fact::Content(path, content) => self.facts_of(path.as_ref()).content = Some(content),
            Fact::Pattern(text, matched) => {
                let matches = matched.map(|()| Vec::new());
                self.patterns.insert(text.clone(), matches);
                *pattern = Some(text);
            }
            Fact::Match(path) => {
                let pattern = pattern
                    .as_ref()
                    .and_then(|text| self.patterns.get_mut(text));
                let Some(Ok(matches)) = pattern else {
                    return Err(postcard::Error::SerdeDeCustom.into());
                };
                matches.push(path);
            }
        }
        Ok(())
    }

    /// Iterates over the facts. Clones of contents share their memory.
    fn facts(&self) -> impl Iterator<Item = Fact> {
        let files = self.files.iter().flat_map(|(path, facts)| {
            let Facts {
                status,
                canonical,
                content,
            } = facts.clone();
            [
                status.map(|status| Fact::Status(path.clone(), status)),
                canonical.map(|real| Fact::Canonical(path.clone(), real)),
                content.map(|content| Fact::Content(path.clone(), content)),
            ]
        });
        let patterns = self.patterns.iter().flat_map(|(text, matches)| {
            let matched = matches.as_ref().map(|_| ()).map_err(Clone::clone);
            let matches = matches.iter().flatten();
            [Some(Fact::Pattern(text.clone(), matched))]
                .into_iter()
                .chain(matches.map(|path| Some(Fact::Match(OsStr::to_owned(path)))))
        });
        files.chain(patterns).flatten()
    }

    /// Returns the number of facts.
    pub(super) fn count(&self) -> usize {
        self.facts().count()
    }

    /// Returns the size of the encoding, in bytes.
    pub(super) fn size(&self) -> usize {
        // Only a type that postcard cannot encode has no size.
        let size = |fact| postcard::experimental::serialized_size(&fact).unwrap_or(usize::MAX);
        let sizes = self.facts().map(size);
        sizes.fold(FORMAT.len(), usize::saturating_add)
    }
}
