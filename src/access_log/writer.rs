//! From a record to its line: formatted by the thread that serves, and appended to the queue of the log.

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

/// Takes records; cheap to clone, for any thread. The thread behind it ends with the last clone.
#[derive(Clone, Debug)]
pub struct AccessLog {
    /// Absent when the log is off.
    log: Option<Arc<Log>>,
}

#[derive(Debug)]
struct Log {
    formatter: Formatter,
    lines: LineLog,
}

impl AccessLog {
    /// Opens the destination and starts the thread; no thread where the log is off. Fails when the
    /// file cannot be opened or no thread be started.
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

    /// What the format names of a request: its fields, and the authority that the client named.
    pub fn of_request(&self, parts: &Parts) -> (Captured, String) {
        let log = self.log.as_ref();
        log.map_or_else(Default::default, |log| log.formatter.of_request(parts))
    }

    /// Notes what the format names of a response.
    pub fn of_response<B>(&self, response: &Response<B>, record: &mut Record) {
        if let Some(log) = &self.log {
            log.formatter.of_response(response, record);
        }
    }

    /// The target of a record as any log may have it: without what is secret, unless the access
    /// log shows that.
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

    /// Appends the record's line. Never waits for the writer: this is called by a drop, which can
    /// only block, and 4096 lines of room are more than a short wait would gain.
    pub fn log(&self, record: &Record) {
        let Some(log) = &self.log else { return };
        let append = |line: &mut Vec<u8>| {
            line.clear();
            log.formatter.line(record, line);
            log.lines.append_for_site(record.site.as_deref(), line);
        };
        // A thread that ends has no memory of its own any more, and may drop requests still.
        LINE.try_with(|line| append(&mut line.borrow_mut()))
            .unwrap_or_else(|_| append(&mut Vec::new()));
    }

    /// Has the file opened again, before any later line is written: after it was renamed.
    pub fn reopen(&self) {
        if let Some(log) = &self.log {
            log.lines.reopen();
        }
    }

    /// Waits until all that was logged before is written, but no longer than `limit`. Blocks the thread: for the end
    /// of the process.
    pub fn close(&self, limit: Duration) {
        if let Some(log) = &self.log {
            log.lines.close(limit);
        }
    }

    /// Returns the queue of its lines; `None` where the log is off.
    pub fn lines(&self) -> Option<&LineLog> {
        self.log.as_ref().map(|log| &log.lines)
    }
}

thread_local! {
    /// A line in the making. It is made by the thread that serves: those are many, and the one that
    /// writes is alone.
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
