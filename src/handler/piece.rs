//! A piece of content on its way out: bytes, or a part of a file that the kernel sends by itself
//! (sendfile(2)), which hyper is told of as bytes that nobody ever reads.
//!
//! hyper passes on slices of what [`Buf::chunk`] says. Those of a file are slices of one reserved
//! region; the connection's IO knows them by their address and sends what stands first in the
//! [`FileQueue`] in their place. Nothing but that IO may be given such a piece: with HTTP/2 and
//! content codings there is no queue, and so there are none. HTTP/2 has [`Unread`] parts.

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

/// Bytes of a file in one piece, at most: more a call was never faster (docs/internals/limits.md, "Large files").
pub const MOST: u64 = 1024 * 1024;

/// Stands for the bytes of files. It has no memory as long as nobody reads it.
static RESERVED: [u8; 1024 * 1024] = [0; 1024 * 1024];

/// A piece of content.
#[derive(Debug)]
pub enum Piece {
    /// These bytes.
    Bytes(Bytes),
    /// So many bytes of the file that is next in the queue.
    File(usize),
    /// A part of a file that is read when its bytes are asked for. Boxed: h2 moves pieces about.
    Unread(Box<Unread>),
    /// Bytes after which the body waits until they are taken.
    Awaited(Box<Awaited>),
    /// Bytes that are counted as somebody's as long as they are here.
    Counted(Box<Counted>),
}

/// Bytes of a client's share of a budget.
#[derive(Debug)]
pub struct Counted {
    bytes: Bytes,
    _part: Part,
}

/// Bytes whose body gives no more before they are taken.
#[derive(Debug)]
pub struct Awaited {
    bytes: Bytes,
    progress: Arc<Progress>,
}

/// Parts of files that hyper has been told of and that are not sent yet, the first first. Bounded
/// by what hyper queues: 16 pieces.
#[derive(Clone, Debug, Default)]
pub struct FileQueue(Arc<Mutex<VecDeque<Unsent>>>);

/// A part of a file.
#[derive(Clone, Debug)]
pub struct Unsent {
    /// The file.
    pub file: Arc<OpenFile>,
    /// What of it is to be sent.
    pub span: Range<u64>,
}

impl FileQueue {
    /// Adds a part of at most [`MOST`] bytes, and says it as a piece.
    pub fn push(&self, file: Arc<OpenFile>, span: Range<u64>) -> Piece {
        let length = (span.end - span.start).min(MOST);
        let span = span.start..span.start + length;
        self.with(|queue| queue.push_back(Unsent { file, span }));
        Piece::File(usize::try_from(length).unwrap_or(0))
    }

    /// What is to be sent next.
    pub fn first(&self) -> Option<Unsent> {
        self.with(|queue| queue.front().cloned())
    }

    /// So many bytes of the first were sent.
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

/// Whether these bytes stand for those of a file.
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
                    awaited.progress.note_taken();
                }
            }
        }
    }
}

impl Piece {
    /// These bytes, for which there is `part` as long as they are not sent.
    pub fn counted(bytes: Bytes, part: Part) -> Self {
        Self::Counted(Box::new(Counted { bytes, _part: part }))
    }

    /// These bytes, which are not empty; `progress` says when they are taken.
    pub fn awaited(bytes: Bytes, progress: &Arc<Progress>) -> Self {
        progress.note_given();
        let progress = Arc::clone(progress);
        Self::Awaited(Box::new(Awaited { bytes, progress }))
    }
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}
