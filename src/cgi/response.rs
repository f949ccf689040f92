//! The head of a script's answer (RFC 3875 §6): status and header fields.
//!
//! Pure and strict: ambiguous input is refused here, so that it never reaches a client. The framing of the
//! message on the client's side (RFC 9112 §6) is up to the gateway; the script's is dropped.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::ext::ReasonPhrase;
use memchr::memchr;

use crate::message::AnswerHead;

/// Limits on a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes, with the empty line that ends it: `limits.answer_head`.
    pub bytes: usize,
    /// Field lines, dropped ones too: `limits.answer_fields`. A value over 16 384 counts as that.
    pub fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            bytes: 65_536,
            fields: 1000,
        }
    }
}

/// A malformed head. The text is the line at fault, escaped and cut to 80 bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A line that is no field; often a message that was printed too early.
    #[error("the script's head has a line without a colon: \"{0}\"")]
    NoColon(String),
    /// A line that continues the one before it.
    #[error("the script's head has a folded line: \"{0}\"")]
    Folded(String),
    /// A field whose name is not a token (RFC 9110 §5.1).
    #[error("the script's head has an invalid field name: \"{0}\"")]
    InvalidName(String),
    /// A field whose value has control characters (RFC 9110 §5.5): an attempt to split the response.
    #[error("the script's head has control characters in a field value: \"{0}\"")]
    InvalidValue(String),
    /// A malformed `Status`, or one that contradicts an earlier one.
    #[error("the script's head has an invalid or contradictory status: \"{0}\"")]
    InvalidStatus(String),
    /// A status that would switch the protocol, or an unknown interim one.
    #[error("the script's head has an informational status, which cannot be final: \"{0}\"")]
    Informational(String),
    /// The head is over a limit.
    #[error(
        "the script's head is over the limit of {limit}; biggest fields: {}",
        list(biggest)
    )]
    TooLarge {
        /// The exceeded limit.
        limit: Limit,
        /// The three biggest of the lines seen: name and bytes of the line.
        biggest: Vec<(String, usize)>,
    },
}

/// The exceeded limit of [`HeadLimits`], with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// [`HeadLimits::bytes`].
    Bytes(usize),
    /// [`HeadLimits::fields`].
    Fields(usize),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{bytes} bytes (server.limits.answer_head)"),
            Self::Fields(fields) => write!(f, "{fields} fields (server.limits.answer_fields)"),
        }
    }
}

/// Parses the head at the start of `input`, the whole output of the script so far.
///
/// `None`: the head is not complete yet. Otherwise the head and its length in bytes; the body begins after it.
/// `Status` is none of the head's fields, and the last of several lengths counts. Fails when the head is
/// complete and malformed, or exceeds `limits` already.
pub fn parse(input: &[u8], limits: HeadLimits) -> Result<Option<(AnswerHead, usize)>, HeadError> {
    parse_from(input, 0, limits)
}

/// Parses like [`parse`], but skips the first `scanned` bytes in the search for the end of the head: an earlier
/// call has found none there.
pub fn parse_from(
    input: &[u8],
    scanned: usize,
    limits: HeadLimits,
) -> Result<Option<(AnswerHead, usize)>, HeadError> {
    let window = input.get(..limits.bytes).unwrap_or(input);
    match end_of_head(window, scanned).and_then(|end| window.get(..end)) {
        Some(head) => Ok(Some((read(head, limits.fields)?, head.len()))),
        None if input.len() < limits.bytes => Ok(None),
        None => Err(too_large(window, Limit::Bytes(limits.bytes))),
    }
}

/// Returns the length of the head with the empty line that ends it. Lines end with LF or CRLF, also mixed (RFC
/// 3875 §6.1 leaves it to the system). An empty line at the very start ends a head without fields.
fn end_of_head(input: &[u8], scanned: usize) -> Option<usize> {
    let mut end = scanned;
    loop {
        end += 1 + memchr(b'\n', input.get(end..)?)?;
        let empty_line = matches!(
            input.get(..end)?,
            b"\n" | b"\r\n" | [.., b'\n', b'\n'] | [.., b'\n', b'\r', b'\n']
        );
        if empty_line {
            return Some(end);
        }
    }
}

fn read(head: &[u8], limit: usize) -> Result<AnswerHead, HeadError> {
    let limit = limit.min(MOST_FIELDS);
    if lines(head).nth(limit).is_some() {
        return Err(too_large(head, Limit::Fields(limit)));
    }
    let mut fields = Fields::new();
    for line in lines(head) {
        fields.add(line)?;
    }
    Ok(fields.into_head())
}

/// Iterates over the lines of a head without their ends; the empty one is left out.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
}

/// Contents of the lines so far.
struct Fields {
    status: Option<StatusCode>,
    reason: Option<ReasonPhrase>,
    headers: HeaderMap,
    content_length: Option<u64>,
    /// The names in `Connection`.
    nominated: Vec<HeaderName>,
}

impl Fields {
    fn new() -> Self {
        Self {
            status: None,
            reason: None,
            headers: HeaderMap::with_capacity(USUAL_FIELDS),
            content_length: None,
            nominated: Vec::new(),
        }
    }

    fn add(&mut self, line: &[u8]) -> Result<(), HeadError> {
        let (name, value) = field(line)?;
        match name.as_str() {
            "status" => self.set_status(line, value.as_bytes())?,
            "content-length" => self.content_length = decimal(value.as_bytes()),
            "connection" => self.nominated.extend(nominated(value.as_bytes())),
            // RFC 9110 §7.6.1: these concern one connection, and the script's ends at the gateway.
            "keep-alive" | "proxy-connection" | "te" | "trailer" | "transfer-encoding"
            | "upgrade" => {}
            // RFC 9110 §6.6.1, §10.2.4: one value each.
            "date" | "server" if self.headers.contains_key(&name) => {}
            // RFC 9110 §5.3, §8.3, §8.8, §10.2.2, §14.4: no lists. As with Apache, the last one counts.
            "content-type" | "location" | "etag" | "last-modified" | "content-range" => {
                self.headers.insert(name, value);
            }
            _ => {
                self.headers.append(name, value);
            }
        }
        Ok(())
    }

    fn set_status(&mut self, line: &[u8], value: &[u8]) -> Result<(), HeadError> {
        let status = status(line, value)?;
        self.reason = reason(status, value);
        match self.status.replace(status) {
            Some(earlier) if earlier != status => Err(HeadError::InvalidStatus(excerpt(line))),
            Some(_) | None => Ok(()),
        }
    }

    fn into_head(mut self) -> AnswerHead {
        for name in &self.nominated {
            self.headers.remove(name);
        }
        // RFC 9110 §8.3: an empty value is no media type. PHP sends it for none.
        let media_type = self.headers.get(header::CONTENT_TYPE);
        if media_type.is_some_and(HeaderValue::is_empty) {
            self.headers.remove(header::CONTENT_TYPE);
        }
        let status = self.status.unwrap_or_else(|| {
            // RFC 3875 §6.2.3: a redirect may omit its status. §6.2.1: so may a document.
            if self.headers.contains_key(header::LOCATION) {
                StatusCode::FOUND
            } else {
                StatusCode::OK
            }
        });
        AnswerHead {
            status,
            reason: self.reason,
            headers: self.headers,
            content_length: self.content_length,
        }
    }
}

fn field(line: &[u8]) -> Result<(HeaderName, HeaderValue), HeadError> {
    // RFC 3875 §6.3 does not allow folding, RFC 9112 §5.2 has it removed from HTTP.
    if let [b' ' | b'\t', ..] = line {
        return Err(HeadError::Folded(excerpt(line)));
    }
    let colon = memchr(b':', line);
    let Some((name, [_colon, value @ ..])) = colon.and_then(|at| line.split_at_checked(at)) else {
        return Err(HeadError::NoColon(excerpt(line)));
    };
    let name = HeaderName::from_bytes(name).map_err(|_| HeadError::InvalidName(excerpt(line)))?;
    // Accepts obs-text (RFC 9110 §5.5); refuses NUL, CR and all other control characters but HTAB.
    let value =
        HeaderValue::from_bytes(trim(value)).map_err(|_| HeadError::InvalidValue(excerpt(line)))?;
    Ok((name, value))
}

/// Parses a status (RFC 3875 §6.3.3): three digits, followed by the reason.
fn status(line: &[u8], value: &[u8]) -> Result<StatusCode, HeadError> {
    let code = match value {
        [_, _, _, b'0'..=b'9', ..] => None,
        [a, b, c, ..] => StatusCode::from_bytes(&[*a, *b, *c]).ok(),
        [] | [_, ..] => None,
    };
    match code {
        // RFC 9110 §15.2: interim answers; the final one follows.
        Some(code) if INTERIM.contains(&code.as_u16()) => Ok(code),
        // As a final one, 101 would switch the protocol.
        Some(code) if code.is_informational() => Err(HeadError::Informational(excerpt(line))),
        Some(code) if code.as_u16() <= 599 => Ok(code),
        Some(_) | None => Err(HeadError::InvalidStatus(excerpt(line))),
    }
}

/// Returns the reason phrase in `value`, unless it is empty or the usual one of the status.
fn reason(status: StatusCode, value: &[u8]) -> Option<ReasonPhrase> {
    let text = trim(value.get(3..)?);
    let usual = status.canonical_reason().unwrap_or_default();
    if text.is_empty() || text == usual.as_bytes() {
        return None;
    }
    ReasonPhrase::try_from(text).ok()
}

/// Parses a length (RFC 9110 §8.6), `1*DIGIT`: no sign and no list.
fn decimal(value: &[u8]) -> Option<u64> {
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(value).ok()?.parse().ok()
}

fn nominated(value: &[u8]) -> impl Iterator<Item = HeaderName> {
    value
        .split(|&byte| byte == b',')
        .filter_map(|name| HeaderName::from_bytes(trim(name)).ok())
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

fn too_large(head: &[u8], limit: Limit) -> HeadError {
    let mut biggest: Vec<&[u8]> = lines(head).collect();
    biggest.sort_by_key(|line| std::cmp::Reverse(line.len()));
    let name = |line: &[u8]| excerpt(line.split(|&byte| byte == b':').next().unwrap_or(line));
    HeadError::TooLarge {
        limit,
        biggest: biggest
            .iter()
            .take(NAMED_FIELDS)
            .map(|line| (name(line), line.len()))
            .collect(),
    }
}

fn list(biggest: &[(String, usize)]) -> String {
    let named = biggest
        .iter()
        .map(|(name, bytes)| format!("{name} ({bytes} bytes)"));
    named.collect::<Vec<_>>().join(", ")
}

/// Returns a line for a log: escaped, without control characters, and cut.
fn excerpt(line: &[u8]) -> String {
    let escaped = line.escape_ascii();
    escaped.take(EXCERPT_LEN).map(char::from).collect()
}

/// RFC 9110 §15.2.1, RFC 2518 §10.1, RFC 8297.
const INTERIM: [u16; 3] = [100, 102, 103];
/// Number of fields that PHP frameworks send, so that the map is allocated once.
const USUAL_FIELDS: usize = 12;
/// A `HeaderMap` takes 24 576 and panics beyond.
const MOST_FIELDS: usize = 16_384;
/// Number of fields that [`HeadError::TooLarge`] names.
const NAMED_FIELDS: usize = 3;
/// Bytes of a line in an error.
const EXCERPT_LEN: usize = 80;

#[cfg(test)]
mod tests;
