//! Field lines (RFC 9112 §5), of heads and of trailers.

use super::Refusal;
use crate::message::whitespace::trim;

/// A field: name and value, without the whitespace around the value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
}

/// Parses a non-empty line without its CRLF.
pub(super) fn judge(line: &[u8]) -> Result<Field<'_>, Refusal> {
    // RFC 9112 §5.2, and §2.2 for whitespace in front of the first field.
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Refusal::Folded);
    }
    let colon = memchr::memchr(b':', line).ok_or(Refusal::FieldName)?;
    let (name, value) = line.split_at_checked(colon).ok_or(Refusal::FieldName)?;
    // RFC 9112 §5.1: whitespace before the colon is no token either.
    if !is_token(name) {
        return Err(Refusal::FieldName);
    }
    let value = value.get(1..).unwrap_or_default();
    if !is_text(value) {
        return Err(Refusal::FieldValue);
    }
    Ok(Field {
        name,
        value: trim(value),
    })
}

/// Reports whether `bytes` are a token (RFC 9110 §5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| is_tchar(*byte))
}

/// Reports whether the only control byte is the tab (RFC 9110 §5.5). There is no early exit, so that
/// the compiler can vectorise the loop.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let is_control = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
    !bytes
        .iter()
        .fold(false, |found, byte| found | is_control(*byte))
}

fn is_tchar(byte: u8) -> bool {
    byte < 128 && TCHARS >> byte & 1 == 1
}

/// Set of the tchars, one bit each.
const TCHARS: u128 = {
    let set = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut bits = 0;
    let mut rest: &[u8] = set;
    while let [byte, others @ ..] = rest {
        bits |= 1 << *byte;
        rest = others;
    }
    bits
};
