//! The way of a line from its request to the file: a bounded queue, and a thread that takes what
//! is there and writes it at once.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, StatusCode};
use jiff::tz::TimeZone;
use tracing::error;

use super::format::Formatter;
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
    messages: SyncSender<Message>,
    formatter: Formatter,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Set by `reopen`, cleared by the thread; no full queue can swallow it.
    reopen: AtomicBool,
    /// Lines lost since the log last kept up.
    lost: AtomicU64,
}

#[derive(Debug)]
enum Message {
    /// A whole line. It is made by the thread that serves: those are many, and the one that writes
    /// is alone.
    Line(Vec<u8>),
    /// To be told when all that came before is written.
    Flush(SyncSender<()>),
    /// Look at what is shared.
    Wake,
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
        let (messages, receiver) = sync_channel(CAPACITY);
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            messages: receiver,
            shared: Arc::clone(&shared),
            sink,
            failing: false,
        };
        thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.run())?;
        let queue = Queue {
            messages,
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
    pub fn of_response(&self, status: StatusCode, fields: &HeaderMap, record: &mut Record) {
        if let Some(queue) = &self.queue {
            queue.formatter.of_response(status, fields, record);
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

    /// Queues the record's line. Never waits, where the design had it wait up to 10 ms first: this
    /// is called by a drop, which can only block, and a thread that blocks holds up every request
    /// that it serves, while 4096 lines of room are more than such a wait would gain. A line that
    /// finds no place is lost, counted and reported.
    pub fn log(&self, record: &Record) {
        let Some(queue) = &self.queue else { return };
        let line = Message::Line(queue.formatter.line(record));
        if queue.messages.try_send(line).is_err() && queue.shared.lose(1) {
            error!("the access log cannot keep up: lines are dropped");
        }
    }

    /// Has the file opened again, before any later line is written: after it was renamed. A file
    /// that cannot be opened is reported, and the old one stays in use.
    pub fn reopen(&self) {
        let Some(queue) = &self.queue else { return };
        queue.shared.reopen.store(true, Ordering::Release);
        // A full queue needs no wake-up: its thread is about to look.
        let _ = queue.messages.try_send(Message::Wake);
    }

    /// Waits until all that was logged before is written, but no longer than `limit`; what is then
    /// not written is reported. Blocks the thread: for the end of the process.
    pub fn close(&self, limit: Duration) {
        let Some(queue) = &self.queue else { return };
        if !queue.is_written_within(limit) {
            error!("the access log could not be written in {limit:?}: its last lines are lost");
        }
    }
}

impl Queue {
    fn is_written_within(&self, limit: Duration) -> bool {
        let (done, told) = sync_channel(1);
        let mut message = Message::Flush(done);
        let mut left = limit;
        while let Err(TrySendError::Full(returned)) = self.messages.try_send(message) {
            if left.is_zero() {
                return false;
            }
            message = returned;
            thread::sleep(GATHER);
            left = left.saturating_sub(GATHER);
        }
        told.recv_timeout(left).is_ok()
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
    messages: Receiver<Message>,
    shared: Arc<Shared>,
    sink: Sink,
    /// Whether the last write failed.
    failing: bool,
}

/// What is written at once.
#[derive(Default)]
struct Batch {
    text: Vec<u8>,
    lines: u64,
    flushes: Vec<SyncSender<()>>,
}

impl Writer {
    fn run(mut self) {
        let mut batch = Batch::default();
        while let Ok(first) = self.wait() {
            let messages = self.gather(first, &mut batch);
            if self.shared.reopen.swap(false, Ordering::Acquire) {
                self.reopen();
            }
            self.write(&batch);
            // A queue with room took every line since it was last emptied.
            if messages < CAPACITY && !self.failing && self.shared.has_lost() {
                let lost = self.shared.settle();
                error!(lost, "the access log keeps up again; lines were lost");
            }
            batch.finish();
        }
    }

    /// The next message; none after a while, when it is to be seen whether lines are still lost.
    fn wait(&self) -> Result<Option<Message>, RecvTimeoutError> {
        if !self.shared.has_lost() {
            let next = self.messages.recv();
            return next.map(Some).map_err(RecvTimeoutError::from);
        }
        match self.messages.recv_timeout(RECOVERY) {
            Ok(message) => Ok(Some(message)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(RecvTimeoutError::Disconnected),
        }
    }

    /// Takes what came and comes; returns how many messages that were.
    fn gather(&self, first: Option<Message>, batch: &mut Batch) -> usize {
        // To wake a sleeping thread costs more than to queue a line. While this one sleeps by its
        // own will, requests do not pay for that.
        if matches!(first, Some(Message::Line(_))) {
            thread::sleep(GATHER);
        }
        let mut count = 0;
        for message in first
            .into_iter()
            .chain(self.messages.try_iter())
            .take(CAPACITY)
        {
            count += 1;
            match message {
                Message::Line(line) => {
                    batch.text.extend_from_slice(&line);
                    batch.lines += 1;
                }
                Message::Flush(done) => batch.flushes.push(done),
                Message::Wake => {}
            }
        }
        count
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

impl Batch {
    /// Tells who waited, and makes room for the next; a burst's memory is not kept.
    fn finish(&mut self) {
        for done in self.flushes.drain(..) {
            // Who no longer waits need not be told.
            let _ = done.try_send(());
        }
        self.text.clear();
        self.text.shrink_to(KEPT);
        self.lines = 0;
    }
}

/// How many lines may wait.
const CAPACITY: usize = 4096;

/// How long the first line waits for others. Too short to fill the queue at any rate that one
/// machine reaches, too short for people who watch the log to notice.
const GATHER: Duration = Duration::from_millis(5);

/// After how long without lines a log that lost some is taken to have recovered.
const RECOVERY: Duration = Duration::from_secs(1);

/// Bytes of memory that the thread keeps for its next write.
const KEPT: usize = 64 * 1024;

#[cfg(test)]
mod tests;
