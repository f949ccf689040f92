//! The sending side: the head of the request, then its content as STDIN records. Nothing is copied: each piece
//! is sent after a header of its own, both in one write.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::record::{Id, MAX_CONTENT, stdin_header};
use crate::message::{Upload, UploadDeadline, UploadError};

/// Number of pieces in one `writev`: two records of content with their headers, and the head.
const SLICES: usize = 8;

/// The unsent part of a request.
#[derive(Debug)]
pub(super) struct Outgoing {
    id: Id,
    pending: VecDeque<Bytes>,
    /// Records that must not be sent before a worker has acknowledged.
    held: Option<Bytes>,
    upload: Upload,
    /// Records after the end of STDIN, in the same write.
    tail: &'static [u8],
    untouched: bool,
    stage: Stage,
    /// Bytes taken by the connection.
    taken: u64,
}

/// Progress of STDIN; it only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Waiting for the acknowledgement, before `held` and the content.
    Held,
    /// Content is being sent.
    Content,
    /// The empty STDIN record is queued or sent.
    Ended,
    /// The application has stopped reading; nothing else is sent.
    Stopped,
}

/// Creates an empty one, with nothing to send.
impl Default for Outgoing {
    fn default() -> Self {
        Self {
            id: Id::FIRST,
            pending: VecDeque::new(),
            held: None,
            upload: Upload::Empty,
            tail: &[],
            untouched: false,
            stage: Stage::Stopped,
            taken: 0,
        }
    }
}

impl Outgoing {
    /// Creates a request: `head` is sent first, `held`, if any, and the content after [`Self::release`], `tail`
    /// last.
    pub(super) fn new(
        id: Id,
        (head, held): (Bytes, Option<Bytes>),
        tail: &'static [u8],
        upload: Upload,
    ) -> Self {
        let stage = if held.is_some() {
            Stage::Held
        } else {
            Stage::Content
        };
        Self {
            id,
            pending: VecDeque::from([head]),
            held,
            upload,
            tail,
            untouched: true,
            stage,
            taken: 0,
        }
    }

    /// Releases the held records: a worker has acknowledged.
    pub(super) fn release(&mut self) {
        if let Some(held) = self.held.take() {
            self.pending.push_back(held);
            self.stage = Stage::Content;
        }
    }

    /// Reports whether the connection took everything, the end of STDIN included.
    pub(super) fn is_complete(&self) -> bool {
        self.stage == Stage::Ended && self.pending.is_empty()
    }

    /// Returns the bytes that the connection has taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Reports whether the client has to send content next.
    pub(super) fn waits_for_client(&self) -> bool {
        self.stage == Stage::Content && self.pending.is_empty()
    }

    /// Returns how long to wait for the client's content while others wait for the worker.
    pub(super) fn deadline(&self, now: Instant) -> Option<UploadDeadline> {
        self.waits_for_client()
            .then(|| self.upload.deadline(now))
            .flatten()
    }

    /// Reports whether no content was read from the client.
    pub(super) fn is_untouched(&self) -> bool {
        self.untouched
    }

    /// Reports whether the rest of the content is in the gateway, independent of the client.
    pub(super) fn is_in_hand(&self) -> bool {
        self.stage != Stage::Stopped && self.upload.is_whole()
    }

    /// Takes the unread rest of the client's content.
    pub(super) fn take_upload(&mut self) -> Upload {
        // Without the rest there must be no end either.
        if self.stage != Stage::Ended {
            self.stage = Stage::Stopped;
        }
        std::mem::replace(&mut self.upload, Upload::Empty)
    }

    /// Writes as much as the connection and the client allow. `Ready` when all is written or sending has
    /// stopped. A failed write stops the sending and is not an error here: the answer may already be in the
    /// receive buffer (a 413 while the upload runs).
    pub(super) fn poll_send<W: AsyncWrite + Unpin>(
        &mut self,
        link: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), UploadError>> {
        loop {
            self.fill(cx)?;
            if self.pending.is_empty() {
                return if matches!(self.stage, Stage::Ended | Stage::Stopped) {
                    Poll::Ready(Ok(()))
                } else {
                    Poll::Pending
                };
            }
            match ready!(self.poll_write(link, cx)) {
                Ok(count) => {
                    self.taken += count as u64;
                    self.advance(count);
                }
                Err(_) => {
                    self.stage = Stage::Stopped;
                    self.pending.clear();
                }
            }
        }
    }

    /// Queues the next piece of content while there is room, so that small content and its end travel in the
    /// same write as the head.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<(), UploadError> {
        while self.stage == Stage::Content && self.pending.len() <= 3 {
            match self.upload.poll_data(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(content))) => {
                    self.untouched = false;
                    self.push(content);
                }
                // FastCGI §5.3: an empty STDIN record ends the stream. Never sent after a short body.
                Poll::Ready(None) => {
                    self.upload = Upload::Empty;
                    self.pending
                        .push_back(Bytes::copy_from_slice(&stdin_header(self.id, 0)));
                    if !self.tail.is_empty() {
                        self.pending.push_back(Bytes::from_static(self.tail));
                    }
                    self.stage = Stage::Ended;
                }
                Poll::Ready(Some(Err(error))) => return Err(error),
            }
        }
        Ok(())
    }

    fn push(&mut self, mut content: Bytes) {
        while !content.is_empty() {
            let piece = content.split_to(content.len().min(MAX_CONTENT));
            let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
            self.pending
                .push_back(Bytes::copy_from_slice(&stdin_header(self.id, length)));
            self.pending.push_back(piece);
        }
    }

    fn poll_write<W: AsyncWrite + Unpin>(
        &self,
        link: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut slots = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        for (slot, piece) in slots.iter_mut().zip(&self.pending) {
            *slot = IoSlice::new(piece);
            used += 1;
        }
        let slices = slots.get(..used).unwrap_or(&[]);
        match ready!(Pin::new(link).poll_write_vectored(cx, slices)) {
            Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            result => Poll::Ready(result),
        }
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(front) = self.pending.front_mut() {
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.pending.pop_front();
        }
    }
}
