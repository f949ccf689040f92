//! The record: the unit that everything on a FastCGI connection travels in (FastCGI specification §3.3, §8).
//!
//! Only the fixed parts are here: header, types, BEGIN_REQUEST. Pure: no I/O.

/// Bytes of a record header.
pub const HEADER_LEN: usize = 8;
/// The most content bytes one record can carry.
pub const MAX_CONTENT: usize = 65_535;
/// The id of our requests: a connection carries one at a time, so one id is enough (§3.3 wants it small and not 0).
pub const REQUEST_ID: u16 = 1;
/// The id of management records (§3.3).
pub const NULL_REQUEST_ID: u16 = 0;

/// The only version there is (§8).
const VERSION: u8 = 1;
/// Role: answers HTTP requests as a CGI program would (§6.2).
const RESPONDER: u16 = 1;
/// Flag of BEGIN_REQUEST: the application leaves the connection open (§5.1). PHP-FPM without it half-closes and
/// then blocks its worker until we close.
const KEEP_CONN: u8 = 1;
/// Content bytes of BEGIN_REQUEST (§5.1).
const BEGIN_REQUEST_LEN: u16 = 8;

/// The types of record (§8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RecordType {
    /// FCGI_BEGIN_REQUEST, from the gateway.
    BeginRequest = 1,
    /// FCGI_ABORT_REQUEST, from the gateway.
    AbortRequest,
    /// FCGI_END_REQUEST, from the application.
    EndRequest,
    /// FCGI_PARAMS, from the gateway.
    Params,
    /// FCGI_STDIN, from the gateway.
    Stdin,
    /// FCGI_STDOUT, from the application.
    Stdout,
    /// FCGI_STDERR, from the application.
    Stderr,
    /// FCGI_DATA, from the gateway (only for the Filter role).
    Data,
    /// FCGI_GET_VALUES, a management record from the gateway.
    GetValues,
    /// FCGI_GET_VALUES_RESULT, a management record from the application.
    GetValuesResult,
    /// FCGI_UNKNOWN_TYPE, a management record from the application.
    UnknownType,
}

impl RecordType {
    /// The type's number on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The type with this number on the wire, or `None` for a number that the specification does not define.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::BeginRequest,
            2 => Self::AbortRequest,
            3 => Self::EndRequest,
            4 => Self::Params,
            5 => Self::Stdin,
            6 => Self::Stdout,
            7 => Self::Stderr,
            8 => Self::Data,
            9 => Self::GetValues,
            10 => Self::GetValuesResult,
            11 => Self::UnknownType,
            _ => return None,
        })
    }
}

/// The header of a record (§3.3), always of version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The type as it stands on the wire; see [`RecordType::from_code`].
    pub kind: u8,
    /// [`REQUEST_ID`], or [`NULL_REQUEST_ID`] for a management record.
    pub request_id: u16,
    /// Bytes of content that follow the header.
    pub content_length: u16,
    /// Bytes that follow the content and mean nothing.
    pub padding_length: u8,
}

impl Header {
    /// The header of one of our own application records, without padding.
    pub(super) const fn of(kind: RecordType, content_length: u16) -> Self {
        Self {
            kind: kind.code(),
            request_id: REQUEST_ID,
            content_length,
            padding_length: 0,
        }
    }

    /// The header as it stands on the wire.
    pub const fn encode(self) -> [u8; HEADER_LEN] {
        let [id_high, id_low] = self.request_id.to_be_bytes();
        let [length_high, length_low] = self.content_length.to_be_bytes();
        [
            VERSION,
            self.kind,
            id_high,
            id_low,
            length_high,
            length_low,
            self.padding_length,
            0, // reserved
        ]
    }

    /// Reads a header; fails with [`ProtocolError::WrongVersion`] only.
    pub const fn decode(bytes: [u8; HEADER_LEN]) -> Result<Self, ProtocolError> {
        let [
            version,
            kind,
            id_high,
            id_low,
            length_high,
            length_low,
            padding_length,
            _reserved,
        ] = bytes;
        if version != VERSION {
            return Err(ProtocolError::WrongVersion(version));
        }
        Ok(Self {
            kind,
            request_id: u16::from_be_bytes([id_high, id_low]),
            content_length: u16::from_be_bytes([length_high, length_low]),
            padding_length,
        })
    }
}

/// Appends the BEGIN_REQUEST record (§5.1): role Responder, connection kept, id [`REQUEST_ID`].
pub fn begin_request(out: &mut Vec<u8>) {
    let [role_high, role_low] = RESPONDER.to_be_bytes();
    out.extend_from_slice(&Header::of(RecordType::BeginRequest, BEGIN_REQUEST_LEN).encode());
    out.extend_from_slice(&[role_high, role_low, KEEP_CONN, 0, 0, 0, 0, 0]);
}

/// The header of a STDIN record (§5.3) with `length` bytes of content to follow; 0 ends the stream.
pub const fn stdin_header(length: u16) -> [u8; HEADER_LEN] {
    Header::of(RecordType::Stdin, length).encode()
}

/// How the application took the request, as END_REQUEST says it (§5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolStatus {
    /// FCGI_REQUEST_COMPLETE: it ran to its end.
    RequestComplete,
    /// FCGI_CANT_MPX_CONN: refused, the connection is already busy with another request.
    CantMpxConn,
    /// FCGI_OVERLOADED: refused, out of some resource.
    Overloaded,
    /// FCGI_UNKNOWN_ROLE: refused, the application is not a Responder.
    UnknownRole,
    /// A status that the specification does not define.
    Other(u8),
}

impl From<u8> for ProtocolStatus {
    fn from(code: u8) -> Self {
        match code {
            0 => Self::RequestComplete,
            1 => Self::CantMpxConn,
            2 => Self::Overloaded,
            3 => Self::UnknownRole,
            other => Self::Other(other),
        }
    }
}

/// The application broke the protocol. What else its connection carries means nothing: close it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A header begins with another version than 1: most likely the peer does not speak FastCGI.
    #[error("a record has FastCGI version {0}, expected 1")]
    WrongVersion(u8),
    /// A record of a request that we did not send, or a management record that has an id.
    #[error("a record has request id {0}, which is not in use")]
    WrongRequestId(u16),
    /// A type that only a web server may send, or an unknown one inside a request.
    #[error("record type {0} may not come from an application")]
    UnexpectedType(u8),
    /// END_REQUEST with this many content bytes, less than its eight.
    #[error("END_REQUEST has {0} bytes of content, expected 8")]
    ShortEndRequest(usize),
    /// GET_VALUES_RESULT with this many content bytes.
    #[error("GET_VALUES_RESULT has {0} bytes of content, more than any answer needs")]
    LongValues(usize),
    /// Name-value pairs (§3.4) whose lengths do not fit the content.
    #[error("the name-value pairs are malformed")]
    MalformedPairs,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_type_has_its_code() {
        for code in 0..=u8::MAX {
            let kind = RecordType::from_code(code);
            assert_eq!(kind.is_some(), (1..=11).contains(&code), "{code}");
            assert_eq!(kind.map_or(code, RecordType::code), code);
        }
    }

    #[test]
    fn begin_request_is_as_in_the_specification() {
        let mut out = Vec::new();
        begin_request(&mut out);
        assert_eq!(out, [1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn stdin_headers() {
        assert_eq!(stdin_header(0), [1, 5, 0, 1, 0, 0, 0, 0]);
        assert_eq!(stdin_header(65_535), [1, 5, 0, 1, 0xff, 0xff, 0, 0]);
    }

    #[test]
    fn another_version_is_refused() {
        // What an HTTP server says to a FastCGI client.
        let error = Header::decode(*b"HTTP/1.1").unwrap_err();
        assert_eq!(error, ProtocolError::WrongVersion(b'H'));
    }

    proptest! {
        #[test]
        fn a_header_survives_the_wire(kind: u8, request_id: u16, content_length: u16, padding_length: u8) {
            let header = Header { kind, request_id, content_length, padding_length };
            prop_assert_eq!(Header::decode(header.encode()), Ok(header));
        }
    }
}
