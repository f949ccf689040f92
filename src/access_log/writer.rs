//! The way of a line from its request to the file: it is appended to what waits, and a thread takes
//! all of that and writes it at once.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use http::Response;
use http::request::Parts;
use jiff::tz::TimeZone;
use tracing::error;

use super::format::Formatter;
use super::pending::{Batch, Pending};
use super::sink::Sink;
use super::{Captured, Destination, Format, Record, redact};

/// Takes records; cheap to clone, for any thread. The thread behind it ends with the last clone.
#[derive(Clone, Debug)]
pub struct AccessLog {
    /// Absent when the log is off.
    queue: Option<Arc<Queue>>,
}

#[derive(Debug)]
struct Queue {
    formatter: Formatter,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    pending: Pending,
    /// Lines lost since the log last kept up.
    lost: AtomicU64,
}

impl AccessLog {
    /// Opens the destination and starts the thread; no thread where the log is off. Fails when the
    /// file cannot be opened or no thread be started.
    pub fn start(destination: Destination, format: Format) -> io::Result<Self> {
        let sink = match destination {
            Destination::Off => return Ok(Self { queue: None }),
            Destination::Stdout => Sink::stdout()?,
            Destination::File(path) => Sink::file(path)?,
        };
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            shared: Arc::clone(&shared),
            sink,
            failing: false,
        };
        thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.run())?;
        let queue = Queue {
            formatter: Formatter::new(format, TimeZone::system()),
            shared,
        };
        Ok(Self {
            queue: Some(Arc::new(queue)),
        })
    }

    /// What the format names of a request: its fields, and the authority that the client named.
    pub fn of_request(&self, parts: &Parts) -> (Captured, String) {
        let queue = self.queue.as_ref();
        queue.map_or_else(Default::default, |queue| queue.formatter.of_request(parts))
    }

    /// Notes what the format names of a response.
    pub fn of_response<B>(&self, response: &Response<B>, record: &mut Record) {
        if let Some(queue) = &self.queue {
            queue.formatter.of_response(response, record);
        }
    }

    /// The target of a record as any log may have it: without what is secret, unless the access
    /// log shows that.
    pub fn shown<'a>(&self, record: &'a Record) -> Cow<'a, str> {
        let target = record.target();
        let queue = self.queue.as_ref();
        if queue.is_some_and(|queue| queue.formatter.shows_secrets()) {
            return Cow::Borrowed(target);
        }
        match redact::uri(target.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(target),
            Cow::Owned(shown) => Cow::Owned(String::from_utf8_lossy(&shown).into_owned()),
        }
    }

    /// Appends the record's line. Never waits, where the design had it wait up to 10 ms first: this
    /// is called by a drop, which can only block, and a thread that blocks holds up every request
    /// that it serves, while 4096 lines of room are more than such a wait would gain. A line that
    /// finds no place is lost, counted and reported.
    pub fn log(&self, record: &Record) {
        let Some(queue) = &self.queue else { return };
        let append = |line: &mut Vec<u8>| {
            line.clear();
            queue.formatter.line(record, line);
            queue.shared.pending.append(line)
        };
        // A thread that ends has no memory of its own any more, and may drop requests still.
        let appended = LINE.try_with(|line| append(&mut line.borrow_mut()));
        let appended = appended.unwrap_or_else(|_| append(&mut Vec::new()));
        if !appended && queue.shared.lose(1) {
            error!("the access log cannot keep up: lines are dropped");
        }
    }

    /// Has the file opened again, before any later line is written: after it was renamed. A file
    /// that cannot be opened is reported, and the old one stays in use.
    pub fn reopen(&self) {
        if let Some(queue) = &self.queue {
            queue.shared.pending.reopen();
        }
    }

    /// Waits until all that was logged before is written, but no longer than `limit`; what is then
    /// not written is reported. Blocks the thread: for the end of the process.
    pub fn close(&self, limit: Duration) {
        let Some(queue) = &self.queue else { return };
        let (done, told) = sync_channel(1);
        queue.shared.pending.flush(done);
        if told.recv_timeout(limit).is_err() {
            error!("the access log could not be written in {limit:?}: its last lines are lost");
        }
    }
}

thread_local! {
    /// A line in the making. It is made by the thread that serves: those are many, and the one that
    /// writes is alone.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.shared.pending.end();
    }
}

impl Shared {
    /// Counts lines that are lost; whether they are the first.
    fn lose(&self, lines: u64) -> bool {
        self.lost.fetch_add(lines, Ordering::Relaxed) == 0
    }

    /// The number of lines lost, which begins anew.
    fn settle(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    fn has_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed) > 0
    }
}

struct Writer {
    shared: Arc<Shared>,
    sink: Sink,
    /// Whether the last write failed.
    failing: bool,
}

impl Writer {
    fn run(mut self) {
        let mut empty = Batch::default();
        while let Some(batch) = self.shared.pending.next(empty, self.patience()) {
            if batch.reopen {
                self.reopen();
            }
            self.write(&batch);
            if batch.had_room() && !self.failing && self.shared.has_lost() {
                let lost = self.shared.settle();
                error!(lost, "the access log keeps up again; lines were lost");
            }
            empty = batch.finish();
        }
    }

    /// How long to wait for lines before it is seen whether some are still lost.
    fn patience(&self) -> Duration {
        match self.shared.has_lost() {
            true => RECOVERY,
            false => Duration::MAX,
        }
    }

    fn write(&mut self, batch: &Batch) {
        if batch.lines == 0 {
            return;
        }
        let written = self.sink.write(&batch.text);
        if let Err(error) = &written {
            self.shared.lose(batch.lines);
            if !self.failing {
                error!(%error, "the access log cannot be written: lines are lost");
            }
        }
        self.failing = written.is_err();
    }

    fn reopen(&mut self) {
        if let Err(error) = self.sink.reopen() {
            error!(%error, "the access log cannot be opened again: the old file stays in use");
        }
    }
}

/// After how long without lines a log that lost some is taken to have recovered.
const RECOVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
