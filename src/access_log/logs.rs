//! The access logs of the server, of a listener or of a site, and the log of one request in them.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use http::Response;
use http::request::Parts;
use jiff::tz::TimeZone;

use super::capture::{Capture, Captured};
use super::clock::Clock;
use super::filter::{Filter, Outcome, Verdicts};
use super::format::Format;
use super::names::Needs;
use super::section::{FORMAT, SECRETS, TO};
use super::{Record, redact};
use crate::line_log::{Destination, LineLog};
use crate::message::edits::Edits;
use crate::message::{Disk, Request};
use crate::section::{At, Lowered, Place, Problem, Problems, absolute_path};

/// The access logs of the server, of a listener or of a site.
#[derive(Debug)]
pub struct AccessLogs {
    capture: Capture,
    clock: Clock,
    logs: Vec<AccessLog>,
    asks_for_request: bool,
}

/// One of the logs.
#[derive(Debug)]
struct AccessLog {
    format: Format,
    filter: Filter,
    lines: LineLog,
}

/// Most logs of one site, listener or server.
const MOST: usize = 8;

impl AccessLogs {
    /// Builds the logs from their sections; `open` returns the log of a destination.
    pub fn build(
        sections: &[Lowered],
        mut open: impl FnMut(Destination, Place, &mut Problems) -> Option<LineLog>,
        problems: &mut Problems,
    ) -> Self {
        if let Some(more) = sections.get(MOST) {
            let message = format!("more than {MOST} access logs for the same requests");
            problems.push(Problem::new(more.place(), message).help("remove some of them"));
        }
        let mut needs = Needs::default();
        let mut build = |section: &Lowered| {
            let format = format(section, &mut needs, problems);
            let filter = Filter::build(section, problems);
            let to = section.get(&TO);
            let lines = open(destination(&to, problems)?, to.place, problems)?;
            Some(AccessLog {
                format,
                filter,
                lines,
            })
        };
        let logs: Vec<_> = sections.iter().take(MOST).filter_map(&mut build).collect();
        Self {
            asks_for_request: logs.iter().any(|log| log.filter.asks_for_request()),
            capture: needs.capture,
            clock: Clock::new(needs.times, TimeZone::system()),
            logs,
        }
    }
}

/// Returns the destination of `to`; `None` if the log is off.
fn destination(to: &At<String>, problems: &mut Problems) -> Option<Destination> {
    match to.as_str() {
        "off" => None,
        "stdout" => Some(Destination::Stdout),
        path if path.contains('/') => absolute_path(to, problems).map(Destination::File),
        other => {
            let message = format!("`{other}` is not a log destination");
            let help = "write \"stdout\", \"off\", or the absolute path of a file";
            problems.push(Problem::new(to.place.clone(), message).help(help));
            None
        }
    }
}

/// Parses a format; a fault is a problem at its directive.
fn format(section: &Lowered, needs: &mut Needs, problems: &mut Problems) -> Format {
    let text = section.get(&FORMAT);
    let parsed = Format::parse(&text, section.get(&SECRETS), needs);
    parsed.unwrap_or_else(|error| {
        let place = within(&text, error.offset);
        problems.push(Problem::new(place, error.message));
        Format::default()
    })
}

/// Returns the place of a text from `offset` on. The text is verbatim in the file if that has as many
/// bytes, with a quote at each end; a text with escapes or variables is marked as a whole.
fn within(text: &At<String>, offset: usize) -> Place {
    let mut place = text.place.clone();
    if place.span.len() == text.value.len() + 2 {
        place.span = place.span.start + 1 + offset..place.span.end - 1;
    }
    place
}

/// The log of one request: its logs, and the parts of its head that they name. The default logs nothing.
#[derive(Debug, Default)]
pub struct RequestLog {
    logs: Option<Arc<AccessLogs>>,
    captured: Captured,
    /// The requested authority; empty if the request has none or no format names it.
    host: String,
    verdicts: Verdicts,
}

impl RequestLog {
    /// Builds the log of a request: captures the fields and the authority that the formats of `logs` name.
    pub fn new(logs: &Arc<AccessLogs>, parts: &Parts) -> Self {
        Self {
            captured: logs.capture.of_request(parts),
            host: logs.capture.host(parts),
            logs: Some(Arc::clone(logs)),
            verdicts: Verdicts::default(),
        }
    }

    /// Builds the log of bytes that are no request, which have no fields.
    pub fn of_malformed(logs: &Arc<AccessLogs>) -> Self {
        Self {
            logs: Some(Arc::clone(logs)),
            ..Self::default()
        }
    }

    /// Judges the conditions on the request.
    pub fn judge(&mut self, request: &Request, disk: &dyn Disk) {
        let Some(logs) = self.logs.as_ref().filter(|logs| logs.asks_for_request) else {
            return;
        };
        for (number, log) in logs.logs.iter().enumerate() {
            log.filter.judge(number, request, disk, &mut self.verdicts);
        }
    }

    /// Captures the fields of a response, as far as the formats name them.
    pub fn capture_response<B>(&mut self, response: &Response<B>) {
        if let Some(logs) = &self.logs {
            logs.capture.of_response(response, &mut self.captured);
        }
    }

    /// Returns the target of a record for any log, with secrets redacted unless an access log includes them.
    pub fn shown<'a>(&self, record: &'a Record) -> Cow<'a, str> {
        let target = record.target();
        let mut logs = self.logs.iter().flat_map(|logs| &logs.logs);
        if logs.any(|log| log.format.shows_secrets()) {
            return Cow::Borrowed(target);
        }
        match redact::uri(target.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(target),
            Cow::Owned(shown) => Cow::Owned(String::from_utf8_lossy(&shown).into_owned()),
        }
    }

    /// Appends the record's lines. Never waits for the writing thread: the caller is a drop, which could only block,
    /// and a queue of 4096 lines gains more than a short wait would.
    pub fn write(&mut self, record: &mut Record, edits: Option<&Edits>) {
        let Some(logs) = &self.logs else { return };
        record.captured = std::mem::take(&mut self.captured);
        record.host = std::mem::take(&mut self.host);
        let outcome = Outcome {
            status: record.status,
            edits,
        };
        for (number, log) in logs.logs.iter().enumerate() {
            if log.filter.admits(number, self.verdicts, outcome) {
                log.append(record, &logs.clock);
            }
        }
    }
}

impl AccessLog {
    fn append(&self, record: &Record, clock: &Clock) {
        let append = |line: &mut Vec<u8>| {
            line.clear();
            self.format.line(record, clock, line);
            self.lines.append_for_site(record.site.as_deref(), line);
        };
        // A thread that ends may still drop requests after its thread-local storage is destroyed.
        LINE.try_with(|line| append(&mut line.borrow_mut()))
            .unwrap_or_else(|_| append(&mut Vec::new()));
    }
}

thread_local! {
    /// Buffer of the line being formatted. The serving threads format, for they are many, and the writing
    /// thread is one.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
mod tests;
