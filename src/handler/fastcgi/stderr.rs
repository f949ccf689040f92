//! What the application writes to its error stream, as log lines with the request's id: one a
//! message, bounded, control characters escaped, never shown to the client (behaviours no. 32).

use std::sync::Arc;

use crate::message::RequestId;

/// The longest line; the rest of a longer one is another line.
const LONGEST_LINE: usize = 8 * 1024;

/// What one request may log; beyond it bytes are only counted. PHP can write without end.
const MOST: usize = 64 * 1024;

/// The error stream of one request.
#[derive(Debug)]
pub(super) struct ErrorStream {
    origin: Origin,
    line: Vec<u8>,
    logged: usize,
    dropped: usize,
}

/// Whose error stream it is.
#[derive(Debug)]
pub(super) struct Origin {
    /// The request.
    pub(super) request_id: RequestId,
    /// The upstream's name.
    pub(super) upstream: Arc<str>,
    /// SCRIPT_NAME.
    pub(super) script: String,
}

impl ErrorStream {
    pub(super) fn new(origin: Origin) -> Self {
        Self {
            origin,
            line: Vec::new(),
            logged: 0,
            dropped: 0,
        }
    }

    /// Takes a piece; each line that it completes is logged.
    pub(super) fn push(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let room = LONGEST_LINE - self.line.len().min(LONGEST_LINE);
            let (fits, rest) = part.split_at(part.len().min(room));
            self.line.extend_from_slice(fits);
            if fits.ends_with(b"\n") || !rest.is_empty() {
                self.log_line();
                self.dropped += rest.len();
            }
        }
    }

    /// END_REQUEST with the script's exit status.
    pub(super) fn end(&mut self, app_status: u32) {
        if app_status != 0 {
            let Origin {
                request_id,
                upstream,
                script,
            } = &self.origin;
            tracing::warn!(%request_id, %upstream, script, app_status, "the script ended with a status of its own");
        }
    }

    /// The answer was cut while it was sent.
    pub(super) fn cut(&self, cause: &'static str, why: &str) {
        let Origin {
            request_id,
            upstream,
            script,
        } = &self.origin;
        tracing::error!(%request_id, %upstream, script, cause, "the answer was cut: {why}");
    }

    fn log_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(line.trim_ascii_end());
        // PHP-FPM puts this in front of each message.
        let text = text.strip_prefix("PHP message: ").unwrap_or(&text);
        if text.is_empty() {
            return;
        }
        if self.logged >= MOST {
            self.dropped += line.len();
            return;
        }
        self.logged += line.len();
        let Origin {
            request_id,
            upstream,
            script,
        } = &self.origin;
        tracing::error!(%request_id, %upstream, script, "PHP: {}", text.escape_debug());
    }
}

impl Drop for ErrorStream {
    fn drop(&mut self) {
        self.log_line();
        if self.dropped > 0 {
            let Origin {
                request_id,
                upstream,
                script,
            } = &self.origin;
            tracing::error!(%request_id, %upstream, script, dropped = self.dropped, "PHP wrote more to its error stream than {MOST} bytes; the rest was dropped");
        }
    }
}
