//! A part of a file that is read while it is sent, for HTTP/2: h2 takes a piece long before the client has a window for
//! it, and keeps it until then. This piece has no bytes before h2 requests those of a frame, and none afterwards: a stalled
//! stream holds nothing, with any window, and a frame that the connection does not accept yet holds [`AT_ONCE`] bytes,
//! once for each connection.
//!
//! [`Buf`] cannot fail, and h2 has written the frame's length before it requests its bytes. A frame with bytes that
//! cannot be read any more is therefore filled up, and its body, which waits until all of the part is taken, resets the
//! stream behind it (RFC 9113 §5.4.2). The last part of a body is never one of these: its frame would end the stream.

use std::cell::Cell;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Buf;

use super::read::read;
use crate::message::OpenFile;

/// Bytes of one read: a frame of the default size (RFC 9113 §4.2).
const AT_ONCE: usize = 16 * 1024;

/// Placeholder for bytes that could not be read.
static FILLER: [u8; AT_ONCE] = [0; AT_ONCE];

/// A part of a file that is read while it is sent.
#[derive(Debug)]
pub struct Unread {
    file: Arc<OpenFile>,
    span: Range<u64>,
    /// The bytes read at its beginning, between `chunk` and `advance`.
    here: OnceLock<Here>,
    progress: Arc<Progress>,
}

#[derive(Debug)]
enum Here {
    Read(Block),
    Failed,
}

/// Bytes that were read, and the range of them still to be taken.
#[derive(Debug)]
struct Block {
    bytes: Box<[u8]>,
    wanted: Range<usize>,
}

/// The state of the last piece of a body, for which the body waits before it yields the next.
#[derive(Debug, Default)]
pub struct Progress(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    /// The body's task.
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// No piece is in flight.
    #[default]
    Taken,
    InFlight,
    Failed,
}

/// The error of a part that could not be read; the log has the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// The rest of the block that the last part on this thread has read. h2 takes the beginning of a frame apart from the
/// rest: a block must not be read twice, and must not stay with a stalled stream.
#[derive(Debug)]
struct Rest {
    /// Weak: keeps its address from being reused, and no file open.
    file: Weak<OpenFile>,
    offset: u64,
    block: Block,
}

thread_local! {
    static REST: Cell<Option<Rest>> = const { Cell::new(None) };
}

impl Unread {
    /// Builds the part of `file` in `span`; the body learns from `progress` when all of it is taken.
    pub fn new(file: Arc<OpenFile>, span: Range<u64>, progress: &Arc<Progress>) -> Self {
        progress.mark_in_flight();
        Self {
            file,
            span,
            here: OnceLock::new(),
            progress: Arc::clone(progress),
        }
    }

    fn left(&self) -> usize {
        usize::try_from(self.span.end - self.span.start).unwrap_or(usize::MAX)
    }

    fn load(&self) -> Here {
        let rest = REST.take();
        let block = match rest {
            Some(rest) if rest.is_of(&self.file, self.span.start) => return Here::Read(rest.block),
            Some(rest) => rest.block.bytes,
            None => vec![0; AT_ONCE].into(),
        };
        match Block::read(block, &self.file, self.span.start, self.left()) {
            Ok(block) => Here::Read(block),
            Err(error) => {
                tracing::error!(%error, "reading a file failed during transfer");
                self.progress.set(Stage::Failed);
                Here::Failed
            }
        }
    }
}

impl Buf for Unread {
    fn remaining(&self) -> usize {
        self.left()
    }

    fn chunk(&self) -> &[u8] {
        let left = self.left();
        if left == 0 {
            return &[];
        }
        let here = match self.here.get_or_init(|| self.load()) {
            Here::Read(block) => block.bytes.get(block.wanted.clone()).unwrap_or_default(),
            Here::Failed => &FILLER,
        };
        here.get(..left).unwrap_or(here)
    }

    fn advance(&mut self, count: usize) {
        self.span.start = (self.span.start + count as u64).min(self.span.end);
        match self.here.take() {
            Some(Here::Read(mut block)) => {
                block.wanted.start = (block.wanted.start + count).min(block.wanted.end);
                REST.set(Some(Rest {
                    file: Arc::downgrade(&self.file),
                    offset: self.span.start,
                    block,
                }));
            }
            Some(Here::Failed) => self.here = OnceLock::from(Here::Failed),
            None => {}
        }
        if self.span.is_empty() {
            self.progress.mark_taken();
        }
    }
}

impl Block {
    /// Reads the beginning of `left` bytes at `offset` into `bytes`.
    fn read(
        mut bytes: Box<[u8]>,
        file: &OpenFile,
        offset: u64,
        left: usize,
    ) -> std::io::Result<Self> {
        let wanted = bytes.len().min(left);
        let space = bytes.get_mut(..wanted).unwrap_or_default();
        let count = read(file, offset, space)?;
        Ok(Self {
            bytes,
            wanted: 0..count,
        })
    }
}

impl Rest {
    fn is_of(&self, file: &Arc<OpenFile>, offset: u64) -> bool {
        let same = std::ptr::eq(self.file.as_ptr(), Arc::as_ptr(file));
        same && self.offset == offset && !self.block.wanted.is_empty()
    }
}

impl Progress {
    /// Waits until no piece is in flight.
    pub fn poll_taken(&self, cx: &mut Context<'_>) -> Poll<Result<(), Unreadable>> {
        self.with(|state| match state.stage {
            Stage::Taken => Poll::Ready(Ok(())),
            Stage::Failed => Poll::Ready(Err(Unreadable)),
            Stage::InFlight => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        })
    }

    pub(super) fn mark_in_flight(&self) {
        self.set(Stage::InFlight);
    }

    pub(super) fn mark_taken(&self) {
        self.set(Stage::Taken);
    }

    /// Sets the stage; a failure is final.
    fn set(&self, stage: Stage) {
        let waker = self.with(|state| {
            if state.stage != Stage::Failed {
                state.stage = stage;
            }
            state.waker.take()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn with<T>(&self, then: impl FnOnce(&mut State) -> T) -> T {
        // A poisoned lock guards a state that is whole at every moment.
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reports whether these bytes are the placeholder for some that could not be read.
pub fn is_filler(bytes: &[u8]) -> bool {
    FILLER.as_ptr_range().contains(&bytes.as_ptr())
}

#[cfg(test)]
mod tests;
