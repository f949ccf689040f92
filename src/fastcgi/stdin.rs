//! The way towards the application: the head of the request, then its content as STDIN records.
//! Nothing is copied: each piece is sent behind a header of its own, both in one write.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::record::{Id, MAX_CONTENT, stdin_header};
use crate::message::{Upload, UploadDeadline, UploadError};

/// Pieces handed to one `writev`: two records of content with their headers, and what precedes.
const SLICES: usize = 8;

/// What is still to be written.
#[derive(Debug)]
pub(super) struct Outgoing {
    id: Id,
    pending: VecDeque<Bytes>,
    /// What must not be sent before the worker is known to be there.
    held: Option<Bytes>,
    upload: Upload,
    /// What follows the end of STDIN, in the same write.
    tail: &'static [u8],
    untouched: bool,
    stage: Stage,
    /// Bytes taken by the connection.
    taken: u64,
}

/// How far STDIN is; only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Waiting for the acknowledgement before anything of `held` or the content may go.
    Held,
    /// Content is being sent.
    Content,
    /// The empty STDIN record is queued or sent.
    Ended,
    /// The application does not read any more; nothing else is sent.
    Stopped,
}

/// Nothing, and nothing to come.
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
    /// `head` goes first; `held`, where there is one, and the content only after [`Self::release`]; `tail` behind all.
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

    /// The worker is there: what was held back may go.
    pub(super) fn release(&mut self) {
        if let Some(held) = self.held.take() {
            self.pending.push_back(held);
            self.stage = Stage::Content;
        }
    }

    /// Whether everything, the end of STDIN included, was taken by the connection.
    pub(super) fn is_complete(&self) -> bool {
        self.stage == Stage::Ended && self.pending.is_empty()
    }

    /// Bytes taken by the connection so far.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether it is the client who has to send something now.
    pub(super) fn waits_for_client(&self) -> bool {
        self.stage == Stage::Content && self.pending.is_empty()
    }

    /// Returns how long the client, who has to send something now, may still be waited for if others wait for the worker.
    pub(super) fn deadline(&self, now: Instant) -> Option<UploadDeadline> {
        self.waits_for_client()
            .then(|| self.upload.deadline(now))
            .flatten()
    }

    /// Whether nothing of the client's content was read.
    pub(super) fn is_untouched(&self) -> bool {
        self.untouched
    }

    /// Whether the rest of the content comes from us and not from the client.
    pub(super) fn is_in_hand(&self) -> bool {
        self.stage != Stage::Stopped && self.upload.is_whole()
    }

    /// What was not read of the client's content.
    pub(super) fn take_upload(&mut self) -> Upload {
        // Without the rest there must be no end either.
        if self.stage != Stage::Ended {
            self.stage = Stage::Stopped;
        }
        std::mem::replace(&mut self.upload, Upload::Empty)
    }

    /// Writes as much as the connection and the client allow. `Ready` when all is written or
    /// nothing more ever will be; a failed write stops the sending but is not an error here: the
    /// answer may already lie in the receive buffer (a 413 while the upload runs).
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

    /// Takes the next piece of content where there is room for one; small content and its end so
    /// travel in the same write as the head.
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
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pending) {
            *slice = IoSlice::new(piece);
            used += 1;
        }
        let slices = slices.get(..used).unwrap_or(&[]);
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
