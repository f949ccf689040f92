//! A piece of outgoing content: bytes, or a part of a file that the kernel sends (sendfile(2)), which hyper sees as bytes
//! that are never read.
//!
//! hyper passes on slices of [`Buf::chunk`]. Those of a file are slices of one reserved region; the connection's IO
//! recognises them by their address and sends the first part of the [`FileQueue`] in their place. No other consumer may
//! receive such a piece: HTTP/2 and content codings have no queue, and so no such pieces. HTTP/2 has [`Unread`] parts.

mod read;
mod unread;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};

pub use read::read;
pub use unread::{Progress, Unread, Unreadable, is_filler};

use crate::limits::budget::Part;
use crate::message::OpenFile;

/// Bytes of a file in one piece, at most: more per call was never faster (docs/internals/limits.md, "Large files").
pub const MOST: u64 = 1024 * 1024;

/// Placeholder for the bytes of files. It occupies no memory until it is read.
static RESERVED: [u8; 1024 * 1024] = [0; 1024 * 1024];

/// A piece of content.
#[derive(Debug)]
pub enum Piece {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A number of bytes of the next file in the queue.
    File(usize),
    /// A part of a file that is read when its bytes are requested. Boxed, because h2 moves pieces.
    Unread(Box<Unread>),
    /// Bytes whose body waits until they are taken.
    Awaited(Box<Awaited>),
    /// Bytes counted against a client's share while they are held.
    Counted(Box<Counted>),
}

/// Bytes counted against a client's share of a budget.
#[derive(Debug)]
pub struct Counted {
    bytes: Bytes,
    _part: Part,
}

/// Bytes whose body yields no more before they are taken.
#[derive(Debug)]
pub struct Awaited {
    bytes: Bytes,
    progress: Arc<Progress>,
}

/// Parts of files that hyper has received and that are not sent yet, in order. Bounded by hyper's queue: 16 pieces.
#[derive(Clone, Debug, Default)]
pub struct FileQueue(Arc<Mutex<VecDeque<Unsent>>>);

/// A part of a file to be sent.
#[derive(Clone, Debug)]
pub struct Unsent {
    /// The file.
    pub file: Arc<OpenFile>,
    /// The bytes of it to be sent.
    pub span: Range<u64>,
}

impl FileQueue {
    /// Adds a part of at most [`MOST`] bytes, and returns its piece.
    pub fn push(&self, file: Arc<OpenFile>, span: Range<u64>) -> Piece {
        let length = (span.end - span.start).min(MOST);
        let span = span.start..span.start + length;
        self.with(|queue| queue.push_back(Unsent { file, span }));
        Piece::File(usize::try_from(length).unwrap_or(0))
    }

    /// Returns the part to be sent next.
    pub fn first(&self) -> Option<Unsent> {
        self.with(|queue| queue.front().cloned())
    }

    /// Removes `count` bytes, which were sent, from the first part.
    pub fn sent(&self, count: usize) {
        self.with(|queue| {
            if let Some(first) = queue.front_mut() {
                first.span.start += count as u64;
                if first.span.is_empty() {
                    queue.pop_front();
                }
            }
        });
    }

    fn with<T>(&self, then: impl FnOnce(&mut VecDeque<Unsent>) -> T) -> T {
        // A poisoned lock guards a list that is whole at every moment.
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reports whether these bytes are the placeholder for those of a file.
pub fn is_of_file(bytes: &[u8]) -> bool {
    RESERVED.as_ptr_range().contains(&bytes.as_ptr())
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File(left) => *left,
            Self::Unread(part) => part.remaining(),
            Self::Awaited(awaited) => awaited.bytes.len(),
            Self::Counted(counted) => counted.bytes.len(),
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::File(left) => RESERVED.get(..*left).unwrap_or(&RESERVED),
            Self::Unread(part) => part.chunk(),
            Self::Awaited(awaited) => &awaited.bytes,
            Self::Counted(counted) => &counted.bytes,
        }
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) => bytes.advance(count),
            Self::File(left) => *left = left.saturating_sub(count),
            Self::Unread(part) => part.advance(count),
            Self::Counted(counted) => counted.bytes.advance(count),
            Self::Awaited(awaited) => {
                awaited.bytes.advance(count);
                if awaited.bytes.is_empty() {
                    awaited.progress.mark_taken();
                }
            }
        }
    }
}

impl Piece {
    /// Builds a piece of bytes that are counted in `part` until they are sent.
    pub fn counted(bytes: Bytes, part: Part) -> Self {
        Self::Counted(Box::new(Counted { bytes, _part: part }))
    }

    /// Builds a piece of bytes, not empty, whose body learns from `progress` that they are taken.
    pub fn awaited(bytes: Bytes, progress: &Arc<Progress>) -> Self {
        progress.mark_in_flight();
        let progress = Arc::clone(progress);
        Self::Awaited(Box::new(Awaited { bytes, progress }))
    }
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}
