//! The log itself: the serving thread formats a record and appends the line to the queue.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http::request::Parts;
use jiff::tz::TimeZone;

use super::format::Formatter;
use super::{Captured, Destination, Format, Record, redact};
use crate::line_log::{LineLog, LogName, Sink};

/// Handle of the access log, cheap to clone. The writer thread ends with the last clone.
#[derive(Clone, Debug)]
pub struct AccessLog {
    /// `None` if the log is off.
    log: Option<Arc<Log>>,
}

#[derive(Debug)]
struct Log {
    formatter: Formatter,
    lines: LineLog,
}

impl AccessLog {
    /// Opens the destination and starts the writer thread, unless the log is off. Fails if the file
    /// cannot be opened or the thread cannot be started.
    pub fn start(destination: Destination, format: Format) -> io::Result<Self> {
        let sink = match destination {
            Destination::Off => return Ok(Self { log: None }),
            Destination::Stdout => Sink::stdout()?,
            Destination::File(path) => Sink::file(path)?,
        };
        let log = Log {
            formatter: Formatter::new(format, TimeZone::system()),
            lines: LineLog::start(LogName::Access, sink)?,
        };
        Ok(Self {
            log: Some(Arc::new(log)),
        })
    }

    /// Captures the fields and the authority of a request, as far as the format names them.
    pub fn of_request(&self, parts: &Parts) -> (Captured, String) {
        let log = self.log.as_ref();
        log.map_or_else(Default::default, |log| log.formatter.of_request(parts))
    }

    /// Captures the fields of a response, as far as the format names them.
    pub fn of_response<B>(&self, response: &Response<B>, record: &mut Record) {
        if let Some(log) = &self.log {
            log.formatter.of_response(response, record);
        }
    }

    /// Returns the target of a record for any log, with secrets redacted unless the access log includes
    /// them.
    pub fn shown<'a>(&self, record: &'a Record) -> Cow<'a, str> {
        let target = record.target();
        let log = self.log.as_ref();
        if log.is_some_and(|log| log.formatter.shows_secrets()) {
            return Cow::Borrowed(target);
        }
        match redact::uri(target.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(target),
            Cow::Owned(shown) => Cow::Owned(String::from_utf8_lossy(&shown).into_owned()),
        }
    }

    /// Appends the record's line. Never waits for the writer thread: the caller is a drop, which could
    /// only block, and a queue of 4096 lines gains more than a short wait would.
    pub fn log(&self, record: &Record) {
        let Some(log) = &self.log else { return };
        let append = |line: &mut Vec<u8>| {
            line.clear();
            log.formatter.line(record, line);
            log.lines.append_for_site(record.site.as_deref(), line);
        };
        // A thread that ends may still drop requests after its thread-local storage is destroyed.
        LINE.try_with(|line| append(&mut line.borrow_mut()))
            .unwrap_or_else(|_| append(&mut Vec::new()));
    }

    /// Reopens the file after a rotation, before any later line is written.
    pub fn reopen(&self) {
        if let Some(log) = &self.log {
            log.lines.reopen();
        }
    }

    /// Waits until all earlier lines are written, for at most `limit`. Blocks the thread, and is meant for the end
    /// of the process.
    pub fn close(&self, limit: Duration) {
        if let Some(log) = &self.log {
            log.lines.close(limit);
        }
    }

    /// Returns the queue of the lines; `None` if the log is off.
    pub fn lines(&self) -> Option<&LineLog> {
        self.log.as_ref().map(|log| &log.lines)
    }
}

thread_local! {
    /// Buffer of the line being formatted. The serving threads format, for they are many, and the writer
    /// thread is one.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::access_log::sample;

    const SOON: Duration = Duration::from_secs(30);

    fn combined() -> Format {
        Format::parse("combined", false).unwrap()
    }

    #[test]
    fn a_record_is_a_line_in_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let log = AccessLog::start(Destination::File(path.clone()), combined()).unwrap();
        for uri in ["/1", "/2"] {
            log.clone().log(&sample(uri));
        }
        log.close(SOON);
        let text = fs::read_to_string(&path).unwrap();
        let targets = text.lines().filter_map(|line| line.split(' ').nth(6));
        assert_eq!(targets.collect::<Vec<_>>(), ["/1", "/2"]);
    }

    #[test]
    fn a_log_that_is_off_does_nothing() {
        let log = AccessLog::start(Destination::Off, combined()).unwrap();
        log.log(&sample("/"));
        log.reopen();
        log.close(SOON);
        assert!(log.lines().is_none());
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_an_error() {
        let path = Path::new("/nowhere/access.log").to_owned();
        let error = AccessLog::start(Destination::File(path), combined()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
