//! What the application writes to its error stream, as log records with the request's id: one a
//! message, its level guessed, bounded for each request and for all together, control characters
//! escaped, never shown to the client (behaviours no. 32). A message is logged when the next one
//! begins or the request ends, as till then its stack trace may go on.

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
use super::Fastcgi;
use super::diagnosis::{Before, Diagnosis, Refusal};
use crate::cgi::Script;
use crate::message::RequestId;
use crate::threads::Turns;

pub use self::log::ErrorLog;

/// What one request may log, in messages or KiB: PHP can write without end. A quarter is for
/// errors.
const MOST: u64 = 256;

/// Bytes that are taken apart without looking at the time: a tenth of a millisecond where each is a line.
const STEP: usize = 1024;

/// The error stream of one request.
#[derive(Debug)]
pub(in crate::handler) struct ErrorStream {
    origin: Origin,
    /// What came and is not taken apart yet: a record at most.
    rest: Bytes,
    turns: Option<Turns>,
    splitter: Splitter,
    budget: Bucket,
}

/// Whose error stream it is.
#[derive(Debug)]
pub(super) struct Origin {
    /// The request.
    pub(super) request_id: RequestId,
    /// Who asked, with the names of its site and its upstream.
    pub(super) fastcgi: Arc<Fastcgi>,
    /// For which script.
    pub(super) script: Arc<Script>,
}

/// A record with the names of where it comes from.
macro_rules! record {
    ($level:ident, $origin:expr, $($rest:tt)+) => {{
        let Origin { request_id, fastcgi, script } = $origin;
        let script = String::from_utf8_lossy(&script.name);
        tracing::$level!(%request_id, site = %fastcgi.site, upstream = %fastcgi.name, script = &*script, $($rest)+)
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

    /// Takes a piece, when all before it is taken apart; [`Self::poll`] goes on with it.
    pub(in crate::handler) fn take(&mut self, piece: Bytes) {
        self.rest = piece;
    }

    /// Takes a piece; each message that is complete with it is logged.
    pub(in crate::handler) async fn push(&mut self, piece: Bytes) {
        self.take(piece);
        poll_fn(|cx| self.poll(cx)).await;
    }

    /// Ready when all that came is taken apart. What is long lets others have their turns.
    pub(in crate::handler) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
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
        splitter.push(&step, |message| origin.note(&message, budget));
    }

    /// END_REQUEST with the script's exit status.
    pub(in crate::handler) fn end(&mut self, app_status: u32) {
        self.finish();
        if app_status != 0 {
            record!(
                warn,
                &self.origin,
                app_status,
                "the script ended with a status of its own"
            );
        }
    }

    /// The answer was cut while it was sent.
    pub(in crate::handler) fn cut(&mut self, cause: &'static str, why: &str) {
        self.finish();
        record!(error, &self.origin, cause, "the answer was cut: {why}");
    }

    /// The answer was given up for what its client does, which is its own affair.
    pub(in crate::handler) fn give_up(&mut self, cause: &'static str, why: &str) {
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
        splitter.finish(|message| origin.note(&message, budget));
    }
}

impl Drop for ErrorStream {
    fn drop(&mut self) {
        self.finish();
        let Fastcgi {
            error_log: log,
            site,
            ..
        } = &*self.origin.fastcgi;
        if let Some(dropped) = self.budget.take_dropped()
            && log.admits_count(site, dropped)
        {
            record!(
                warn,
                &self.origin,
                dropped = dropped.messages,
                bytes = dropped.bytes,
                "the script wrote more to its error stream than {MOST} messages or KiB; the rest was dropped"
            );
        }
        log.tell();
    }
}

impl Origin {
    fn note(&self, message: &Message, budget: &mut Bucket) {
        if let Some(refusal) = Refusal::of(message.marked, &message.text) {
            return self.diagnose(refusal, message);
        }
        let Fastcgi {
            error_log, site, ..
        } = &*self.fastcgi;
        if budget.admits(message, Instant::now()) && error_log.admits(site, message) {
            let text = String::from_utf8_lossy(&message.text);
            let text = Escaped(&text);
            match message.severity {
                Severity::Error => record!(error, self, "PHP: {text}"),
                Severity::Warning => record!(warn, self, "PHP: {text}"),
                Severity::Info => record!(info, self, "PHP: {text}"),
            }
        }
    }

    /// PHP-FPM does not run the script: why, in place of its three words.
    fn diagnose(&self, refusal: Refusal, message: &Message) {
        let Fastcgi {
            refusals,
            mapping,
            error_log,
            site,
            ..
        } = &*self.fastcgi;
        let Some(before) = refusals.note(&self.script.file, Instant::now()) else {
            return;
        };
        if error_log.admits(site, message) {
            self.tell(
                &Diagnosis::look(mapping, &self.script.file, refusal),
                before,
            );
        } else {
            refusals.forget(&self.script.file);
        }
    }

    fn tell(&self, diagnosis: &Diagnosis, before: Before) {
        let Diagnosis { sent, here, .. } = diagnosis;
        let first_missing = diagnosis.first_missing.as_deref();
        let first_missing = first_missing.map_or_else(|| "none".into(), Path::to_string_lossy);
        macro_rules! tell {
            ($level:ident) => {
                record!(
                    $level,
                    self,
                    script_filename = &*sent.to_string_lossy(),
                    here = &*here.to_string_lossy(),
                    exists_here = diagnosis.at_here.as_str(),
                    first_missing = &*first_missing,
                    config = &*self.fastcgi.place,
                    backend_root = self.fastcgi.backend_root_place.as_deref(),
                    repeated = before.same,
                    others = before.others,
                    "PHP-FPM does not run the script: {}",
                    diagnosis.cause
                )
            };
        }
        match diagnosis.cause.is_ordinary() {
            true => tell!(warn),
            false => tell!(error),
        }
    }
}

/// Text on one line and without power over a terminal: control characters are escaped, and those
/// that turn the direction of writing.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        self.0
            .chars()
            .try_for_each(|c| match c.is_control() || turns(c) {
                true => write!(f, "{}", c.escape_debug()),
                false => f.write_char(c),
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
