//! A file that was opened, as data, and what is kept of it while it is asked for again and again.

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
    /// Length in bytes when it was opened.
    pub length: u64,
    /// Last modification, to the nanosecond.
    pub modified: SystemTime,
    /// What is known of this version, where others will ask for it too.
    pub kept: Option<Box<Kept>>,
}

/// What one answer has found out about a version of a file, for the next.
#[derive(Debug, Default)]
pub struct Kept {
    /// All of its bytes, where they are few.
    pub content: OnceLock<Bytes>,
    /// In which second, since 1970, it was last found in the kernel's memory.
    pub fetched: AtomicU64,
    /// What was last said of it.
    pub said: ArcSwapOption<Said>,
}

/// What a handler says of a file in every whole answer.
#[derive(Debug)]
pub struct Said {
    /// Who says it: other handlers may say otherwise.
    pub by: Arc<Speaker>,
    /// The fields, Content-Length of the whole file among them.
    pub fields: HeaderMap,
    /// Those of a 304, once there was one.
    pub unchanged: OnceLock<HeaderMap>,
    /// What conditions are compared with.
    pub validators: Validators,
}

/// Tells one handler from another, by its address.
#[derive(Debug, Default)]
pub struct Speaker;

impl Said {
    /// The fields of a 304 (RFC 9110 §15.4.5): none of the content that is not sent but its type, by which
    /// the Vary of the 200 is known.
    pub fn unchanged(&self) -> &HeaderMap {
        self.unchanged.get_or_init(|| {
            let mut fields = self.fields.clone();
            fields.remove(header::CONTENT_LENGTH);
            fields
        })
    }
}

impl OpenFile {
    /// What `speaker` has said of this version before.
    pub fn said(&self, speaker: &Arc<Speaker>) -> Option<Arc<Said>> {
        let said = self.kept.as_ref()?.said.load_full()?;
        Arc::ptr_eq(&said.by, speaker).then_some(said)
    }
}
