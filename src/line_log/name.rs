//! The logs, and the report of each on lost lines.

use std::io;
use std::time::Duration;

use tracing::error;

use super::stderr;

/// Name of a log. Losses of the access log are reported on stderr; losses of stderr only there, once it is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogName {
    /// One line for each request.
    Access,
    /// Events of the process, and the error streams of PHP.
    Stderr,
}

impl LogName {
    /// Returns its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Stderr => "stderr",
        }
    }

    /// Logs the first dropped line.
    pub(super) fn report_full(self) {
        if self == Self::Access {
            error!("access log queue full: lines are dropped");
        }
    }

    /// Logs the first failed write.
    pub(super) fn report_failure(self, error: &io::Error) {
        if self == Self::Access {
            error!(%error, "cannot write the access log: lines are lost");
        }
    }

    /// Logs the recovery and the number of `lost` lines; for stderr it returns the line to write there.
    pub(super) fn report_loss(self, lost: u64) -> Option<String> {
        match self {
            Self::Access => {
                error!(lost, "access log written again; lines were lost");
                None
            }
            Self::Stderr => {
                let text = format!("stderr was not read: {lost} lines dropped");
                Some(stderr::format_line("WARN", &text))
            }
        }
    }

    /// Logs that a renamed file could not be reopened.
    pub(super) fn report_reopening(self, error: &io::Error) {
        if self == Self::Access {
            error!(%error, "cannot reopen the access log: the old file stays in use");
        }
    }

    /// Logs that the last lines could not be written.
    pub(super) fn report_unwritten(self, limit: Duration) {
        if self == Self::Access {
            error!("access log not written within {limit:?}: its last lines are lost");
        }
    }
}
