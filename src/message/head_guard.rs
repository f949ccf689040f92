//! The head guard: a scanner that reads a client's HTTP/1 bytes before hyper does and decides how
//! many of them may pass. hyper merges some ambiguous framing silently (Content-Length beside
//! Transfer-Encoding, equal repeated lengths); here it is refused, and no byte of a bad head
//! passes. The guard follows content only to find the beginning of the next head; it must never
//! disagree with hyper about that, so it passes only bytes that have a single reading.
//!
//! ```text
//!            head ends                        length 0
//!  Head ───┬─────────────────────────────────────────────► Head
//!   ▲      ├─ Content-Length ──► Length ──────┐
//!   │      └─ chunked ─────────► Chunked ─────┤ content ends
//!   └─────────────────────────────────────────┘
//! ```

mod chunked;
mod decoded;
mod field;
mod framing;
mod lines;
mod refusal;
mod request_line;

use chunked::Chunked;
pub use decoded::judge_decoded;
use framing::{Content, Framing};
use lines::{LineLimits, Lines};
pub use refusal::Refusal;
use request_line::Version;

/// Limits of a head.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of the request line with its end, `limits.request_line`.
    pub request_line: usize,
    /// Bytes of a field line with its end, `limits.field_line`.
    pub field_line: usize,
    /// Bytes of the whole head, `limits.head`.
    pub head: usize,
    /// Number of fields, `limits.fields`; of a trailer section too.
    pub fields: usize,
}

/// Decision about the bytes that have not passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// So many bytes from the beginning may pass; never 0.
    Pass(usize),
    /// The decision needs more bytes.
    More,
    /// No further byte passes.
    Refuse(Refusal),
}

/// The scanner of one connection.
#[derive(Debug)]
pub struct HeadGuard {
    bounds: Bounds,
    state: State,
    /// Number of heads that passed.
    heads: usize,
}

#[derive(Debug)]
enum State {
    /// Before or within a head.
    Head(Head),
    /// Content with so many bytes outstanding.
    Length(u64),
    /// Chunked content.
    Chunked(Chunked),
}

/// The complete lines of a head.
#[derive(Debug, Default)]
struct Head {
    lines: Lines,
    /// An empty line in front of the request line was ignored (RFC 9112 §2.2); a second one is not.
    has_skipped_line: bool,
    version: Option<Version>,
    fields: usize,
    framing: Framing,
}

impl HeadGuard {
    /// Creates the guard of a new connection.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            state: State::Head(Head::default()),
            heads: 0,
        }
    }

    /// Judges `bytes`, all that have arrived and not passed: after [`Verdict::More`] the same ones
    /// with more behind them, after [`Verdict::Pass`] those behind the passed ones. The only byte that
    /// it changes is a minor version above 1, which becomes 1 (RFC 9110 §2.5: a newer minor version is
    /// served as the newest known one).
    pub fn judge(&mut self, bytes: &mut [u8]) -> Verdict {
        if bytes.is_empty() {
            return Verdict::More;
        }
        let judged = match &mut self.state {
            State::Head(head) => match head.judge(bytes, self.bounds) {
                Ok(None) => Ok(0),
                Ok(Some((length, content))) => {
                    self.heads += 1;
                    self.state = State::of(content);
                    Ok(length)
                }
                Err(refusal) => Err(refusal),
            },
            State::Length(left) => {
                let passed = up_to(*left, bytes);
                self.state = State::of(Content::Length(*left - passed as u64));
                Ok(passed)
            }
            State::Chunked(chunked) => {
                let judged = chunked.judge(bytes, self.bounds.fields);
                if chunked.has_ended() {
                    self.state = State::Head(Head::default());
                }
                judged
            }
        };
        match judged {
            Ok(0) => Verdict::More,
            Ok(passed) => Verdict::Pass(passed),
            Err(refusal) => Verdict::Refuse(refusal),
        }
    }

    /// Returns the number of heads that have passed.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Reports whether content of the last passed head is outstanding.
    pub fn is_in_content(&self) -> bool {
        !matches!(self.state, State::Head(_))
    }
}

impl State {
    fn of(content: Content) -> Self {
        match content {
            Content::Length(0) => Self::Head(Head::default()),
            Content::Length(length) => Self::Length(length),
            Content::Chunked => Self::Chunked(Chunked::default()),
        }
    }
}

impl Head {
    /// Returns the length of the head and the framing of its content, once the head is complete.
    fn judge(
        &mut self,
        bytes: &mut [u8],
        bounds: Bounds,
    ) -> Result<Option<(usize, Content)>, Refusal> {
        while let Some(line) = self.lines.next(bytes, self.line_limits(bounds))? {
            match (self.version, line) {
                (None, []) if !self.has_skipped_line => self.has_skipped_line = true,
                (None, line) => {
                    let (version, rewritten) = request_line::judge(line)?;
                    self.version = Some(version);
                    if rewritten {
                        self.lines.set_last_byte(bytes, b'1');
                    }
                }
                (Some(version), []) => {
                    let content = self.framing.content(version)?;
                    return Ok(Some((self.lines.end(), content)));
                }
                (Some(_), line) => {
                    let field = field::judge(line)?;
                    self.framing.add_field(field)?;
                    self.fields += 1;
                    if self.fields > bounds.fields {
                        return Err(Refusal::TooManyFields);
                    }
                }
            }
        }
        Ok(None)
    }

    fn line_limits(&self, bounds: Bounds) -> LineLimits {
        let (line, too_long) = match self.version {
            None => (bounds.request_line, Refusal::RequestLineTooLong),
            Some(_) => (bounds.field_line, Refusal::FieldTooLong),
        };
        LineLimits {
            line,
            too_long,
            all: bounds.head,
            too_much: Refusal::HeadTooLarge,
        }
    }
}

/// Returns the number of `bytes` that belong to the `left` outstanding ones.
fn up_to(left: u64, bytes: &[u8]) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len())
}

#[cfg(test)]
mod tests;
