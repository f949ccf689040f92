//! Errors of the start.

use crate::site::logs::OpenError;

/// Reason that the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket from the parent cannot be used.
    #[error("cannot use a listening socket: {0}")]
    Socket(std::io::Error),
    /// A log cannot be opened.
    #[error("`to` of access_log or server.log")]
    Log(#[from] OpenError),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(std::io::Error),
}
