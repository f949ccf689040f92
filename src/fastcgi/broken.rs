//! The failure of an exchange: its cause, and its progress, which decides whether the request may be sent
//! again.

use std::io;
use std::time::Duration;

use super::pace::Limit;
use super::record::ProtocolError;
use crate::message::UploadError;

/// A failed exchange.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Broken {
    /// The cause.
    pub error: ExchangeError,
    /// The work that the application may have done.
    pub progress: Progress,
}

/// Progress of an exchange when it failed; it decides whether the request is repeated
/// (docs/internals/admission.md, "What is sent again").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing was executed: no byte was taken, or the probe before it was not answered.
    NotExecuted,
    /// A worker may have executed it, for so long; no byte of the answer came.
    Unknown(Duration),
    /// Part of the answer came, or a time limit was reached: it is not sent again.
    Settled,
}

/// Cause of a failed exchange.
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
    /// A limit of [`Pace`](super::pace::Pace) was reached.
    #[error("no answer within {} ms", .1.as_millis())]
    Timeout(Limit, Duration),
    /// The client's content broke off or could not be read.
    #[error(transparent)]
    Upload(UploadError),
}
