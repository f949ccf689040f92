//! The kinds of logs, and the reports on lost lines.

use std::io::{self, Write as _};
use std::time::Duration;

use tracing::{Level, error};

use super::style::SharedStyle;

/// Name of the stream of the events without `server.log.to`.
pub(super) const STDERR: &str = "stderr";

/// A log, for its reports: its kind and its file.
#[derive(Clone, Debug)]
pub(super) struct Title {
    pub(super) kind: Kind,
    /// The path of its file, or the name of the stream.
    pub(super) to: Box<str>,
}

/// Kind of a log. Losses of access logs are reported as events; losses of the error log in itself, once it can be
/// written again.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// One line for each request.
    Access,
    /// Events of the process and the error streams of PHP, in this style.
    Error(SharedStyle),
}

impl Title {
    fn is_access(&self) -> bool {
        matches!(self.kind, Kind::Access)
    }

    /// Logs the first dropped line.
    pub(super) fn report_full(&self) {
        if self.is_access() {
            error!(log = %self.to, "access log queue full: lines are dropped");
        }
    }

    /// Logs the first failed write; that of an error log in a file goes to stderr.
    pub(super) fn report_failure(&self, error: &io::Error) {
        match &self.kind {
            Kind::Access => {
                error!(log = %self.to, %error, "cannot write the access log: lines are lost");
            }
            Kind::Error(style) => {
                let text = format!("cannot write {}: {error}: lines are lost", self.to);
                self.tell_stderr(&style.line(Level::ERROR, &text));
            }
        }
    }

    /// Writes a line on a log in a file to stderr too.
    fn tell_stderr(&self, line: &str) {
        if &*self.to != STDERR {
            let _ = writeln!(io::stderr(), "{}", line.trim_end());
        }
    }

    /// Logs the recovery and the number of `lost` lines; for an error log it returns the line to write there.
    pub(super) fn report_loss(&self, lost: u64) -> Option<String> {
        match &self.kind {
            Kind::Access => {
                error!(log = %self.to, lost, "access log written again; lines were lost");
                None
            }
            Kind::Error(style) => {
                let text = format!("{} was not read: {lost} lines dropped", self.to);
                Some(style.line(Level::WARN, &text))
            }
        }
    }

    /// Logs that a file could not be reopened. Returns the line for the file that stays in use where that is an error
    /// log.
    pub(super) fn report_reopening(&self, error: &io::Error) -> Option<String> {
        match &self.kind {
            Kind::Access => {
                error!(log = %self.to, %error, "cannot reopen the access log: the old file stays in use");
                None
            }
            Kind::Error(style) => {
                let text = format!(
                    "cannot reopen {}: {error}: the old file stays in use",
                    self.to
                );
                let line = style.line(Level::ERROR, &text);
                self.tell_stderr(&line);
                Some(line)
            }
        }
    }

    /// Logs that the last lines could not be written.
    pub(super) fn report_unwritten(&self, limit: Duration) {
        if self.is_access() {
            error!(log = %self.to, "access log not written within {limit:?}: its last lines are lost");
        }
    }
}
