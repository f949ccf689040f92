//! Why the server could not be started.

use std::path::PathBuf;

/// Why the server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be bound.
    #[error("cannot listen on {address}: {error}{hint}")]
    Bind {
        /// The address.
        address: String,
        /// What the kernel says.
        error: std::io::Error,
        /// What to do about it.
        hint: &'static str,
    },
    /// The admin listener cannot be bound.
    #[error("cannot listen on {address} (admin.address): {error}{}", folder_hint(.address, .error))]
    Admin {
        /// The address.
        address: String,
        /// What the kernel says.
        error: std::io::Error,
    },
    /// The access log cannot be opened.
    #[error("cannot open the access log {}: {error} (server.access_log.to)", .path.display())]
    AccessLog {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        error: std::io::Error,
    },
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(std::io::Error),
}

fn folder_hint(address: &str, error: &std::io::Error) -> &'static str {
    let is_missing = error.kind() == std::io::ErrorKind::NotFound;
    match is_missing && address.starts_with("unix:") {
        true => ": make its folder, or mount one there",
        false => "",
    }
}
