//! Errors of the start.

use std::path::PathBuf;

/// Reason that the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be bound.
    #[error("cannot listen on {address}: {error}{hint}")]
    Bind {
        /// The address.
        address: String,
        /// The error of the system call.
        error: std::io::Error,
        /// The remedy, appended to the error.
        hint: &'static str,
    },
    /// The admin listener cannot be bound.
    #[error("cannot listen on {address} (admin.address): {error}{}", folder_hint(.address, .error))]
    Admin {
        /// The address.
        address: String,
        /// The error of the system call.
        error: std::io::Error,
    },
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

fn folder_hint(address: &str, error: &std::io::Error) -> &'static str {
    let is_missing = error.kind() == std::io::ErrorKind::NotFound;
    if is_missing && address.starts_with("unix:") {
        ": create its folder, or mount one there"
    } else {
        ""
    }
}
