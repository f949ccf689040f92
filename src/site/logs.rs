//! The logs of a configuration.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::access_log::AccessLogs;
use crate::files::Files;
use crate::line_log::section::ErrorLogSettings;
use crate::line_log::stderr::ErrorLog;
use crate::line_log::{Destination, LineLog, Logs};

/// The logs of a configuration.
#[derive(Debug)]
pub struct SnapshotLogs {
    /// The logs of the process, carried over by reloads.
    pub all: Arc<Logs>,
    /// Those of this configuration, in the order of their files.
    pub(crate) named: Vec<NamedLog>,
    /// The access logs of requests without one of their site or listener.
    pub server: Arc<AccessLogs>,
    /// A listener has access logs of its own.
    pub has_listener_logs: bool,
    /// Settings of the error log.
    pub settings: ErrorLogSettings,
    /// The error log in a file.
    pub(crate) error_log: Option<LineLog>,
}

/// A log and its destination.
#[derive(Debug)]
pub(crate) struct NamedLog {
    pub(crate) to: Destination,
    pub(crate) log: LineLog,
}

/// A log that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the log {to}: {error}")]
pub struct OpenError {
    /// The file or the stream.
    pub to: Destination,
    /// The reason.
    pub error: io::Error,
}

impl SnapshotLogs {
    /// Opens the logs that are not open yet, through `files`. Blocks.
    pub fn open(&self, files: &Files) -> Result<(), OpenError> {
        for NamedLog { to, log } in &self.named {
            let opened = self.all.open(to, log, files);
            opened.map_err(|error| OpenError {
                to: to.clone(),
                error,
            })?;
        }
        Ok(())
    }

    /// Applies the settings of the error log, whose file is open.
    pub fn apply(&self, error_log: &ErrorLog) {
        error_log.apply(&self.settings, self.error_log.as_ref());
    }

    /// Returns the files of all logs, in their order.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.named.iter().filter_map(|named| match &named.to {
            Destination::File(path) => Some(path.as_path()),
            Destination::Stdout => None,
        })
    }
}
