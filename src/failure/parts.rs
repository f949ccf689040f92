//! Status and cause codes of the errors that a failure wraps.

use http::StatusCode;

use crate::auth::verifier::Rejected;
use crate::cgi::long_variable::Origin;
use crate::fastcgi::{Broken, ExchangeError, Limit, Progress};
use crate::message::UploadError;
use crate::upstream::LeaseError;

/// Returns nginx's 499, which is for the log alone.
pub(super) fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

/// Returns 414 (RFC 9110 §15.5.15) or 431 (RFC 6585 §5) for a target or a field of the client, and 500 for a value of
/// a rule.
pub(super) fn variable_status(origin: &Origin) -> StatusCode {
    match origin {
        Origin::Target => StatusCode::URI_TOO_LONG,
        Origin::Head => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Origin::Rules(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Returns the status of a password that was not checked: 429 after too many wrong ones (RFC 6585 §4).
pub(super) fn unverified_status(rejected: &Rejected) -> StatusCode {
    match rejected {
        Rejected::Attempts { .. } => StatusCode::TOO_MANY_REQUESTS,
        Rejected::Busy { .. } | Rejected::NoThread(_) => StatusCode::SERVICE_UNAVAILABLE,
        Rejected::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Returns the cause code of a password that was not checked.
pub(super) fn unverified_code(rejected: &Rejected) -> &'static str {
    match rejected {
        Rejected::Attempts { .. } => "AUTH_ATTEMPTS",
        Rejected::Busy { .. } => "AUTH_QUEUE_FULL",
        Rejected::NoThread(_) => "AUTH_THREADS",
        Rejected::Panicked => "INTERNAL",
    }
}

pub(super) fn upload_status(error: &UploadError) -> StatusCode {
    match error {
        UploadError::Client(_) => StatusCode::BAD_REQUEST,
        UploadError::Malformed(refusal) => refusal.status(),
        UploadError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        UploadError::Stalled { .. } | UploadError::TooSlow { .. } | UploadError::Late { .. } => {
            StatusCode::REQUEST_TIMEOUT
        }
        UploadError::SpoolFull { .. } | UploadError::Spool(_) => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// Returns the cause code of a failed upload.
pub fn upload_code(error: &UploadError) -> &'static str {
    match error {
        UploadError::Client(_) => "BODY_SHORT",
        UploadError::Malformed(refusal) => refusal.code(),
        UploadError::TooLarge { .. } => "BODY_TOO_LARGE",
        UploadError::Stalled { .. } => "BODY_STALLED",
        UploadError::TooSlow { .. } | UploadError::Late { .. } => "BODY_SLOW",
        UploadError::SpoolFull { .. } => "SPOOL_FULL",
        UploadError::Spool(_) => "SPOOL",
    }
}

/// Returns the sentence that precedes a time limit in messages.
pub fn describe_limit(which: Limit) -> &'static str {
    match which {
        Limit::Acknowledge => "no worker took the request within",
        Limit::FirstByte => "the answer did not begin within",
        Limit::Idle => "no further output came within",
        Limit::Client => "the client sent nothing of its request body for",
        Limit::Total => "the answer was not complete within",
        Limit::TotalUpload => "the client had not sent its whole request body within",
    }
}

pub(super) fn limit_status(which: Limit) -> StatusCode {
    match which {
        Limit::Acknowledge => StatusCode::SERVICE_UNAVAILABLE,
        // RFC 9110 §15.5.9: the request is not complete.
        Limit::Client | Limit::TotalUpload => StatusCode::REQUEST_TIMEOUT,
        Limit::FirstByte | Limit::Idle | Limit::Total => StatusCode::GATEWAY_TIMEOUT,
    }
}

pub(super) fn limit_code(which: Limit) -> &'static str {
    match which {
        Limit::Acknowledge => "QUEUE_TIMEOUT",
        Limit::FirstByte => "TIMEOUT_FIRST_BYTE",
        Limit::Idle => "TIMEOUT_IDLE",
        Limit::Client => "BODY_STALLED",
        Limit::Total | Limit::TotalUpload => "TIMEOUT_TOTAL",
    }
}

pub(super) fn lease_code(error: &LeaseError) -> &'static str {
    match error {
        LeaseError::QueueFull { .. } => "QUEUE_FULL",
        LeaseError::QueueTimeout { .. } => "QUEUE_TIMEOUT",
        LeaseError::Down { .. } => "UPSTREAM_DOWN",
        LeaseError::Refused { .. } => "UPSTREAM_PROTOCOL",
        LeaseError::Denied { .. } => "UPSTREAM_DENIED",
    }
}

pub(super) fn exchange_status(error: &ExchangeError) -> StatusCode {
    match error {
        ExchangeError::Timeout(which, _) => limit_status(*which),
        ExchangeError::Upload(error) => upload_status(error),
        ExchangeError::Reset(_) | ExchangeError::Closed | ExchangeError::Protocol(_) => {
            StatusCode::BAD_GATEWAY
        }
    }
}

/// Returns the cause code of a failed exchange, before or within its response.
pub fn broken_code(broken: &Broken) -> &'static str {
    match &broken.error {
        ExchangeError::Timeout(which, _) => limit_code(*which),
        ExchangeError::Protocol(_) => "UPSTREAM_PROTOCOL",
        ExchangeError::Upload(error) => upload_code(error),
        ExchangeError::Reset(_) | ExchangeError::Closed => match broken.progress {
            Progress::Settled => "UPSTREAM_TRUNCATED",
            Progress::NotExecuted | Progress::Unknown(_) => "UPSTREAM_RESET",
        },
    }
}

/// Reports whether a resource is exhausted for the moment: EMFILE, ENFILE, ENOMEM.
pub(super) fn is_exhaustion(errno: i32) -> bool {
    use nix::errno::Errno;
    [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM]
        .iter()
        .any(|known| *known as i32 == errno)
}
