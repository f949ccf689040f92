//! The logs that there are, and how each reports what happens to its lines.

use std::io;
use std::time::Duration;

use tracing::error;

use super::stderr;

/// A log that lines are written to. What happens to the access log is reported on stderr; what happens to stderr can
/// only be reported there, when somebody reads it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogName {
    /// One line for each request.
    Access,
    /// What the process says of itself, and the error streams of PHP.
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

    /// Reports the first line that found no room.
    pub(super) fn report_full(self) {
        if self == Self::Access {
            error!("the access log cannot keep up: lines are dropped");
        }
    }

    /// Reports the first write that failed.
    pub(super) fn report_failure(self, error: &io::Error) {
        if self == Self::Access {
            error!(%error, "the access log cannot be written: lines are lost");
        }
    }

    /// Reports that all lines find room again and `lost` did not; returns the line that says so where it belongs
    /// into the log itself.
    pub(super) fn report_loss(self, lost: u64) -> Option<String> {
        match self {
            Self::Access => {
                error!(lost, "the access log keeps up again; lines were lost");
                None
            }
            Self::Stderr => {
                let text = format!("{lost} lines were dropped as stderr was not read");
                Some(stderr::format_line("WARN", &text))
            }
        }
    }

    /// Reports that a renamed file could not be opened again.
    pub(super) fn report_reopening(self, error: &io::Error) {
        if self == Self::Access {
            error!(%error, "the access log cannot be opened again: the old file stays in use");
        }
    }

    /// Reports that the last lines could not be written.
    pub(super) fn report_unwritten(self, limit: Duration) {
        if self == Self::Access {
            error!("the access log could not be written in {limit:?}: its last lines are lost");
        }
    }
}
