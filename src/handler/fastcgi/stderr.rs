//! The application's error stream as log records with the request's id: one per message, with a guessed level,
//! bounded per request and in total, with escaped control characters, never sent to the client (docs/cgi.md,
//! "What a script answers"). A message is logged when the next one begins or the request ends, as its stack
//! trace may go on until then.

mod budget;
mod log;
mod messages;

use std::fmt::{self, Write};
use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::time::Instant;

use self::budget::Bucket;
use self::messages::{Message, Severity, Splitter};
use super::SlowLog;
use super::diagnosis::{Diagnosis, Refusal, Refusals, Suppressed};
use crate::cgi::{Mapping, Script};
use crate::message::{RequestId, Wire};
use crate::threads::Turns;

pub use self::log::ErrorLog;

/// Budget of one request, in messages or KiB: PHP can write without end. A quarter is reserved for errors.
const MOST: u64 = 256;

/// Bytes split between two looks at the clock: a tenth of a millisecond where each is a line.
const STEP: usize = 1024;

/// The error stream of one request.
#[derive(Debug)]
pub(super) struct ErrorStream {
    origin: Origin,
    /// Bytes received and not split yet: a record at most.
    rest: Bytes,
    turns: Option<Turns>,
    splitter: Splitter,
    budget: Bucket,
}

/// Source of an error stream.
#[derive(Debug)]
pub(super) struct Origin {
    /// The request.
    pub(super) request_id: RequestId,
    /// Fields common to the lines of its handler.
    pub(super) log: Arc<ScriptLog>,
    /// The script.
    pub(super) script: Arc<Script>,
    /// The connection of the client.
    pub(super) wire: Arc<Wire>,
}

/// Fields common to all log lines about the scripts of one handler.
#[derive(Debug)]
pub struct ScriptLog {
    /// The site's name.
    pub site: Arc<str>,
    /// The upstream's name.
    pub upstream: Arc<str>,
    /// The line of the configuration that defines the handler, as `file:line`.
    pub place: Arc<str>,
    /// The line of its upstream's `backend_root`, where it has one.
    pub backend_root_place: Option<String>,
    /// The roots of its scripts.
    pub mapping: Arc<Mapping>,
    /// Scripts that PHP-FPM refused to run.
    pub refusals: Refusals,
    /// The bound on the error streams of all requests.
    pub error_log: Arc<ErrorLog>,
    /// The log of slow scripts, where the site has one.
    pub slow: Option<Arc<SlowLog>>,
}

/// Logs a record with the fields of its origin.
macro_rules! record {
    ($level:ident, $origin:expr, $($rest:tt)+) => {{
        let Origin { request_id, log, script, wire } = $origin;
        let script = String::from_utf8_lossy(&script.name);
        tracing::$level!(%request_id, trace_id = request_id.trace_id().map(display), site = %log.site, upstream = %log.upstream, script = &*script, client = %wire.remote_addr, $($rest)+)
    }};
}

impl ErrorStream {
    pub(super) fn new(origin: Origin) -> Self {
        Self {
            origin,
            rest: Bytes::new(),
            turns: None,
            splitter: Splitter::default(),
            budget: Bucket::new(MOST),
        }
    }

    /// Accepts a piece, once all before it is split; [`Self::poll`] goes on with it.
    pub(super) fn take(&mut self, piece: Bytes) {
        self.rest = piece;
    }

    /// Splits a piece and logs each message that is complete with it.
    pub(super) async fn push(&mut self, piece: Bytes) {
        self.take(piece);
        poll_fn(|cx| self.poll(cx)).await;
    }

    /// Waits until all received bytes are split. Yields to other tasks within a long piece.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.rest.is_empty() {
            let turns = self.turns.get_or_insert_with(Turns::here);
            let turn = ready!(turns.poll(cx));
            while !self.rest.is_empty() && !turn.is_over() {
                self.step();
            }
        }
        Poll::Ready(())
    }

    fn step(&mut self) {
        let Self {
            origin,
            rest,
            splitter,
            budget,
            ..
        } = self;
        let step = rest.split_to(rest.len().min(STEP));
        splitter.push(&step, |message| origin.log_message(&message, budget));
    }

    /// Logs the end of the stream at END_REQUEST, and an exit status other than 0.
    pub(super) fn end(&mut self, app_status: u32) {
        self.finish();
        if app_status != 0 {
            record!(
                warn,
                &self.origin,
                app_status,
                "the script ended with a nonzero exit status"
            );
        }
    }

    /// Logs an answer cut by a fault of the upstream.
    pub(super) fn log_fault(&mut self, cause: &'static str, why: &str) {
        self.finish();
        record!(error, &self.origin, cause, "the answer was cut: {why}");
    }

    /// Logs an answer cut because of its client.
    pub(super) fn log_given_up(&mut self, cause: &'static str, why: &str) {
        self.finish();
        record!(info, &self.origin, cause, "the answer was cut: {why}");
    }

    fn finish(&mut self) {
        while !self.rest.is_empty() {
            self.step();
        }
        let Self {
            origin,
            splitter,
            budget,
            ..
        } = self;
        splitter.finish(|message| origin.log_message(&message, budget));
    }
}

impl Drop for ErrorStream {
    fn drop(&mut self) {
        self.finish();
        let ScriptLog {
            error_log, site, ..
        } = &*self.origin.log;
        if let Some(dropped) = self.budget.take_dropped()
            && error_log.admits_count(site, dropped)
        {
            record!(
                warn,
                &self.origin,
                dropped = dropped.messages,
                bytes = dropped.bytes,
                "the request wrote more than {MOST} messages or KiB to its error stream; the rest was dropped"
            );
        }
        error_log.log_dropped();
    }
}

impl Origin {
    fn log_message(&self, message: &Message, budget: &mut Bucket) {
        if let Some(refusal) = Refusal::of(message.marked, &message.text) {
            return self.diagnose(refusal, message);
        }
        let ScriptLog {
            error_log, site, ..
        } = &*self.log;
        if budget.admits(message, Instant::now()) && error_log.admits(site, message) {
            let decoded = String::from_utf8_lossy(&message.text);
            let text = Escaped(&decoded);
            match message.severity {
                Severity::Error => record!(error, self, "PHP: {text}"),
                Severity::Warning => record!(warn, self, "PHP: {text}"),
                Severity::Info => record!(info, self, "PHP: {text}"),
            }
        }
    }

    /// Logs the cause of a refusal in place of PHP-FPM's three words.
    fn diagnose(&self, refusal: Refusal, message: &Message) {
        let ScriptLog {
            refusals,
            mapping,
            error_log,
            site,
            ..
        } = &*self.log;
        let Some(suppressed) = refusals.record(&self.script.file, Instant::now()) else {
            return;
        };
        if error_log.admits(site, message) {
            self.log_refusal(&Diagnosis::look(mapping, &self.script, refusal), suppressed);
        } else {
            refusals.forget(&self.script.file);
        }
    }

    fn log_refusal(&self, diagnosis: &Diagnosis, suppressed: Suppressed) {
        let Diagnosis { sent, here, .. } = diagnosis;
        let first_missing = diagnosis
            .first_missing
            .as_deref()
            .map_or_else(|| "none".into(), Path::to_string_lossy);
        macro_rules! log {
            ($level:ident) => {
                record!(
                    $level,
                    self,
                    script_filename = &*sent.to_string_lossy(),
                    here = &*here.to_string_lossy(),
                    exists_here = diagnosis.at_here.as_str(),
                    first_missing = &*first_missing,
                    config = &*self.log.place,
                    backend_root = self.log.backend_root_place.as_deref(),
                    repeated = suppressed.same,
                    others = suppressed.others,
                    "PHP-FPM does not run the script: {}",
                    diagnosis.cause
                )
            };
        }
        if diagnosis.cause.is_ordinary() {
            log!(warn);
        } else {
            log!(error);
        }
    }
}

/// Text on one line, harmless to a terminal: control characters and those that change the direction of writing
/// are escaped.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        self.0.chars().try_for_each(|c| {
            if c.is_control() || turns(c) {
                write!(f, "{}", c.escape_debug())
            } else {
                f.write_char(c)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        let escaped = |text: &str| Escaped(text).to_string();
        assert_eq!(escaped("App\\X: \"é\" ŝ\u{301}"), "App\\X: \"é\" ŝ\u{301}");
        assert_eq!(escaped("a\nb\tc\r"), "a\\nb\\tc\\r");
        assert_eq!(
            escaped("\x1b[31m\0\u{9b}\u{202e}"),
            "\\u{1b}[31m\\0\\u{9b}\\u{202e}"
        );
    }
}
