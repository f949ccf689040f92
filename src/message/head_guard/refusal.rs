//! Reasons for refusing bytes, with the status and the cause code of each.

use http::StatusCode;

/// A malformed request; always the client's fault. The bytes behind it on the connection cannot be
/// trusted to be a request (RFC 9112 §11.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// RFC 9112 §3: not `method SP request-target SP HTTP-version`.
    #[error("the request line is malformed")]
    RequestLine,
    /// RFC 9112 §3: more than `limits.request_line`.
    #[error("the request line is longer than limits.request_line")]
    RequestLineTooLong,
    /// RFC 9112 §3.2: in none of the four forms, authority-form without CONNECT, or with bytes
    /// that are not allowed in a URI.
    #[error("the request target is malformed")]
    Target,
    /// RFC 9110 §15.6.6: a major version of 2 or more.
    #[error("the HTTP version is not supported")]
    Version,
    /// RFC 9110 §9.3.6.
    #[error("CONNECT is not supported")]
    Connect,
    /// RFC 9112 §2.2: a LF without its CR.
    #[error("a line does not end with CRLF")]
    LineEnd,
    /// RFC 9112 §5.1: not a token followed by a colon.
    #[error("a field has no valid name")]
    FieldName,
    /// RFC 9110 §5.5: NUL, CR or another control byte.
    #[error("a field's value has a control byte")]
    FieldValue,
    /// RFC 9112 §5.2: obs-fold, or whitespace in front of the first field.
    #[error("a field line begins with whitespace")]
    Folded,
    /// More than `limits.field_line`.
    #[error("a field is longer than limits.field_line")]
    FieldTooLong,
    /// More than `limits.head`.
    #[error("the head is larger than limits.head")]
    HeadTooLarge,
    /// More than `limits.fields`.
    #[error("there are more fields than limits.fields")]
    TooManyFields,
    /// RFC 9110 §8.6: not 1*DIGIT, or out of range.
    #[error("Content-Length is not a number")]
    Length,
    /// RFC 9112 §6.3 (5), equal ones included.
    #[error("there is more than one Content-Length")]
    RepeatedLength,
    /// RFC 9112 §6.3 (3).
    #[error("there are both Content-Length and Transfer-Encoding")]
    TwoFramings,
    /// RFC 9112 §6.1, §6.3 (4), §7.1: malformed, repeated, or without chunked at its end.
    #[error("Transfer-Encoding is not chunked alone")]
    Coding,
    /// RFC 9112 §6.1.
    #[error("Transfer-Encoding has an unknown coding")]
    UnknownCoding,
    /// RFC 9112 §6.1.
    #[error("Transfer-Encoding in HTTP/1.0")]
    CodingInHttp10,
    /// RFC 9112 §7.1: not 1*HEXDIG, or out of range.
    #[error("a chunk's size is not a hexadecimal number")]
    ChunkSize,
    /// RFC 9112 §7.1: data longer than its size, or not followed by CRLF.
    #[error("the data of a chunk does not match its size")]
    ChunkEnd,
    /// RFC 9112 §7.1.1: malformed, or more than the bound.
    #[error("chunk extensions are malformed, or larger than 8 KiB")]
    ChunkExtension,
    /// RFC 9112 §7.1.2: more than the bound.
    #[error("the trailer section is larger than 8 KiB")]
    TrailersTooLarge,
}

impl Refusal {
    /// Returns the status for the client.
    pub fn status(self) -> StatusCode {
        match self {
            Self::RequestLineTooLong => StatusCode::URI_TOO_LONG,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Connect | Self::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
            Self::FieldTooLong
            | Self::HeadTooLarge
            | Self::TooManyFields
            | Self::TrailersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::RequestLine
            | Self::Target
            | Self::LineEnd
            | Self::FieldName
            | Self::FieldValue
            | Self::Folded
            | Self::Length
            | Self::RepeatedLength
            | Self::TwoFramings
            | Self::Coding
            | Self::CodingInHttp10
            | Self::ChunkSize
            | Self::ChunkEnd
            | Self::ChunkExtension => StatusCode::BAD_REQUEST,
        }
    }

    /// Returns the cause code for the logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::RequestLine => "BAD_REQUEST_LINE",
            Self::RequestLineTooLong => "REQUEST_LINE_TOO_LONG",
            Self::Target => "BAD_TARGET",
            Self::Version => "VERSION_NOT_SUPPORTED",
            Self::Connect => "METHOD_NOT_SUPPORTED",
            Self::LineEnd => "BAD_LINE_END",
            Self::FieldName => "BAD_FIELD_NAME",
            Self::FieldValue => "BAD_FIELD_VALUE",
            Self::Folded => "FOLDED_FIELD",
            Self::FieldTooLong => "FIELD_TOO_LONG",
            Self::HeadTooLarge => "HEAD_TOO_LARGE",
            Self::TooManyFields => "TOO_MANY_FIELDS",
            Self::Length => "BAD_LENGTH",
            Self::RepeatedLength => "REPEATED_LENGTH",
            Self::TwoFramings => "TWO_FRAMINGS",
            Self::Coding => "BAD_CODING",
            Self::UnknownCoding => "UNKNOWN_CODING",
            Self::CodingInHttp10 => "CODING_IN_HTTP10",
            Self::ChunkSize => "BAD_CHUNK_SIZE",
            Self::ChunkEnd => "BAD_CHUNK_END",
            Self::ChunkExtension => "BAD_CHUNK_EXTENSION",
            Self::TrailersTooLarge => "TRAILERS_TOO_LARGE",
        }
    }
}
