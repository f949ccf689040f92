//! Chunked content (RFC 9112 §7.1), followed from chunk to chunk to its end.

use super::field::{self, is_text};
use super::lines::{LineLimits, Lines};
use super::{Refusal, up_to};
use crate::message::whitespace::trim;

/// Bytes of a chunk-size line, with extensions and CRLF.
const SIZE_LINE: usize = 1024;

/// Bytes of all chunk extensions of a request (RFC 9112 §7.1.1). hyper has 16 KiB.
const EXTENSIONS: usize = 8 * 1024;

/// Bytes of a trailer section. hyper has 16 KiB.
const TRAILERS: usize = 8 * 1024;

/// Position in chunked content.
#[derive(Debug, Default)]
pub(super) struct Chunked {
    part: Part,
    /// Bytes of extensions so far.
    extensions: usize,
}

#[derive(Debug)]
enum Part {
    Size(Lines),
    Data(u64),
    /// The CRLF behind a chunk's data.
    DataEnd,
    Trailers {
        lines: Lines,
        fields: usize,
    },
    End,
}

impl Default for Part {
    fn default() -> Self {
        Self::Size(Lines::default())
    }
}

impl Chunked {
    /// Returns the number of `bytes` that may pass; 0 where the decision needs more.
    pub(super) fn judge(&mut self, bytes: &[u8], most_fields: usize) -> Result<usize, Refusal> {
        let (passed, next) = match &mut self.part {
            Part::Size(lines) => match lines.next(bytes, SIZE_LIMITS)? {
                None => return Ok(0),
                Some(line) => {
                    let (size, extensions) = judge_size(line)?;
                    let end = lines.end();
                    self.extensions += extensions;
                    (end, Part::after_size(size))
                }
            },
            Part::Data(left) => {
                let passed = up_to(*left, bytes);
                (passed, Part::after_data(*left - passed as u64))
            }
            Part::DataEnd => match bytes {
                [b'\r'] => return Ok(0),
                [b'\r', b'\n', ..] => (2, Part::default()),
                _ => return Err(Refusal::ChunkEnd),
            },
            Part::Trailers { lines, fields } => {
                if !judge_trailers(lines, fields, bytes, most_fields)? {
                    return Ok(0);
                }
                (lines.end(), Part::End)
            }
            Part::End => return Ok(0),
        };
        if self.extensions > EXTENSIONS {
            return Err(Refusal::ChunkExtension);
        }
        self.part = next;
        Ok(passed)
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.part, Part::End)
    }
}

impl Part {
    fn after_size(size: u64) -> Self {
        match size {
            0 => Self::Trailers {
                lines: Lines::default(),
                fields: 0,
            },
            size => Self::Data(size),
        }
    }

    fn after_data(left: u64) -> Self {
        match left {
            0 => Self::DataEnd,
            left => Self::Data(left),
        }
    }
}

/// Parses a chunk-size line; returns the size and the bytes of its extensions.
fn judge_size(line: &[u8]) -> Result<(u64, usize), Refusal> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let (digits, rest) = line
        .split_at_checked(digits.count())
        .ok_or(Refusal::ChunkSize)?;
    if digits.is_empty() {
        return Err(Refusal::ChunkSize);
    }
    // RFC 9112 §7.1: an overflow of the size must not become another size.
    let size = digits
        .iter()
        .try_fold(0_u64, |size, byte| {
            let digit = char::from(*byte).to_digit(16)?;
            size.checked_mul(16)?.checked_add(u64::from(digit))
        })
        .ok_or(Refusal::ChunkSize)?;
    match trim(rest) {
        [] if rest.is_empty() => Ok((size, 0)),
        // RFC 9112 §7.1.1: unknown extensions are ignored, and all are unknown.
        [b';', ..] if is_text(rest) => Ok((size, rest.len())),
        [b';', ..] => Err(Refusal::ChunkExtension),
        _ => Err(Refusal::ChunkSize),
    }
}

/// Reports whether the section has ended. Its fields are unused but must be valid.
fn judge_trailers(
    lines: &mut Lines,
    fields: &mut usize,
    bytes: &[u8],
    most_fields: usize,
) -> Result<bool, Refusal> {
    while let Some(line) = lines.next(bytes, TRAILER_LIMITS)? {
        if line.is_empty() {
            return Ok(true);
        }
        field::judge(line)?;
        *fields += 1;
        if *fields > most_fields {
            return Err(Refusal::TooManyFields);
        }
    }
    Ok(false)
}

const SIZE_LIMITS: LineLimits = LineLimits {
    line: SIZE_LINE,
    too_long: Refusal::ChunkExtension,
    all: SIZE_LINE,
    too_much: Refusal::ChunkExtension,
};

const TRAILER_LIMITS: LineLimits = LineLimits {
    line: TRAILERS,
    too_long: Refusal::TrailersTooLarge,
    all: TRAILERS,
    too_much: Refusal::TrailersTooLarge,
};
