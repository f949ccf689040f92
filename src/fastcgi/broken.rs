//! Why an exchange failed, and how far it had come: what decides whether the request may be sent again.

use std::io;
use std::time::Duration;

use super::pace::Limit;
use super::record::ProtocolError;
use crate::message::UploadError;

/// An exchange that failed: why, and how far it had come.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Broken {
    /// Why.
    pub error: ExchangeError,
    /// How much the application may have done.
    pub progress: Progress,
}

/// How far an exchange had come when it failed: what decides whether it may be repeated
/// (docs/internals/admission.md, "What is sent again").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing was executed: no byte was taken, or a probe stood in front and was not answered.
    NotExecuted,
    /// A worker may have executed it, for so long; no byte of the answer came.
    Unknown(Duration),
    /// Part of the answer came, or the time was up: it is not sent again.
    Settled,
}

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The connection was reset or broke otherwise.
    #[error("the connection broke: {0}")]
    Reset(io::Error),
    /// The connection was closed before END_REQUEST.
    #[error("the connection was closed before END_REQUEST")]
    Closed,
    /// Bytes that are not FastCGI.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// A limit of [`Pace`](super::pace::Pace).
    #[error("no answer within {} ms", .1.as_millis())]
    Timeout(Limit, Duration),
    /// The client's content broke off or could not be read.
    #[error(transparent)]
    Upload(UploadError),
}
