//! The head guard: a scanner that sees a client's HTTP/1 bytes before hyper does and tells how
//! many of them may pass. hyper merges some ambiguous framing silently (Content-Length beside
//! Transfer-Encoding, equal repeated lengths); here it is refused, and no byte of a bad head
//! passes. The guard follows content only to find where the next head begins; it must never
//! disagree with hyper about that, so all that it lets through is read in one way only.
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
use lines::{Lines, Room};
pub use refusal::Refusal;
use request_line::Version;

/// What a head may have.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of the request line with its end, `limits.request_line`.
    pub request_line: usize,
    /// Bytes of a field line with its end, `limits.field_line`.
    pub field_line: usize,
    /// Bytes in all, `limits.head`.
    pub head: usize,
    /// Fields, `limits.fields`; of a trailer section too.
    pub fields: usize,
}

/// What may be done with bytes that have not passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first so many may pass; never 0.
    Pass(usize),
    /// It takes more of them to tell.
    More,
    /// None will ever pass again.
    Refuse(Refusal),
}

/// The scanner of one connection.
#[derive(Debug)]
pub struct HeadGuard {
    bounds: Bounds,
    state: State,
    /// Heads that passed.
    heads: usize,
}

#[derive(Debug)]
enum State {
    /// Between requests, or within a head.
    Head(Head),
    /// Content of which so many bytes are to come.
    Length(u64),
    /// Chunked content.
    Chunked(Chunked),
}

/// A head as far as its lines are complete.
#[derive(Debug, Default)]
struct Head {
    lines: Lines,
    /// RFC 9112 §2.2: one empty line in front of the request line is ignored.
    led: bool,
    version: Option<Version>,
    fields: usize,
    framing: Framing,
}

impl HeadGuard {
    /// The guard of a new connection.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            state: State::Head(Head::default()),
            heads: 0,
        }
    }

    /// Judges `bytes`, which are all that has arrived and not passed: after [`Verdict::More`] the
    /// same ones with more behind them, after [`Verdict::Pass`] those behind the passed ones. The
    /// one byte that is ever changed is a minor version above 1, which becomes 1 (RFC 9110 §2.5:
    /// a newer minor version is served as the newest that is known).
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

    /// How many heads have passed.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Whether content is to come for the last head that passed.
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
    /// The length of the head and what follows it, once it is complete.
    fn judge(
        &mut self,
        bytes: &mut [u8],
        bounds: Bounds,
    ) -> Result<Option<(usize, Content)>, Refusal> {
        while let Some(line) = self.lines.next(bytes, self.room(bounds))? {
            match (self.version, line) {
                (None, []) if !self.led => self.led = true,
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
                    self.framing.note(field)?;
                    self.fields += 1;
                    if self.fields > bounds.fields {
                        return Err(Refusal::TooManyFields);
                    }
                }
            }
        }
        Ok(None)
    }

    fn room(&self, bounds: Bounds) -> Room {
        let (line, too_long) = match self.version {
            None => (bounds.request_line, Refusal::RequestLineTooLong),
            Some(_) => (bounds.field_line, Refusal::FieldTooLong),
        };
        Room {
            line,
            too_long,
            all: bounds.head,
            too_much: Refusal::HeadTooLarge,
        }
    }
}

/// How many of `bytes` belong to the `left` ones that are to come.
fn up_to(left: u64, bytes: &[u8]) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len())
}

#[cfg(test)]
mod tests;
