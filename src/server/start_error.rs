//! Errors of the start.

use std::path::PathBuf;

/// Reason that the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket from the parent cannot be used.
    #[error("cannot use a listening socket: {0}")]
    Socket(std::io::Error),
    /// The access log cannot be opened.
    #[error("cannot open the access log {}: {error} (server.access_log.to)", .path.display())]
    AccessLog {
        /// The file.
        path: PathBuf,
        /// The error of the system call.
        error: std::io::Error,
    },
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(std::io::Error),
}
