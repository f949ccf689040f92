//! Framing of content by its head (RFC 9112 §6): exactly one framing, or the head is refused.

use super::Refusal;
use super::field::{Field, is_token};
use super::request_line::Version;
use crate::message::whitespace::trim;

/// The largest length: the largest signed number, which is the limit of most readers.
const LONGEST: u64 = i64::MAX.unsigned_abs();

/// Transfer codings that RFC 9112 §7.2 defines and that are not applied to requests in practice.
const COMPRESSIONS: [&[u8]; 5] = [b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress"];

/// Framing of the content behind a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Content of so many bytes.
    Length(u64),
    /// Chunked content (RFC 9112 §7.1).
    Chunked,
}

/// The framing fields so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Framing {
    length: Option<u64>,
    is_chunked: bool,
}

impl Framing {
    /// Records the field if it concerns the framing.
    pub(super) fn add_field(&mut self, field: Field<'_>) -> Result<(), Refusal> {
        match field.name.len() {
            14 if field.name.eq_ignore_ascii_case(b"content-length") => {
                // RFC 9112 §6.3 (5) allows merging equal ones; no honest client sends two.
                if self.length.is_some() {
                    return Err(Refusal::RepeatedLength);
                }
                self.length = Some(length(field.value)?);
            }
            17 if field.name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.is_chunked {
                    return Err(Refusal::Coding);
                }
                judge_codings(field.value)?;
                self.is_chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the framing by all fields together.
    pub(super) fn content(self, version: Version) -> Result<Content, Refusal> {
        match (self.is_chunked, self.length) {
            // RFC 9112 §6.1: HTTP/1.0 does not define it.
            (true, _) if version == Version::Http10 => Err(Refusal::CodingInHttp10),
            // RFC 9112 §6.1: possibly an attempt at request smuggling.
            (true, Some(_)) => Err(Refusal::TwoFramings),
            (true, None) => Ok(Content::Chunked),
            (false, length) => Ok(Content::Length(length.unwrap_or(0))),
        }
    }
}

/// Parses a Content-Length, `1*DIGIT` (RFC 9110 §8.6).
fn length(value: &[u8]) -> Result<u64, Refusal> {
    if value.is_empty() {
        return Err(Refusal::Length);
    }
    let length = value.iter().try_fold(0_u64, |length, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        length.checked_mul(10)?.checked_add(digit)
    });
    length
        .filter(|length| *length <= LONGEST)
        .ok_or(Refusal::Length)
}

/// Accepts `chunked` alone.
fn judge_codings(value: &[u8]) -> Result<(), Refusal> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let mut codings = value.rsplit(|byte| *byte == b',').map(trim);
    let last = codings.next().unwrap_or_default();
    // RFC 9112 §7.1: chunked is applied once. Two readers may differ about empty elements and
    // parameters (RFC 9110 §5.6.1.2, RFC 9112 §7).
    if !is_token(last) || codings.any(|coding| !is_token(coding) || is_chunked(coding)) {
        return Err(Refusal::Coding);
    }
    // RFC 9112 §6.3 (4.3): without chunked at the end the length is unknown.
    let is_compression = COMPRESSIONS
        .iter()
        .any(|known| last.eq_ignore_ascii_case(known));
    if is_compression {
        return Err(Refusal::Coding);
    }
    // RFC 9112 §6.1: a coding that is not understood.
    Err(Refusal::UnknownCoding)
}
