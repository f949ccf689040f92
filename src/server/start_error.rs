//! Errors of the start.

use crate::site::logs::OpenError;

/// Reason that the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket from the parent cannot be used.
    #[error("cannot use a listening socket: {0}")]
    Socket(std::io::Error),
    /// A log cannot be opened.
    #[error("{0} (`to` of access_log or server.log)")]
    Log(OpenError),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(std::io::Error),
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        Self::Log(error)
    }
}
