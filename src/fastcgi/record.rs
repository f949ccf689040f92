//! Records, the unit of transmission on a FastCGI connection (FastCGI specification §3.3, §8).
//!
//! Only the fixed parts are here: header, types, BEGIN_REQUEST. Pure: no I/O.

use std::num::NonZero;

/// Bytes of a record header.
pub const HEADER_LEN: usize = 8;
/// Offset of the request's id in a header.
pub const ID_AT: usize = 2;
/// Limit on the content of a record, in bytes.
pub const MAX_CONTENT: usize = 65_535;
/// The id of management records (§3.3).
pub const NULL_REQUEST_ID: u16 = 0;

/// The only version there is (§8).
const VERSION: u8 = 1;
/// Role: answers HTTP requests as a CGI program would (§6.2).
const RESPONDER: u16 = 1;
/// A role that the specification does not define.
const NO_ROLE: u16 = u16::MAX;
/// Flag of BEGIN_REQUEST: the application leaves the connection open (§5.1). PHP-FPM without it half-closes and
/// then blocks its worker until the gateway closes.
const KEEP_CONN: u8 = 1;
/// Content bytes of BEGIN_REQUEST (§5.1).
const BEGIN_REQUEST_LEN: u16 = 8;

/// The id of a request on its connection (§3.3): 1 to 65 535. A connection carries one request at a time, and
/// each has another id: a script may print after its END_REQUEST, and that output must not be taken for the
/// next answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(NonZero<u16>);

impl Id {
    /// The id of the first request on a connection, and of records that are encoded before their connection is
    /// known; see [`stamp`].
    pub const FIRST: Self = Self(NonZero::<u16>::MIN);

    /// Returns the id of a request after `served` others on its connection.
    pub fn nth(served: u64) -> Self {
        let id = u16::try_from(served % u64::from(u16::MAX) + 1).unwrap_or(1);
        NonZero::new(id).map_or(Self::FIRST, Self)
    }

    /// Returns the number for a header.
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

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
    /// Returns the type's number on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Returns the type with this number on the wire, or `None` for a number that the specification does not
    /// define.
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
    /// The type's number on the wire; see [`RecordType::from_code`].
    pub kind: u8,
    /// The request's [`Id`], or [`NULL_REQUEST_ID`] for a management record.
    pub request_id: u16,
    /// Bytes of content that follow the header.
    pub content_length: u16,
    /// Bytes of padding after the content.
    pub padding_length: u8,
}

impl Header {
    /// Returns the header of a record of the gateway, without padding, with [`Id::FIRST`].
    pub(super) const fn of(kind: RecordType, content_length: u16) -> Self {
        Self {
            kind: kind.code(),
            request_id: Id::FIRST.get(),
            content_length,
            padding_length: 0,
        }
    }

    /// Encodes the header.
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

    /// Decodes a header; fails with [`ProtocolError::WrongVersion`] only.
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

/// Appends the BEGIN_REQUEST record (§5.1): role Responder, connection kept, id [`Id::FIRST`].
pub fn begin_request(out: &mut Vec<u8>) {
    begin_as(RESPONDER, out);
}

/// Appends a BEGIN_REQUEST record for a role that no application has: it is refused and executes nothing.
pub fn begin_unknown_role(out: &mut Vec<u8>) {
    begin_as(NO_ROLE, out);
}

fn begin_as(role: u16, out: &mut Vec<u8>) {
    let [role_high, role_low] = role.to_be_bytes();
    out.extend_from_slice(&Header::of(RecordType::BeginRequest, BEGIN_REQUEST_LEN).encode());
    out.extend_from_slice(&[role_high, role_low, KEEP_CONN, 0, 0, 0, 0, 0]);
}

/// Returns the header of a STDIN record (§5.3) of the request `id` for `length` bytes of content; 0 ends the
/// stream.
pub const fn stdin_header(id: Id, length: u16) -> [u8; HEADER_LEN] {
    Header {
        request_id: id.get(),
        ..Header::of(RecordType::Stdin, length)
    }
    .encode()
}

/// Writes `id` into the headers of `records`, whole records of one request and management records between them.
pub fn stamp(mut records: &mut [u8], id: Id) {
    let id = id.get().to_be_bytes();
    while let Some(([_, _, id_high, id_low, length_high, length_low, padding, _], rest)) =
        records.split_first_chunk_mut::<HEADER_LEN>()
    {
        if [*id_high, *id_low] != NULL_REQUEST_ID.to_be_bytes() {
            [*id_high, *id_low] = id;
        }
        let content = usize::from(u16::from_be_bytes([*length_high, *length_low]));
        records = rest
            .get_mut(content + usize::from(*padding)..)
            .unwrap_or_default();
    }
}

/// Result of a request, from END_REQUEST (§5.5).
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

/// A violation of the protocol by the application. The connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A header with another version than 1: most likely the peer does not speak FastCGI.
    #[error("a record has FastCGI version {0}, expected 1")]
    WrongVersion(u8),
    /// A record of an unknown request, or a management record with an id.
    #[error("a record has request id {0}, which is not in use")]
    WrongRequestId(u16),
    /// GET_VALUES_RESULT without a GET_VALUES before it.
    #[error("GET_VALUES_RESULT without a GET_VALUES")]
    UnexpectedValues,
    /// A type that only a web server may send, or an unknown one within a request.
    #[error("record type {0} may not come from an application")]
    UnexpectedType(u8),
    /// END_REQUEST with this many content bytes, less than eight.
    #[error("END_REQUEST has {0} bytes of content, expected 8")]
    ShortEndRequest(usize),
    /// GET_VALUES_RESULT with this many content bytes.
    #[error("GET_VALUES_RESULT has {0} bytes of content, more than the limit of 4096")]
    LongValues(usize),
    /// Name-value pairs (§3.4) whose lengths do not fit the content.
    #[error("the name-value pairs are malformed")]
    MalformedPairs,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fastcgi::management::PROBE;
    use crate::fastcgi::params::{ParamsEncoder, end_of_params};

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
        assert_eq!(stdin_header(Id::FIRST, 0), [1, 5, 0, 1, 0, 0, 0, 0]);
        assert_eq!(
            stdin_header(Id::nth(0x102), 65_535),
            [1, 5, 1, 3, 0xff, 0xff, 0, 0]
        );
    }

    #[test]
    fn ids_follow_each_other_and_are_never_0() {
        let served = [0, 1, 65_533, 65_534, 65_535, 65_536, u64::MAX];
        let ids = served.map(|served| Id::nth(served).get());
        assert_eq!(ids, [1, 2, 65_534, 65_535, 1, 2, 1]);
    }

    #[test]
    fn a_stamp_changes_the_ids_of_a_request_and_nothing_else() {
        let mut records = PROBE.to_vec();
        begin_request(&mut records);
        let mut params = ParamsEncoder::new(&mut records);
        params.pair(b"A", &[1; 300]);
        params.finish();
        end_of_params(&mut records);
        let unstamped = records.clone();
        stamp(&mut records, Id::nth(0x0a0b));
        let bytes = records.iter().zip(&unstamped).enumerate();
        let changed: Vec<_> = bytes.filter(|(_, (now, before))| now != before).collect();
        let begin = PROBE.len();
        let headers = [begin, begin + 16, records.len() - 8];
        let at: Vec<_> = headers.iter().flat_map(|at| [at + 2, at + 3]).collect();
        assert_eq!(changed.iter().map(|(at, _)| *at).collect::<Vec<_>>(), at);
        assert!(
            changed
                .chunks(2)
                .all(|id| [*id[0].1.0, *id[1].1.0] == [0x0a, 0x0c])
        );
    }

    #[test]
    fn another_version_is_refused() {
        // An HTTP server's response to a FastCGI client.
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
