//! The cache of coded contents of files, by source: the bytes themselves, or the identity of a file. Output of scripts is
//! never cached.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::Effort;
use crate::message::accept_encoding::Coding;

/// The largest entry, in bytes: also the limit of a stream while it is coded.
const LARGEST: usize = 1024 * 1024;

/// The estimated size of an entry, in bytes. The cache has a shard for each 32 entries or more, and an entry must fit into
/// its shard: this is large enough for the largest.
const TYPICAL: u64 = 128 * 1024;

/// Bytes of an entry beside key and content.
const OVERHEAD: u64 = 200;

/// The key of an entry: source, coding and effort.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The content before coding.
    pub source: Source,
    /// The coding.
    pub coding: Coding,
    /// The effort of the encoder.
    pub effort: Effort,
}

/// The content without a coding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The bytes of a small file, compared byte by byte: no collision is possible.
    Bytes(Bytes),
    /// The whole of a file.
    File(Identity),
}

/// A file and its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Device and inode.
    pub node: (u64, u64),
    /// Length in bytes.
    pub length: i64,
    /// Last modification, in seconds and nanoseconds.
    pub modified: (i64, i64),
    /// Last change of the inode (st_ctime), which no program can set.
    pub changed: (i64, i64),
}

/// The cache, bounded by bytes.
#[derive(Debug)]
pub struct CodedCache(Option<Cache<Key, Bytes, Weight>>);

/// The weight of an entry: its bytes.
#[derive(Clone, Copy, Debug)]
struct Weight;

/// An entry of the cache under construction.
#[derive(Debug)]
pub struct PendingEntry {
    cache: Arc<CodedCache>,
    key: Key,
    so_far: BytesMut,
}

impl CodedCache {
    /// Builds a cache of at most `capacity` bytes; 0 caches nothing.
    pub fn new(capacity: u64) -> Self {
        let items = usize::try_from(capacity / TYPICAL)
            .unwrap_or(usize::MAX)
            .clamp(16, 65_536);
        Self((capacity > 0).then(|| Cache::with_weighter(items, capacity, Weight)))
    }

    /// Returns the entry of a key.
    pub fn get(&self, key: &Key) -> Option<Bytes> {
        self.0.as_ref()?.get(key)
    }

    /// Adds an entry; evicts entries with fewer hits for it.
    pub fn put(&self, key: Key, coded: Bytes) {
        if let Some(cache) = &self.0 {
            cache.insert(key, coded);
        }
    }

    /// Begins an entry for a content that is still to be coded; `None` if the cache is off.
    pub fn begin_entry(self: &Arc<Self>, key: Key) -> Option<PendingEntry> {
        self.0.as_ref()?;
        Some(PendingEntry {
            cache: Arc::clone(self),
            key,
            so_far: BytesMut::new(),
        })
    }
}

impl PendingEntry {
    /// Appends a piece; returns false if the entry is too large.
    pub(super) fn add(&mut self, piece: &Bytes) -> bool {
        let fits = self.so_far.len() + piece.len() <= LARGEST;
        if fits {
            self.so_far.extend_from_slice(piece);
        }
        fits
    }

    /// Adds the complete entry to the cache.
    pub(super) fn commit(self) {
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
