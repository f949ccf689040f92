//! Errors of the start.

use crate::site::logs::OpenError;

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
    /// A log cannot be opened.
    #[error("{0} (`to` of access_log or server.log)")]
    Log(#[from] OpenError),
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
