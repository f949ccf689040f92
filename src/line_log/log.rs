//! A log: the lines that are not written yet, and the destination, which its thread alone touches.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::name::{Kind, Title};
use super::pending::{Batch, Pending};
use super::sink::Sink;
use super::style::Style;
use super::thread::Thread;

/// Handle of a log; cheap to clone, for any thread. The log is closed with the last clone, once its lines are written.
#[derive(Clone, Debug)]
pub struct LineLog(pub(super) Arc<Handle>);

#[derive(Debug)]
pub(super) struct Handle(Arc<Log>);

/// A log and the state of its thread.
#[derive(Debug)]
pub(super) struct Log {
    title: Title,
    pending: Pending,
    /// Lines lost since the last report.
    lost: AtomicU64,
    /// Lines lost by all logs of its kind.
    dropped: Arc<AtomicU64>,
    /// Set when the log is opened; lines before that wait.
    thread: OnceLock<Arc<Thread>>,
    output: Mutex<Output>,
    has_ended: AtomicBool,
}

/// The open destination.
#[derive(Debug, Default)]
struct Output {
    sink: Option<Sink>,
    /// The last write failed.
    is_failing: bool,
    /// The file was renamed and could not be reopened.
    is_stuck: bool,
}

impl LineLog {
    /// Builds a log that is not open yet; `dropped` counts its lost lines.
    pub(super) fn new(title: Title, dropped: Arc<AtomicU64>) -> Self {
        Self(Arc::new(Handle(Arc::new(Log {
            title,
            pending: Pending::default(),
            lost: AtomicU64::new(0),
            dropped,
            thread: OnceLock::new(),
            output: Mutex::default(),
            has_ended: AtomicBool::new(false),
        }))))
    }

    /// Reports whether the log is open.
    pub(super) fn is_open(&self) -> bool {
        self.log().thread.get().is_some()
    }

    /// Has `thread` write the log to `sink`.
    pub(super) fn open(&self, sink: Sink, thread: &Arc<Thread>) {
        let log = self.log();
        log.output().sink = Some(sink);
        if log.thread.set(Arc::clone(thread)).is_ok() {
            thread.join(log);
        }
    }

    /// Appends whole lines, which count as one. Never waits: a blocked thread delays every request that it serves. A line
    /// without room is lost, counted and reported.
    pub fn append(&self, line: &[u8]) {
        self.append_for_site(None, line);
    }

    /// Appends lines that belong to a site, which may not take all of the room.
    pub fn append_for_site(&self, site: Option<&str>, line: &[u8]) {
        let log = self.log();
        let thread = log.thread.get();
        let room = thread.map_or(Thread::MOST_ROOM, |thread| thread.room());
        let change = log.pending.append(line, site, room);
        // Looked up again: the log may have been opened meanwhile.
        if change.announce
            && let Some(thread) = log.thread.get()
        {
            thread.announce(log, false);
        }
        if !change.fits && log.count_lost(1) {
            log.title.report_full();
        }
    }

    /// Reopens the file, after it was renamed, before any later line is written. A failure is reported, and the old one
    /// stays in use.
    pub fn reopen(&self) {
        let log = self.log();
        if log.pending.reopen() {
            log.announce();
        }
    }

    /// Waits until all appended lines are written, at most for `limit`; reports unwritten ones. Blocks the thread: for
    /// the end of the process.
    pub fn close(&self, limit: Duration) {
        let log = self.log();
        if !self.is_open() {
            return;
        }
        let (done, written) = sync_channel(1);
        if log.pending.flush(done) {
            log.announce();
        } else if let Some(thread) = log.thread.get() {
            thread.hurry();
        }
        if written.recv_timeout(limit).is_err() {
            log.title.report_unwritten(limit);
        }
    }

    /// Sets the style of an error log.
    pub(super) fn set_style(&self, style: Style) {
        if let Kind::Error(shared) = &self.log().title.kind {
            shared.set(style);
        }
    }

    /// Returns the number of lines lost since the start, by all logs of its kind.
    pub fn dropped(&self) -> u64 {
        self.log().dropped.load(Ordering::Relaxed)
    }

    fn log(&self) -> &Arc<Log> {
        &self.0.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.has_ended.store(true, Ordering::Release);
        self.0.announce();
    }
}

/// Methods of the writing thread.
impl Log {
    /// Writes the lines appended so far and returns their batch, cleared, with at most `kept` bytes.
    pub(super) fn write_pending(&self, empty: Batch, kept: usize) -> Batch {
        let batch = self.pending.take(empty);
        let mut output = self.output();
        if batch.reopen {
            self.reopen_file(&mut output);
        }
        if batch.had_room() && !output.is_failing {
            self.report_loss(&mut output);
        }
        self.write(&mut output, &batch.text);
        if batch.is_awaited() && !output.is_failing {
            self.report_loss(&mut output);
        }
        batch.finish(kept)
    }

    /// Reopens a file that was renamed or removed.
    pub(super) fn follow_rotation(&self) {
        let mut output = self.output();
        if output.sink.as_ref().is_some_and(Sink::is_rotated) {
            self.reopen_file(&mut output);
        }
    }

    /// Reports whether lines were lost and not reported yet.
    pub(super) fn has_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed) > 0
    }

    /// Reports whether no handle is left.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    fn announce(self: &Arc<Self>) {
        if let Some(thread) = self.thread.get() {
            thread.announce(self, true);
        }
    }

    /// Reports lost lines at their place: behind the batch that left no room, before the next.
    fn report_loss(&self, output: &mut Output) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0
            && let Some(line) = self.title.report_loss(lost)
        {
            self.write(output, line.as_bytes());
        }
    }

    fn write(&self, output: &mut Output, text: &[u8]) {
        let Some(sink) = output.sink.as_mut().filter(|_| !text.is_empty()) else {
            return;
        };
        let written = sink.write(text);
        if let Err(unwritten) = &written {
            self.count_lost(unwritten.lines);
            if !output.is_failing {
                self.title.report_failure(&unwritten.error);
            }
        }
        output.is_failing = written.is_err();
    }

    /// Reopens the file; of failures in a row one is reported.
    fn reopen_file(&self, output: &mut Output) {
        let Some(sink) = &mut output.sink else { return };
        let reopened = sink.reopen();
        let was_stuck = std::mem::replace(&mut output.is_stuck, reopened.is_err());
        if let Err(error) = reopened
            && !was_stuck
            && let Some(line) = self.title.report_reopening(&error)
        {
            self.write(output, line.as_bytes());
        }
    }

    /// Counts lost lines; reports whether they are the first since the last report.
    fn count_lost(&self, lines: u64) -> bool {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        self.lost.fetch_add(lines, Ordering::Relaxed) == 0
    }

    fn output(&self) -> MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
