//! Bytes read from a client and not yet passed to hyper. In HTTP/1 only bytes that the head guard has accepted
//! pass.

use bytes::{Bytes, BytesMut};
use hyper::rt::ReadBufCursor;

use crate::message::head_guard::{Bounds, HeadGuard, Refusal, Verdict};

/// Received bytes of one connection.
#[derive(Debug)]
pub(super) struct ReceiveBuffer {
    held: BytesMut,
    /// Number of held bytes that may pass.
    judged: usize,
    /// None in HTTP/2, whose frames h2 parses.
    guard: Option<HeadGuard>,
    /// Refusal of the bytes behind the judged ones.
    refusal: Option<Refusal>,
}

impl ReceiveBuffer {
    /// Builds a buffer that passes everything and begins with `read`.
    pub(super) fn unguarded(read: &Bytes) -> Self {
        Self {
            held: BytesMut::from(read.as_ref()),
            judged: read.len(),
            guard: None,
            refusal: None,
        }
    }

    /// Builds a buffer that passes accepted requests and begins with `read`.
    pub(super) fn guarded(read: &Bytes, bounds: Bounds) -> Self {
        let mut received = Self {
            held: BytesMut::new(),
            judged: 0,
            guard: Some(HeadGuard::new(bounds)),
            refusal: None,
        };
        let mut read = BytesMut::from(read.as_ref());
        received.judged = received.judge(&mut read);
        received.held = read;
        received
    }

    /// Reports whether the head guard checks the bytes.
    pub(super) fn is_guarded(&self) -> bool {
        self.guard.is_some()
    }

    /// Puts back bytes that were passed and not used.
    pub(super) fn restore(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let later = std::mem::replace(&mut self.held, BytesMut::from(bytes));
            self.held.unsplit(later);
            self.judged += bytes.len();
        }
    }

    /// Moves accepted bytes to `buffer` as far as it has room; reports whether there were any.
    pub(super) fn fill(&mut self, buffer: &mut ReadBufCursor<'_>) -> bool {
        let count = self.judged.min(buffer.remaining());
        if count > 0 {
            buffer.put_slice(&self.held.split_to(count));
            self.judged -= count;
        }
        if self.held.is_empty() {
            // An idle connection holds no buffer.
            self.held = BytesMut::new();
        }
        count > 0
    }

    /// Judges the bytes just `read`. Most pass to `buffer` at once and are not held. Reports whether any passed.
    pub(super) fn receive(&mut self, read: &mut [u8], buffer: &mut ReadBufCursor<'_>) -> bool {
        if !self.held.is_empty() {
            let mut held = std::mem::take(&mut self.held);
            held.extend_from_slice(read);
            self.judged += self.judge(held.get_mut(self.judged..).unwrap_or_default());
            self.held = held;
            return self.fill(buffer);
        }
        let judged = self.judge(read);
        let passed = judged.min(buffer.remaining());
        if let Some((now, later)) = read.split_at_checked(passed) {
            buffer.put_slice(now);
            self.held.extend_from_slice(later);
        }
        self.judged = judged - passed;
        passed > 0
    }

    /// Returns the number of `bytes` that may pass; they begin with the first unjudged byte.
    fn judge(&mut self, bytes: &mut [u8]) -> usize {
        let mut judged = 0;
        let Some(guard) = &mut self.guard else {
            return bytes.len();
        };
        while let Some(rest) = bytes.get_mut(judged..).filter(|_| self.refusal.is_none()) {
            match guard.judge(rest) {
                Verdict::Pass(count) => judged += count,
                Verdict::More => break,
                Verdict::Refuse(refusal) => self.refusal = Some(refusal),
            }
        }
        judged
    }

    /// Returns the refusal once all accepted bytes have passed.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.filter(|_| self.judged == 0)
    }

    /// Returns the bytes that have not passed.
    pub(super) fn held(&self) -> &[u8] {
        &self.held
    }

    /// Returns the number of heads that passed, in HTTP/1.
    pub(super) fn heads(&self) -> usize {
        self.guard.as_ref().map_or(0, HeadGuard::heads)
    }

    /// Reports whether an incomplete head is held. An empty line is none: old clients send one behind content
    /// (RFC 9112 §2.2).
    pub(super) fn is_in_head(&self) -> bool {
        !self.is_in_content() && !matches!(self.held(), [] | b"\r" | b"\r\n")
    }

    /// Reports whether content of the last head is outstanding.
    pub(super) fn is_in_content(&self) -> bool {
        self.guard.as_ref().is_some_and(HeadGuard::is_in_content)
    }
}
