//! Coded contents of files that are asked for again and again, by what was coded: the bytes
//! themselves, or a file that is still the same. Nothing that a script printed comes here.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::Effort;
use crate::message::accept_encoding::Coding;

/// The largest result that is kept, in bytes: also what a stream may hold while it is made.
const LARGEST: usize = 1024 * 1024;

/// What an entry is guessed to have, in bytes. The cache has a part for each 32 entries or more,
/// and an entry must fit into its part: this is large enough for the largest.
const TYPICAL: u64 = 128 * 1024;

/// What an entry costs beside its bytes.
const OVERHEAD: u64 = 200;

/// What was coded, and how.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// What was coded.
    pub source: Source,
    /// The coding.
    pub coding: Coding,
    /// How.
    pub effort: Effort,
}

/// The content without a coding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// These bytes: a small file, compared byte by byte, so that nothing is ever mistaken.
    Bytes(Bytes),
    /// The whole of a file.
    File(Identity),
}

/// Which file it is and which version of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Device and inode.
    pub node: (u64, u64),
    /// Length in bytes.
    pub length: i64,
    /// Last modification, in seconds and nanoseconds.
    pub modified: (i64, i64),
    /// Last change of the inode, which nobody can set.
    pub changed: (i64, i64),
}

/// A bounded cache.
#[derive(Debug)]
pub struct CodedCache(Option<Cache<Key, Bytes, Weight>>);

/// The bytes of an entry.
#[derive(Clone, Copy, Debug)]
struct Weight;

/// A result on its way into the cache.
#[derive(Debug)]
pub struct Keep {
    cache: Arc<CodedCache>,
    key: Key,
    so_far: BytesMut,
}

impl CodedCache {
    /// Of at most so many bytes; 0 keeps nothing.
    pub fn new(capacity: u64) -> Self {
        let items = usize::try_from(capacity / TYPICAL).unwrap_or(usize::MAX);
        let items = items.clamp(16, 65_536);
        Self((capacity > 0).then(|| Cache::with_weighter(items, capacity, Weight)))
    }

    /// What is kept of it.
    pub fn get(&self, key: &Key) -> Option<Bytes> {
        self.0.as_ref()?.get(key)
    }

    /// Keeps a result, and for it forgets what is asked for less.
    pub fn put(&self, key: Key, coded: Bytes) {
        if let Some(cache) = &self.0 {
            cache.insert(key, coded);
        }
    }

    /// Begins to keep a result that is still to be made; `None` where nothing is kept.
    pub fn keep(self: &Arc<Self>, key: Key) -> Option<Keep> {
        self.0.as_ref()?;
        Some(Keep {
            cache: Arc::clone(self),
            key,
            so_far: BytesMut::new(),
        })
    }
}

impl Keep {
    /// The next piece of it; gives up, with false, when it is too large.
    pub(super) fn add(&mut self, piece: &Bytes) -> bool {
        let fits = self.so_far.len() + piece.len() <= LARGEST;
        if fits {
            self.so_far.extend_from_slice(piece);
        }
        fits
    }

    /// It is whole.
    pub(super) fn done(self) {
        self.cache.put(self.key, self.so_far.freeze());
    }
}

impl Weighter<Key, Bytes> for Weight {
    fn weight(&self, key: &Key, coded: &Bytes) -> u64 {
        let source = match &key.source {
            Source::Bytes(bytes) => bytes.len(),
            Source::File(_) => 0,
        };
        (source + coded.len()) as u64 + OVERHEAD
    }
}
