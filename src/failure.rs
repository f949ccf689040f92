//! Every way in which a request can fail: whose fault it is, its status, its cause code, how
//! loudly it is logged, and what the client is told.

mod parts;

use std::io;

use http::{HeaderValue, Method, StatusCode};
use tracing::Level;

use crate::auth::Conflict;
use crate::cgi::LongVariable;
use crate::cgi::response::HeadError;
use crate::fastcgi::record::ProtocolStatus;
use crate::fastcgi::{Broken, Limit};
use crate::limits::per_client::TooManyLive;
use crate::limits::rate::Exceeded;
use crate::message::list::UnknownExpectation;
use crate::message::{BadHost, Refusal, TargetError, UploadError};
use crate::route::BacktrackLimitExceeded;
use crate::upstream::LeaseError;
use crate::value::TimeLimit;
pub use parts::{broken_code, upload_code};
use parts::{
    client_closed_request, exchange_status, is_exhaustion, lease_code, limit_code, limit_status,
    upload_status, variable_status, what,
};

/// Why a request was not answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The head of an HTTP/2 request is over a bound.
    #[error("{0}")]
    RequestHead(#[from] Refusal),
    /// The target cannot be read, or encodes a slash where that is not allowed.
    #[error("{0}")]
    Target(#[from] TargetError),
    /// The path is over its bound.
    #[error("the path has {length} bytes, more than limits.path = {limit}")]
    PathTooLong {
        /// Decoded, in bytes.
        length: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The host cannot be read.
    #[error("{0}")]
    Host(#[from] BadHost),
    /// The listener has no sites: its name was another when the connection began.
    #[error("no site answers on the listener of this connection any more")]
    NoSite,
    /// Two proxies contradict each other.
    #[error("{0}")]
    Forwarded(#[from] Conflict),
    /// No rule answers, or what it names does not exist.
    #[error("nothing answers here")]
    NotFound,
    /// A file that is never sent, for this reason.
    #[error("refused: {0}")]
    Withheld(&'static str),
    /// The file system has no names as long as this one.
    #[error("the file system has no names as long as this one")]
    NameTooLong,
    /// A rule or the file system forbids it.
    #[error("refused: {0}")]
    Forbidden(&'static str),
    /// A rule refuses it, with this status.
    #[error("a rule denies it")]
    Denied {
        /// The status.
        status: StatusCode,
        /// The methods that are allowed, where that is what is wrong.
        allow: Option<HeaderValue>,
    },
    /// The method has no meaning here (RFC 9110 §15.5.6); the methods that have one.
    #[error("the method is not allowed; these are: {0}")]
    Method(&'static str),
    /// RFC 9110 §9.1: a method that no rule ever sees.
    #[error("the method {0} is not supported")]
    NotSupported(Method),
    /// RFC 9110 §15.5.18: an Expect that is not 100-continue.
    #[error("an expectation other than 100-continue")]
    Expectation,
    /// The client makes too many requests (RFC 6585 §4).
    #[error("{0}")]
    TooMany(#[from] Exceeded),
    /// The announced content is larger than allowed.
    #[error("the request body has {length} bytes, more than limits.body = {limit}")]
    BodyTooLarge {
        /// What the client announced, in bytes.
        length: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// PHP cannot be told a variable: no record has room for it.
    #[error("{0}")]
    Variable(LongVariable),
    /// The content could not be received.
    #[error("{0}")]
    Upload(#[from] UploadError),
    /// The client does not take its answers, and has its share of what may be kept of them.
    #[error(
        "no room for the answer: the client has its share of server.answer_memory and of server.spool_quota"
    )]
    AnswerShare,
    /// The client has as many event streams and long polls as it may.
    #[error("{0}")]
    LiveStreams(#[from] TooManyLive),
    /// The client left while its request waited: PHP never saw it.
    #[error("the client left while its request waited")]
    ClientGone,
    /// More than the allowed number of rounds: rules that send a request in circles.
    #[error("more than {0} internal rounds")]
    TooManyRounds(usize),
    /// A pattern of a rule could not be searched within its bound.
    #[error("{0}")]
    Pattern(#[from] BacktrackLimitExceeded),
    /// The file could not be opened or read, through no fault of the client's.
    #[error("file trouble: {0}")]
    Disk(io::Error),
    /// No connection to PHP.
    #[error("upstream {upstream}: {error}")]
    Lease {
        /// The upstream's name.
        upstream: String,
        /// Why.
        error: LeaseError,
    },
    /// A limit of time was reached.
    #[error("upstream {upstream}: {}: {limit}", what(*.which))]
    Timeout {
        /// The upstream's name.
        upstream: String,
        /// Which.
        which: Limit,
        /// Its name, its value, and the line that set it.
        limit: TimeLimit,
        /// Seconds after which it is worth to ask again, where that is known.
        retry_after: Option<u64>,
    },
    /// PHP's answer broke off before it was begun.
    #[error("upstream {upstream}: {broken}")]
    Exchange {
        /// The upstream's name.
        upstream: String,
        /// Why.
        broken: Broken,
    },
    /// PHP's answer has no usable head.
    #[error("upstream {upstream}: {error}")]
    Head {
        /// The upstream's name.
        upstream: String,
        /// Why.
        error: HeadError,
    },
    /// The answer ended before its head did.
    #[error("upstream {0}: the answer ended without a complete head")]
    NoHead(String),
    /// PHP refused the request by protocol.
    #[error("upstream {upstream}: the application refused the request: {status:?}")]
    Refused {
        /// The upstream's name.
        upstream: String,
        /// FastCGI §5.5.
        status: ProtocolStatus,
    },
    /// Our own mistake.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl From<UnknownExpectation> for Failure {
    fn from(_: UnknownExpectation) -> Self {
        Self::Expectation
    }
}

impl Failure {
    /// The status that the client gets.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::RequestHead(refusal) => refusal.status(),
            // RFC 9110 §15.5.20: on another connection it may be answered.
            Self::NoSite => StatusCode::MISDIRECTED_REQUEST,
            Self::PathTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::Target(error) if error.is_not_found() => StatusCode::NOT_FOUND,
            Self::Target(_) | Self::Host(_) | Self::Forwarded(_) => StatusCode::BAD_REQUEST,
            Self::NotFound | Self::Withheld(_) => StatusCode::NOT_FOUND,
            Self::NameTooLong => StatusCode::URI_TOO_LONG,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Denied { status, .. } => *status,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotSupported(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::TooMany(_) | Self::LiveStreams(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::AnswerShare => StatusCode::SERVICE_UNAVAILABLE,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Variable(long) => variable_status(&long.origin),
            Self::Upload(error) => upload_status(error),
            Self::ClientGone => client_closed_request(),
            Self::TooManyRounds(_) | Self::Pattern(_) | Self::Internal(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Disk(error) if error.raw_os_error().is_some_and(is_exhaustion) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Disk(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Lease {
                error: LeaseError::Refused { .. },
                ..
            } => StatusCode::BAD_GATEWAY,
            Self::Lease { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout { which, .. } => limit_status(*which),
            Self::Exchange { broken, .. } => exchange_status(&broken.error),
            Self::Refused {
                status: ProtocolStatus::Overloaded,
                ..
            } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Head { .. } | Self::NoHead(_) | Self::Refused { .. } => StatusCode::BAD_GATEWAY,
        }
    }

    /// The cause code: what the log, the metrics and, for 5xx, the error page call it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::RequestHead(refusal) => refusal.code(),
            Self::NoSite => "NO_SITE",
            Self::PathTooLong { .. } => "PATH_TOO_LONG",
            Self::Target(error) if error.is_not_found() => "NOT_FOUND",
            Self::Target(_) => "BAD_TARGET",
            Self::Host(_) => "BAD_HOST",
            Self::Forwarded(_) => "BAD_FORWARDED",
            Self::NotFound => "NOT_FOUND",
            Self::Withheld(_) => "NAME_WITHHELD",
            Self::NameTooLong => "NAME_TOO_LONG",
            Self::Forbidden(_) => "FORBIDDEN",
            Self::Denied { .. } => "DENIED",
            Self::Method(_) => "METHOD_NOT_ALLOWED",
            Self::NotSupported(_) => "METHOD_NOT_SUPPORTED",
            Self::Expectation => "EXPECTATION_FAILED",
            Self::TooMany(Exceeded::Rate { .. }) => "RATE_LIMIT",
            Self::TooMany(Exceeded::AtOnce(_)) => "CONCURRENCY_LIMIT",
            Self::TooMany(Exceeded::Memory) => "REQUEST_MEMORY",
            Self::BodyTooLarge { .. } => "BODY_TOO_LARGE",
            Self::Variable(_) => "VARIABLE_TOO_LONG",
            Self::Upload(error) => upload_code(error),
            Self::ClientGone => "CLIENT_CLOSED",
            Self::AnswerShare => "CLIENT_SHARE",
            Self::LiveStreams(_) => "LIVE_STREAMS",
            Self::TooManyRounds(_) => "TOO_MANY_ROUNDS",
            Self::Pattern(_) => "PATTERN_LIMIT",
            Self::Disk(_) => "DISK",
            Self::Lease { error, .. } => lease_code(error),
            Self::Timeout { which, .. } => limit_code(*which),
            Self::Exchange { broken, .. } => broken_code(broken),
            Self::Head { .. } | Self::NoHead(_) => "UPSTREAM_HEAD",
            Self::Refused {
                status: ProtocolStatus::Overloaded,
                ..
            } => "UPSTREAM_OVERLOADED",
            Self::Refused { .. } => "UPSTREAM_PROTOCOL",
            Self::Internal(_) => "INTERNAL",
        }
    }

    /// How loudly it is logged: what the client did is its own affair; what is wrong with PHP or
    /// with us wakes somebody.
    pub fn level(&self) -> Level {
        match self.status() {
            // TRACE and CONNECT are the client's ideas, though the status is 501.
            _ if matches!(self, Self::NotSupported(_) | Self::AnswerShare) => Level::DEBUG,
            status if status.is_server_error() => Level::ERROR,
            _ => Level::DEBUG,
        }
    }

    /// Whether it comes in crowds, so that one line in a while tells enough of it.
    pub fn is_crowd(&self) -> bool {
        matches!(
            self,
            Self::Lease {
                error: LeaseError::QueueFull { .. } | LeaseError::Refused { .. },
                ..
            } | Self::Variable(_)
        )
    }

    /// Whether what follows on the connection cannot be trusted to be a request (RFC 9112 §11.2).
    pub fn ends_connection(&self) -> bool {
        matches!(
            self,
            Self::Host(_) | Self::Upload(_) | Self::ClientGone | Self::NoSite
        )
    }

    /// RFC 9110 §15.5.6: what Allow says.
    pub fn allow(&self) -> Option<HeaderValue> {
        if let Self::Method(allowed) = self {
            return Some(HeaderValue::from_static(allowed));
        }
        if let Self::Denied { allow, .. } = self {
            return allow.clone();
        }
        None
    }

    /// Seconds after which the client may try again, where that makes sense.
    pub fn retry_after(&self) -> Option<u64> {
        if let Self::TooMany(Exceeded::Rate { wait, .. }) = self {
            return Some(wait.as_secs() + 1);
        }
        if let Self::Timeout {
            retry_after: Some(seconds),
            ..
        }
        | Self::Lease {
            error:
                LeaseError::QueueFull {
                    retry_after: seconds,
                    ..
                },
            ..
        } = self
        {
            return Some(*seconds);
        }
        let passes = self.status() == StatusCode::SERVICE_UNAVAILABLE;
        (passes || matches!(self, Self::TooMany(_))).then_some(1)
    }
}
