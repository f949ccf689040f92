//! Decoder of an application's records, bytes → events, for one request at a time (FastCGI specification §3.3,
//! §5, §6.2).
//!
//! Incremental and pure: the input may be cut anywhere, and content is passed on without a copy and without
//! waiting for the rest of its record.
//!
//! ```text
//!            STDOUT, STDERR           END_REQUEST, GET_VALUES_RESULT
//! Header ──────────────────► Stream        Whole ◄────────────────── Header
//!    ▲                         │ content     │ content
//!    │   all skipped           ▼ complete    ▼ complete     UNKNOWN_TYPE, unknown
//!    └─────────────────────── Skip ◄──────────────────────────────── Header
//! ```

use bytes::{Buf, Bytes, BytesMut};

use super::record::{
    HEADER_LEN, Header, Id, NULL_REQUEST_ID, ProtocolError, ProtocolStatus, RecordType,
};

/// A decoded record, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The next bytes of the response, never empty; their borders mean nothing.
    Stdout(Bytes),
    /// The next bytes of the error stream, never empty; their borders mean nothing.
    Stderr(Bytes),
    /// END_REQUEST: the request is complete.
    End {
        /// The exit status of the program.
        app_status: u32,
        /// FCGI_REQUEST_COMPLETE, or the reason of a refusal.
        protocol_status: ProtocolStatus,
    },
    /// GET_VALUES_RESULT, the acknowledgement of a probe: its name-value pairs, often none.
    Values(Bytes),
}

/// State of a connection within the stream of records. Holds no bytes.
///
/// END_REQUEST ends the answer and not the work (docs/internals/php-fpm.md, "After the answer"): later output
/// of a script has the id of its request. Such records are skipped and counted, those of any other id are
/// errors.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    /// The request whose answer is read; `None` after its END_REQUEST.
    running: Option<Id>,
    /// The request whose late records are skipped.
    over: Option<Id>,
    /// Bytes of their content so far.
    late: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Between two records.
    Header,
    /// In the content of a stream record, with `content` bytes (not 0) still to come.
    Stream {
        stream: Stream,
        content: usize,
        padding: usize,
    },
    /// Before `content` bytes that are decoded as one, and `skip` after them.
    Whole {
        whole: Whole,
        content: usize,
        skip: usize,
    },
    /// Before this many bytes (not 0) to be skipped.
    Skip(usize),
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

#[derive(Debug, Clone, Copy)]
enum Whole {
    EndRequest,
    Values,
}

impl Decoder {
    /// Returns a decoder between two records, for the answer to the request `id`.
    pub const fn new(id: Id) -> Self {
        Self::behind(None, id)
    }

    /// Returns the same for a connection whose last request, `over`, may still print.
    pub const fn behind(over: Option<Id>, id: Id) -> Self {
        Self {
            state: State::Header,
            running: Some(id),
            over,
            late: 0,
        }
    }

    /// Ends the request: all further records of it are late.
    pub const fn end(&mut self) {
        if let Some(id) = self.running.take() {
            self.over = Some(id);
        }
    }

    /// Returns the content bytes that a request printed after its END_REQUEST, as far as they were read.
    pub const fn late_bytes(&self) -> u64 {
        self.late
    }

    /// Decodes the next event of `input` and consumes its bytes; `None` when more bytes are needed.
    ///
    /// After an error the connection must be closed.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Event>, ProtocolError> {
        loop {
            self.skip(input);
            match self.state {
                State::Header => match take_header(input)? {
                    Some(header) => self.state = self.after(header)?,
                    None => return Ok(None),
                },
                State::Stream {
                    stream,
                    content,
                    padding,
                } => {
                    let part = input.split_to(content.min(input.len())).freeze();
                    self.state = State::stream(stream, content - part.len(), padding);
                    self.skip(input);
                    return Ok(stream.event(part));
                }
                State::Whole { content, .. } if input.len() < content => return Ok(None),
                State::Whole {
                    whole,
                    content,
                    skip,
                } => {
                    let content = input.split_to(content).freeze();
                    self.state = State::skip(skip);
                    self.skip(input);
                    return whole.event(content).map(Some);
                }
                State::Skip(_) => return Ok(None),
            }
        }
    }

    /// Reports whether the last record was consumed to the end of its padding. A connection can take its next
    /// request then, if in addition no input is left over.
    pub const fn is_between_records(&self) -> bool {
        matches!(self.state, State::Header)
    }

    /// Discards the part of the skipped bytes that has arrived.
    fn skip(&mut self, input: &mut BytesMut) {
        if let State::Skip(bytes) = self.state {
            let arrived = bytes.min(input.len());
            input.advance(arrived);
            self.state = State::skip(bytes - arrived);
        }
    }

    /// Returns the state after `header`.
    fn after(&mut self, header: Header) -> Result<State, ProtocolError> {
        let content = usize::from(header.content_length);
        let padding = usize::from(header.padding_length);
        match RecordType::from_code(header.kind) {
            Some(RecordType::Stdout | RecordType::Stderr | RecordType::EndRequest)
                if self.over.map(Id::get) == Some(header.request_id) =>
            {
                self.late += u64::from(header.content_length);
                Ok(State::skip(content + padding))
            }
            Some(RecordType::Stdout) => {
                self.expect_running(header)?;
                Ok(State::stream(Stream::Stdout, content, padding))
            }
            Some(RecordType::Stderr) => {
                self.expect_running(header)?;
                Ok(State::stream(Stream::Stderr, content, padding))
            }
            Some(RecordType::EndRequest) => {
                self.expect_running(header)?;
                Ok(State::whole(Whole::EndRequest, content, padding))
            }
            Some(RecordType::GetValuesResult) => {
                expect_null(header)?;
                if content > MAX_VALUES {
                    return Err(ProtocolError::LongValues(content));
                }
                Ok(State::whole(Whole::Values, content, padding))
            }
            // §4.2: the application does not know a management record. GET_VALUES is the only one sent, and it
            // is dispensable.
            Some(RecordType::UnknownType) => {
                expect_null(header)?;
                Ok(State::skip(content + padding))
            }
            Some(
                RecordType::BeginRequest
                | RecordType::AbortRequest
                | RecordType::Params
                | RecordType::Stdin
                | RecordType::Data
                | RecordType::GetValues,
            ) => Err(ProtocolError::UnexpectedType(header.kind)),
            // §4: later versions may define other management records.
            None if header.request_id == NULL_REQUEST_ID => Ok(State::skip(content + padding)),
            None => Err(ProtocolError::UnexpectedType(header.kind)),
        }
    }

    fn expect_running(&self, header: Header) -> Result<(), ProtocolError> {
        match self.running {
            Some(id) if id.get() == header.request_id => Ok(()),
            Some(_) | None => Err(ProtocolError::WrongRequestId(header.request_id)),
        }
    }
}

/// Creates the decoder of the first request on a connection.
impl Default for Decoder {
    fn default() -> Self {
        Self::new(Id::FIRST)
    }
}

impl State {
    /// Returns the state before a stream's content. An empty record ends its stream (§3.3); it causes no event,
    /// as END_REQUEST follows.
    const fn stream(stream: Stream, content: usize, padding: usize) -> Self {
        match content {
            0 => Self::skip(padding),
            _ => Self::Stream {
                stream,
                content,
                padding,
            },
        }
    }

    /// Returns the state before content that is decoded as one. Content of END_REQUEST after its eight bytes is
    /// skipped like padding.
    fn whole(whole: Whole, content: usize, padding: usize) -> Self {
        let needed = match whole {
            Whole::EndRequest => content.min(END_REQUEST_LEN),
            Whole::Values => content,
        };
        Self::Whole {
            whole,
            content: needed,
            skip: content - needed + padding,
        }
    }

    const fn skip(bytes: usize) -> Self {
        match bytes {
            0 => Self::Header,
            _ => Self::Skip(bytes),
        }
    }
}

impl Stream {
    fn event(self, part: Bytes) -> Option<Event> {
        if part.is_empty() {
            return None;
        }
        Some(match self {
            Self::Stdout => Event::Stdout(part),
            Self::Stderr => Event::Stderr(part),
        })
    }
}

impl Whole {
    fn event(self, content: Bytes) -> Result<Event, ProtocolError> {
        match self {
            Self::EndRequest => end_request(&content),
            Self::Values => Ok(Event::Values(content)),
        }
    }
}

/// Decodes END_REQUEST (§5.5): application status, protocol status, three reserved bytes.
fn end_request(content: &[u8]) -> Result<Event, ProtocolError> {
    let [a, b, c, d, status, _, _, _] = *content else {
        return Err(ProtocolError::ShortEndRequest(content.len()));
    };
    Ok(Event::End {
        app_status: u32::from_be_bytes([a, b, c, d]),
        protocol_status: status.into(),
    })
}

fn take_header(input: &mut BytesMut) -> Result<Option<Header>, ProtocolError> {
    let Some(bytes) = input.first_chunk::<HEADER_LEN>().copied() else {
        return Ok(None);
    };
    input.advance(HEADER_LEN);
    Header::decode(bytes).map(Some)
}

const fn expect_null(header: Header) -> Result<(), ProtocolError> {
    if header.request_id == NULL_REQUEST_ID {
        Ok(())
    } else {
        Err(ProtocolError::WrongRequestId(header.request_id))
    }
}

/// Content bytes of END_REQUEST.
const END_REQUEST_LEN: usize = 8;
/// Limit on the content of GET_VALUES_RESULT: the three names of §4.1 need less than 100 bytes.
const MAX_VALUES: usize = 4_096;

#[cfg(test)]
mod tests;
