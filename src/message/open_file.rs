//! An open file, as data, and the facts about it that are cached while it is in demand.

use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderMap, header};

use super::conditional::Validators;

/// A regular file, opened for reading.
#[derive(Debug)]
pub struct OpenFile {
    /// The descriptor; closed when dropped.
    pub descriptor: OwnedFd,
    /// Length in bytes at the time of opening.
    pub length: u64,
    /// Last modification, to the nanosecond.
    pub modified: SystemTime,
    /// Facts about this version for later requests, if it is cached.
    pub cache: Option<Box<FileCache>>,
}

/// Facts about a version of a file, cached by one answer for the next.
#[derive(Debug, Default)]
pub struct FileCache {
    /// The whole content of a small file.
    pub content: OnceLock<Bytes>,
    /// Last second, since the epoch, in which the file was found in the page cache.
    pub fetched: AtomicU64,
    /// Head of the last answer.
    pub head: ArcSwapOption<CachedHead>,
}

/// Response fields computed for this version of the file.
#[derive(Debug)]
pub struct CachedHead {
    /// The handler that computed them; another may have other fields.
    pub handler: Arc<HandlerId>,
    /// The fields, including the Content-Length of the whole file.
    pub fields: HeaderMap,
    /// The fields of a 304, from the first one on.
    pub unchanged: OnceLock<HeaderMap>,
    /// The validators for preconditions.
    pub validators: Validators,
}

/// Identity of a handler: its address.
#[derive(Debug, Default)]
pub struct HandlerId;

impl CachedHead {
    /// Returns the fields of a 304 (RFC 9110 §15.4.5): of those of the content only its type, which determines the
    /// Vary of the 200.
    pub fn unchanged(&self) -> &HeaderMap {
        self.unchanged.get_or_init(|| {
            let mut fields = self.fields.clone();
            fields.remove(header::CONTENT_LENGTH);
            fields
        })
    }
}

impl OpenFile {
    /// Returns the head that `handler` computed for this version before.
    pub fn cached_head(&self, handler: &Arc<HandlerId>) -> Option<Arc<CachedHead>> {
        let head = self.cache.as_ref()?.head.load_full()?;
        Arc::ptr_eq(&head.handler, handler).then_some(head)
    }
}
