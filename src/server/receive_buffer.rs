//! What was read from a client and has not been passed on to hyper: in HTTP/1 only what the head
//! guard has judged passes.

use bytes::{Bytes, BytesMut};
use hyper::rt::ReadBufCursor;

use crate::message::head_guard::{Bounds, HeadGuard, Refusal, Verdict};

/// The bytes of one connection on their way to hyper.
#[derive(Debug)]
pub(super) struct ReceiveBuffer {
    held: BytesMut,
    /// How many of the held bytes may pass.
    judged: usize,
    /// None in HTTP/2, whose frames are hyper's affair.
    guard: Option<HeadGuard>,
    /// Why what is behind the judged bytes will never pass.
    refusal: Option<Refusal>,
}

impl ReceiveBuffer {
    /// All passes; `read` was read before.
    pub(super) fn unguarded(read: &Bytes) -> Self {
        Self {
            held: BytesMut::from(read.as_ref()),
            judged: read.len(),
            guard: None,
            refusal: None,
        }
    }

    /// Requests pass that are good; `read` was read before.
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

    /// Whether bytes must come through here.
    pub(super) fn is_guarded(&self) -> bool {
        self.guard.is_some()
    }

    /// Takes back what was passed on and not used.
    pub(super) fn restore(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            let later = std::mem::replace(&mut self.held, BytesMut::from(bytes));
            self.held.unsplit(later);
            self.judged += bytes.len();
        }
    }

    /// Passes on what may pass and `buffer` has room for; whether that was anything.
    pub(super) fn fill(&mut self, buffer: &mut ReadBufCursor<'_>) -> bool {
        let count = self.judged.min(buffer.remaining());
        if count > 0 {
            buffer.put_slice(&self.held.split_to(count));
            self.judged -= count;
        }
        if self.held.is_empty() {
            // A connection that waits keeps no buffer.
            self.held = BytesMut::new();
        }
        count > 0
    }

    /// Takes what was just `read`; what may pass at once, as most does, is not held. Whether
    /// anything passed.
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

    /// How many of these bytes may pass, the first of which is the first unjudged one.
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

    /// Why nothing more passes, once all that may pass has.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.filter(|_| self.judged == 0)
    }

    /// The bytes that wait, or were refused.
    pub(super) fn held(&self) -> &[u8] {
        &self.held
    }

    /// Heads that were let pass, in HTTP/1.
    pub(super) fn heads(&self) -> usize {
        self.guard.as_ref().map_or(0, HeadGuard::heads)
    }

    /// Whether a part of a head waits for its rest. An empty line is none: old clients send one
    /// behind content (RFC 9112 §2.2).
    pub(super) fn is_in_head(&self) -> bool {
        !self.is_in_content() && !matches!(self.held(), [] | b"\r" | b"\r\n")
    }

    /// Whether content is to come that the last head announced.
    pub(super) fn is_in_content(&self) -> bool {
        self.guard.as_ref().is_some_and(HeadGuard::is_in_content)
    }
}
