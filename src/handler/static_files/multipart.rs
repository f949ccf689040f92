//! Several parts of a file as one content: multipart/byteranges (RFC 9110 §14.6, RFC 2046 §5.1).

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::HeaderValue;

use super::FileContent;
use crate::handler::cut::Cut;
use crate::handler::piece::{FileQueue, Piece};
use crate::handler::share::Share;
use crate::message::OpenFile;

/// The parts that remain to be sent, with their delimiters.
#[derive(Debug)]
pub struct Multipart {
    /// The rest of the current part.
    content: FileContent,
    /// The delimiter and head of each further part, and its span.
    parts: VecDeque<(Bytes, Range<u64>)>,
    /// The closing delimiter; empty once sent.
    end: Bytes,
    left: u64,
    /// Content-Type of each part.
    media_type: HeaderValue,
}

/// The media type of arbitrary bytes (RFC 2046 §4.5.1).
pub(super) const UNKNOWN: &str = "application/octet-stream";

/// The boundary between parts (RFC 2046 §5.1.1).
#[derive(Debug)]
pub(super) struct Boundary(String);

impl Boundary {
    /// Builds a boundary that no author of a file can predict: the keys of the hash are random.
    pub(super) fn random() -> Self {
        let half = || RandomState::new().hash_one(0_u8);
        Self(format!("{:016x}{:016x}", half(), half()))
    }

    /// Returns the media type of the whole content.
    pub(super) fn media_type(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&format!("multipart/byteranges; boundary={}", self.0)).ok()
    }

    fn head(&self, media_type: &str, (first, last): (u64, u64), length: u64) -> Bytes {
        let Self(boundary) = self;
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: bytes {first}-{last}/{length}\r\n\r\n"
        );
        Bytes::from(head)
    }

    fn end(&self) -> Bytes {
        Bytes::from(format!("\r\n--{}--\r\n", self.0))
    }
}

impl Multipart {
    /// Builds the content of these ranges of `file`, each from its first to its last byte, both included.
    pub(super) fn new(
        file: Arc<OpenFile>,
        ranges: &[(u64, u64)],
        media_type: HeaderValue,
        boundary: &Boundary,
    ) -> Self {
        let shown = media_type.to_str().unwrap_or(UNKNOWN);
        let length = file.length;
        let parts: VecDeque<_> = ranges
            .iter()
            .map(|range| (boundary.head(shown, *range, length), range.0..range.1 + 1))
            .collect();
        let end = boundary.end();
        let sizes = parts
            .iter()
            .map(|(head, span)| head.len() as u64 + (span.end - span.start));
        Self {
            left: sizes.sum::<u64>() + end.len() as u64,
            content: FileContent::new(file, 0..0),
            parts,
            end,
            media_type,
        }
    }

    /// Returns the media type of each part: that of the whole file.
    pub fn media_type(&self) -> &HeaderValue {
        &self.media_type
    }

    /// Leaves the bytes of the file to the connection's IO, by `queue`.
    pub(in crate::handler) fn send_by(&mut self, queue: FileQueue) {
        self.content.send_by(queue);
    }

    /// Defers reading until the bytes are sent.
    pub(in crate::handler) fn defer_reading(&mut self, share: &Share<'_>) {
        self.content.defer_reading(share);
    }

    /// Returns the number of bytes that remain to be sent.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Returns the next piece; a file that is shorter than announced cuts the answer.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, Cut>>> {
        let piece = match ready!(self.content.poll_piece(cx)) {
            Some(Err(cut)) => {
                self.left = 0;
                self.parts.clear();
                self.end.clear();
                return Poll::Ready(Some(Err(cut)));
            }
            Some(Ok(piece)) => Some(piece),
            None => self.between().map(Piece::Bytes),
        };
        if let Some(piece) = &piece {
            self.left = self.left.saturating_sub(piece.remaining() as u64);
        }
        Poll::Ready(piece.map(Ok))
    }

    /// Begins the next part: returns the delimiter before it, or the closing one.
    fn between(&mut self) -> Option<Bytes> {
        if let Some((head, span)) = self.parts.pop_front() {
            self.content.continue_with(span);
            return Some(head);
        }
        Some(std::mem::take(&mut self.end)).filter(|end| !end.is_empty())
    }
}

#[cfg(test)]
mod tests;
