//! Failures of a request: the party at fault, status code, cause code, log level, and response fields.

mod notice;
mod parts;
mod unauthorized;
mod undecided;

use std::io;
use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode};
use tracing::Level;

use crate::auth::Conflict;
use crate::auth::users::Unavailable;
use crate::auth::verifier::Rejected;
use crate::cgi::LongVariable;
use crate::cgi::response::HeadError;
use crate::fastcgi::record::ProtocolStatus;
use crate::fastcgi::{Broken, Limit};
use crate::limits::bucket::Excess;
use crate::limits::per_client::TooManyLive;
use crate::limits::rate::Exceeded;
use crate::message::list::UnknownExpectation;
use crate::message::{BadHost, Refusal, TargetError, UploadError};
use crate::route::BacktrackLimitExceeded;
use crate::upstream::LeaseError;
use crate::value::TimeLimit;
pub use notice::Notice;
pub use parts::{broken_code, describe_limit, upload_code};
use parts::{
    client_closed_request, exchange_status, is_exhaustion, lease_code, limit_code, limit_status,
    unverified_code, unverified_status, upload_status, variable_status,
};

pub use unauthorized::{Unauthorized, UnauthorizedReason};
pub use undecided::Undecided;

/// The failure of a request.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The head of an HTTP/2 request exceeds a limit.
    #[error("{0}")]
    RequestHead(#[from] Refusal),
    /// The target is malformed, or encodes a slash where that is not allowed.
    #[error("{0}")]
    Target(#[from] TargetError),
    /// The path exceeds `limits.path`.
    #[error("the path has {length} bytes, more than limits.path = {limit}")]
    PathTooLong {
        /// The length of the decoded path, in bytes.
        length: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The host is malformed.
    #[error("{0}")]
    Host(#[from] BadHost),
    /// The listener has no sites, since a reload renamed it after the connection was accepted.
    #[error("the listener of this connection has no site any more")]
    NoSite,
    /// The forwarding fields contradict each other.
    #[error("{0}")]
    Forwarded(#[from] Conflict),
    /// No rule answers, or its file does not exist.
    #[error("no rule answers, or the file does not exist")]
    NotFound,
    /// A file that is never sent, with the reason.
    #[error("refused: {0}")]
    Withheld(&'static str),
    /// The name exceeds the limit of the file system.
    #[error("the name exceeds the limit of the file system")]
    NameTooLong,
    /// A rule or the file system forbids the request.
    #[error("refused: {0}")]
    Forbidden(&'static str),
    /// A rule denies the request with a status of its own.
    #[error("denied by a rule")]
    Denied {
        /// The status.
        status: StatusCode,
        /// The allowed methods, for a 405.
        allow: Option<HeaderValue>,
    },
    /// The conditions of `require` do not hold.
    #[error("`require` of the rule at {0} does not hold")]
    Requirement(Arc<str>),
    /// The request has no admitted user.
    #[error("{0}")]
    Unauthorized(Box<Unauthorized>),
    /// The file of users cannot be read.
    #[error("`auth` of the rule at {place}: {error}")]
    UserFile {
        /// The file and the reason.
        error: Unavailable,
        /// Position of the rule, as `file:line`.
        place: Arc<str>,
    },
    /// The answer to the subrequest of `forward_auth` neither grants nor refuses access.
    #[error("{0}")]
    ForwardAuth(#[from] Undecided),
    /// The handler does not support the method (RFC 9110 §15.5.6); the allowed methods.
    #[error("the method is not allowed; allowed methods: {0}")]
    Method(&'static str),
    /// The gateway does not implement the method (RFC 9110 §9.1).
    #[error("the method {0} is not supported")]
    NotSupported(Method),
    /// An Expect other than 100-continue (RFC 9110 §15.5.18).
    #[error("the expectation is not 100-continue")]
    Expectation,
    /// The request exceeds a rate or a concurrency (RFC 6585 §4).
    #[error("{0}")]
    TooMany(#[from] Exceeded),
    /// The password was not checked.
    #[error("{0}")]
    Unverified(#[from] Rejected),
    /// The Content-Length exceeds `limits.body`.
    #[error("the request body has {length} bytes, more than limits.body = {limit}")]
    BodyTooLarge {
        /// The Content-Length, in bytes.
        length: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// A variable exceeds the length of a FastCGI record.
    #[error("{0}")]
    Variable(LongVariable),
    /// Receiving the content failed.
    #[error("{0}")]
    Upload(#[from] UploadError),
    /// The client does not read its responses, and has used its share of the memory and the disk for them.
    #[error(
        "no room for the response: the client has used its share of server.answer_memory and of server.spool_quota"
    )]
    AnswerShare,
    /// The client has reached its limit of event streams and long polls.
    #[error("{0}")]
    LiveStreams(#[from] TooManyLive),
    /// The client closed the connection while its request was queued; PHP has not got it.
    #[error("the client disconnected while its request waited")]
    ClientGone,
    /// The rules exceed the limit of internal rounds, for they form a loop.
    #[error("more than {0} internal rounds")]
    TooManyRounds(usize),
    /// A pattern of a rule exceeds the limit of the regex engine.
    #[error("{0}")]
    Pattern(#[from] BacktrackLimitExceeded),
    /// Opening or reading the file failed, without a fault of the client.
    #[error("file error: {0}")]
    Disk(io::Error),
    /// There is no connection to PHP.
    #[error("upstream {upstream}: {error}")]
    Lease {
        /// The upstream's name.
        upstream: String,
        /// The cause.
        error: LeaseError,
    },
    /// A timeout of the exchange with PHP.
    #[error("upstream {upstream}: {}: {limit}", describe_limit(*.which))]
    Timeout {
        /// The upstream's name.
        upstream: String,
        /// The kind of the timeout.
        which: Limit,
        /// The key, its value, and its line in the configuration.
        limit: TimeLimit,
        /// The value of Retry-After in seconds, if known.
        retry_after: Option<u64>,
    },
    /// The exchange with PHP failed before the response head was sent.
    #[error("upstream {upstream}: {broken}")]
    Exchange {
        /// The upstream's name.
        upstream: String,
        /// The cause.
        broken: Broken,
    },
    /// The head of PHP's response is malformed.
    #[error("upstream {upstream}: {error}")]
    Head {
        /// The upstream's name.
        upstream: String,
        /// The cause.
        error: HeadError,
    },
    /// PHP's response ended within its head.
    #[error("upstream {0}: the answer ended without a complete head")]
    NoHead(String),
    /// PHP refused the request with a protocolStatus.
    #[error("upstream {upstream}: the application refused the request: {status:?}")]
    Refused {
        /// The upstream's name.
        upstream: String,
        /// The protocolStatus (FastCGI §5.5).
        status: ProtocolStatus,
    },
    /// A bug in fcgate.
    #[error("internal error: {0}")]
    Internal(&'static str),
}

impl From<UnknownExpectation> for Failure {
    fn from(_: UnknownExpectation) -> Self {
        Self::Expectation
    }
}

impl Failure {
    /// Returns the status code of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::RequestHead(refusal) => refusal.status(),
            // RFC 9110 §15.5.20: the client may retry on another connection.
            Self::NoSite => StatusCode::MISDIRECTED_REQUEST,
            Self::PathTooLong { .. } => StatusCode::URI_TOO_LONG,
            Self::Target(error) if error.is_not_found() => StatusCode::NOT_FOUND,
            Self::Target(_) | Self::Host(_) | Self::Forwarded(_) => StatusCode::BAD_REQUEST,
            Self::NotFound | Self::Withheld(_) => StatusCode::NOT_FOUND,
            Self::NameTooLong => StatusCode::URI_TOO_LONG,
            Self::Forbidden(_) | Self::Requirement(_) => StatusCode::FORBIDDEN,
            Self::Unauthorized(unauthorized) => unauthorized.status,
            Self::Denied { status, .. } => *status,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotSupported(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::TooMany(_) | Self::LiveStreams(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::AnswerShare => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unverified(rejected) => unverified_status(rejected),
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Variable(long) => variable_status(&long.origin),
            Self::Upload(error) => upload_status(error),
            Self::ClientGone => client_closed_request(),
            Self::TooManyRounds(_)
            | Self::Pattern(_)
            | Self::UserFile { .. }
            | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
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
            Self::Head { .. } | Self::NoHead(_) | Self::Refused { .. } | Self::ForwardAuth(_) => {
                StatusCode::BAD_GATEWAY
            }
        }
    }

    /// Returns the cause code for the log, the metrics and, with a 5xx, the error page.
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
            Self::Requirement(_) => "REQUIREMENT",
            Self::Unauthorized(unauthorized) => unauthorized.code(),
            Self::UserFile { .. } => "USER_FILE",
            Self::ForwardAuth(_) => "FORWARD_AUTH",
            Self::Method(_) => "METHOD_NOT_ALLOWED",
            Self::NotSupported(_) => "METHOD_NOT_SUPPORTED",
            Self::Expectation => "EXPECTATION_FAILED",
            Self::TooMany(Exceeded::Requests(refusal)) => match refusal.excess {
                Excess::Rate(_) => "RATE_LIMIT",
                Excess::AtOnce => "CONCURRENCY_LIMIT",
            },
            Self::TooMany(Exceeded::Memory) => "REQUEST_MEMORY",
            Self::BodyTooLarge { .. } => "BODY_TOO_LARGE",
            Self::Variable(_) => "VARIABLE_TOO_LONG",
            Self::Upload(error) => upload_code(error),
            Self::ClientGone => "CLIENT_CLOSED",
            Self::AnswerShare => "CLIENT_SHARE",
            Self::Unverified(rejected) => unverified_code(rejected),
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

    /// Returns the log level: DEBUG for faults of the client, ERROR for faults of PHP and of the gateway.
    pub fn level(&self) -> Level {
        match self.status() {
            // Faults of the client, in spite of their 501 and 503.
            _ if matches!(self, Self::NotSupported(_) | Self::AnswerShare) => Level::DEBUG,
            status if status.is_server_error() => Level::ERROR,
            _ => Level::DEBUG,
        }
    }

    /// Reports whether repeated log lines of this failure are suppressed.
    pub fn is_throttled(&self) -> bool {
        matches!(
            self,
            Self::Lease {
                error: LeaseError::QueueFull { .. } | LeaseError::Refused { .. },
                ..
            } | Self::Variable(_)
                | Self::UserFile { .. }
                | Self::ForwardAuth(Undecided {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    ..
                })
                | Self::Unverified(Rejected::Busy { .. } | Rejected::NoThread(_))
        )
    }

    /// Reports whether the connection must be closed, since the next bytes may be no request (RFC 9112 §11.2).
    pub fn ends_connection(&self) -> bool {
        matches!(
            self,
            Self::Host(_)
                | Self::Upload(_)
                | Self::ClientGone
                | Self::NoSite
                | Self::Timeout {
                    which: Limit::TotalUpload,
                    ..
                }
        )
    }

    /// Returns the value of Allow (RFC 9110 §15.5.6).
    pub fn allow(&self) -> Option<HeaderValue> {
        if let Self::Method(allowed) = self {
            return Some(HeaderValue::from_static(allowed));
        }
        if let Self::Denied { allow, .. } = self {
            return allow.clone();
        }
        None
    }

    /// Returns the value of WWW-Authenticate (RFC 9110 §11.6.1).
    pub fn challenge(&self) -> Option<HeaderValue> {
        if let Self::Unauthorized(unauthorized) = self {
            return unauthorized.challenge();
        }
        None
    }

    /// Returns the value of Retry-After in seconds, if a retry may succeed.
    pub fn retry_after(&self) -> Option<u64> {
        if let Self::Unverified(rejected) = self {
            return rejected.retry_after();
        }
        if let Self::TooMany(Exceeded::Requests(refusal)) = self
            && let Excess::Rate(wait) = refusal.excess
        {
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
