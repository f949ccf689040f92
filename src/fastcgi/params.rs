//! Name-value pairs (FastCGI specification §3.4) and the PARAMS stream that carries them (§5.2).
//!
//! Pairs are written straight into the buffer that goes to the socket: no map, no `String` per variable.

use super::record::{HEADER_LEN, Header, MAX_CONTENT, ProtocolError, RecordType};

/// A name and its value, as read.
pub type Pair = (Vec<u8>, Vec<u8>);

/// Encoder of one request's PARAMS, after the present content of the buffer. Nothing is valid before
/// [`Self::finish`].
#[derive(Debug)]
#[must_use = "without finish() the record has no header"]
pub struct ParamsEncoder<'a> {
    out: &'a mut Vec<u8>,
    /// Offset of the record's header in `out`.
    start: usize,
}

impl<'a> ParamsEncoder<'a> {
    /// Starts a PARAMS record at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_LEN]);
        Self { out, start }
    }

    /// Adds one variable.
    pub fn pair(&mut self, name: &[u8], value: &[u8]) {
        encode_pair(self.out, name, value);
    }

    /// Adds one variable with a value in parts, which saves joining them first.
    pub fn pair_parts(&mut self, name: &[u8], value: &[&[u8]]) {
        encode_parts(self.out, name, value);
    }

    /// Adds the meta-variable of a request header field (RFC 3875 §4.1.18): `Accept-Language` as
    /// `HTTP_ACCEPT_LANGUAGE`. The caller excludes fields that must not become one, such as `Proxy`.
    pub fn http_field(&mut self, name: &str, value: &[u8]) {
        let name = cut(name.as_bytes(), MAX_LENGTH - HTTP_PREFIX.len());
        let value = cut(value, MAX_LENGTH);
        push_length(self.out, HTTP_PREFIX.len() + name.len());
        push_length(self.out, value.len());
        self.out.extend_from_slice(HTTP_PREFIX);
        self.out.extend(name.iter().map(|&byte| match byte {
            b'-' => b'_',
            other => other.to_ascii_uppercase(),
        }));
        self.out.extend_from_slice(value);
    }

    /// Adds pairs that [`encode_pair`] wrote earlier, such as the constants of a site.
    pub fn raw(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
    }

    /// Returns the pairs so far, in the form of [`decode_pairs`].
    pub fn pairs(&self) -> &[u8] {
        self.out.get(self.start + HEADER_LEN..).unwrap_or_default()
    }

    /// Replaces the pairs so far.
    pub fn replace(&mut self, change: impl FnOnce(&[u8]) -> Vec<u8>) {
        let changed = change(self.pairs());
        self.out.truncate(self.start + HEADER_LEN);
        self.out.extend_from_slice(&changed);
    }

    /// Completes the record. More than [`MAX_CONTENT`] bytes become several records of whole pairs, because PHP
    /// parses each record by itself; no pair at all leaves none. A pair that exceeds a record (see
    /// [`pair_beyond_record`]) is split across records of its own, which §3.3 allows and PHP cannot read. The
    /// empty record that ends the stream is [`end_of_params`].
    pub fn finish(self) {
        let content = self.out.len().saturating_sub(self.start + HEADER_LEN);
        match u16::try_from(content) {
            // An empty record would end the stream (§3.3).
            Ok(0) => self.out.truncate(self.start),
            Ok(length) => self.write_header(length),
            Err(_) => self.split(),
        }
    }

    fn write_header(self, length: u16) {
        let record = self.out.get_mut(self.start..).unwrap_or_default();
        if let Some(header) = record.first_chunk_mut() {
            *header = Header::of(RecordType::Params, length).encode();
        }
    }

    /// Splits the content into several records. Rare: it copies the content, so that the usual request pays
    /// nothing for it.
    fn split(self) {
        let content = self.out.split_off(self.start + HEADER_LEN);
        self.out.truncate(self.start);
        let mut rest = content.as_slice();
        while !rest.is_empty() {
            let (pairs, after) = rest
                .split_at_checked(fill_record(rest))
                .unwrap_or((rest, &[]));
            for part in pairs.chunks(MAX_CONTENT) {
                let mut record = ParamsEncoder::new(self.out);
                record.raw(part);
                record.finish();
            }
            rest = after;
        }
    }
}

/// Returns the number of bytes of `content` for the next record: whole pairs up to [`MAX_CONTENT`], but always
/// one.
fn fill_record(content: &[u8]) -> usize {
    let mut filled = 0;
    for (_, length) in pair_lengths(content) {
        if filled > 0 && filled + length > MAX_CONTENT {
            break;
        }
        filled += length;
    }
    // Bytes that are no pair cannot be split; the encoder never writes such.
    if filled == 0 { content.len() } else { filled }
}

/// Appends the empty PARAMS record, which ends the stream. PHP-FPM starts the script when it reads it.
pub fn end_of_params(out: &mut Vec<u8>) {
    out.extend_from_slice(&Header::of(RecordType::Params, 0).encode());
}

/// Appends one pair, without a record around it. A name or value over 2^31-1 bytes is cut to that.
pub fn encode_pair(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    encode_parts(out, name, &[value]);
}

/// Reads the pairs of a complete stream, in their order; fails with [`ProtocolError::MalformedPairs`].
pub fn decode_pairs(content: &[u8]) -> Result<Vec<Pair>, ProtocolError> {
    let mut rest = content;
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let (name, value) = take_pair(&mut rest)?;
        pairs.push((name.to_vec(), value.to_vec()));
    }
    Ok(pairs)
}

/// Returns the name and the [`pair_length`] of the first pair in `content` that exceeds a record.
pub fn pair_beyond_record(content: &[u8]) -> Option<(&[u8], usize)> {
    if content.len() <= MAX_CONTENT {
        return None;
    }
    pair_lengths(content).find(|(_, length)| *length > MAX_CONTENT)
}

/// Returns the encoded length of a pair: a name and a value of these lengths, and the two lengths before them.
pub fn pair_length(name: usize, value: usize) -> usize {
    let length_of = |length: usize| {
        if length < usize::from(LONG_FORM) {
            1
        } else {
            4
        }
    };
    length_of(name) + length_of(value) + name + value
}

/// Iterates over the names and lengths of the pairs of `content`, up to the first malformed one.
fn pair_lengths(content: &[u8]) -> impl Iterator<Item = (&[u8], usize)> {
    let mut rest = content;
    std::iter::from_fn(move || {
        let before = rest.len();
        let (name, _) = take_pair(&mut rest).ok()?;
        Some((name, before - rest.len()))
    })
}

fn take_pair<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8], &'a [u8]), ProtocolError> {
    let name_length = take_length(rest)?;
    let value_length = take_length(rest)?;
    Ok((take(rest, name_length)?, take(rest, value_length)?))
}

fn encode_parts(out: &mut Vec<u8>, name: &[u8], value: &[&[u8]]) {
    let name = cut(name, MAX_LENGTH);
    let value_length = value
        .iter()
        .fold(0, |sum: usize, part| sum.saturating_add(part.len()))
        .min(MAX_LENGTH);
    push_length(out, name.len());
    push_length(out, value_length);
    out.extend_from_slice(name);
    let end = out.len() + value_length;
    for part in value {
        out.extend_from_slice(part);
    }
    out.truncate(end);
}

/// Cuts a text to a length of 31 bits (§3.4). Requests are limited far below; without the cut the rest would be
/// read as the next pairs.
fn cut(text: &[u8], length: usize) -> &[u8] {
    text.get(..length).unwrap_or(text)
}

/// Writes a length of at most [`MAX_LENGTH`]: one byte up to 127, else four with the top bit set.
fn push_length(out: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short @ 0..LONG_FORM) => out.push(short),
        Ok(_) | Err(_) => {
            let [high, rest @ ..] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
            out.push(high | LONG_FORM);
            out.extend_from_slice(&rest);
        }
    }
}

fn take_length(rest: &mut &[u8]) -> Result<usize, ProtocolError> {
    let (length, tail) = match **rest {
        [short @ 0..LONG_FORM, ref tail @ ..] => (u32::from(short), tail),
        [high, b, c, d, ref tail @ ..] => (u32::from_be_bytes([high & !LONG_FORM, b, c, d]), tail),
        [] | [_, ..] => return Err(ProtocolError::MalformedPairs),
    };
    *rest = tail;
    usize::try_from(length).map_err(|_| ProtocolError::MalformedPairs)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], ProtocolError> {
    rest.split_off(..length)
        .ok_or(ProtocolError::MalformedPairs)
}

const HTTP_PREFIX: &[u8] = b"HTTP_";
/// Marks a length of four bytes in its first one.
const LONG_FORM: u8 = 0x80;
/// 2^31-1, the longest name or value.
const MAX_LENGTH: usize = 0x7fff_ffff;

#[cfg(test)]
mod tests;
