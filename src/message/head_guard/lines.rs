//! A scanner for lines that end with CRLF only, in bytes that arrive in pieces.

use super::Refusal;

/// Positions in the bytes that have not passed.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Beginning of the next line.
    start: usize,
    /// End of the bytes searched for a LF without success.
    searched: usize,
}

/// Limits of one line and of all lines, CRLF included, and the refusal of more.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineLimits {
    pub(super) line: usize,
    pub(super) too_long: Refusal,
    pub(super) all: usize,
    pub(super) too_much: Refusal,
}

impl Lines {
    /// Returns the next line without its CRLF, once that has arrived. RFC 9112 §2.2 allows accepting
    /// a LF alone as the end of a line; its only use is with two readers that differ about it. A CR
    /// elsewhere in the line is left to the line's judge: no part of a message may contain one.
    pub(super) fn next<'a>(
        &mut self,
        bytes: &'a [u8],
        limits: LineLimits,
    ) -> Result<Option<&'a [u8]>, Refusal> {
        let (bound, refusal) = match self.start.saturating_add(limits.line) {
            bound if bound <= limits.all => (bound, limits.too_long),
            _ => (limits.all, limits.too_much),
        };
        let looked_at = bytes.len().min(bound);
        let fresh = bytes.get(self.searched..looked_at).unwrap_or_default();
        let Some(offset) = memchr::memchr(b'\n', fresh) else {
            // The same refusal whether the bytes come at once or one by one.
            if looked_at == bound {
                return Err(refusal);
            }
            self.searched = looked_at;
            return Ok(None);
        };
        let end = self.searched + offset;
        let line = bytes.get(self.start..end).unwrap_or_default();
        self.start = end + 1;
        self.searched = self.start;
        line.strip_suffix(b"\r").map(Some).ok_or(Refusal::LineEnd)
    }

    /// Returns the end of the last line, behind its CRLF.
    pub(super) fn end(&self) -> usize {
        self.start
    }

    /// Replaces the last byte of the last line.
    pub(super) fn set_last_byte(&self, bytes: &mut [u8], byte: u8) {
        let end_of_line = 2;
        let last = self.start.checked_sub(end_of_line + 1);
        if let Some(last) = last.and_then(|index| bytes.get_mut(index)) {
            *last = byte;
        }
    }
}
