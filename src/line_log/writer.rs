//! The log and its writing thread, which takes all queued lines and writes them at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use super::pending::{Batch, Pending};
use super::{LogName, Sink};

/// Handle of a log; cheap to clone, for any thread. The writing thread ends with the last clone.
#[derive(Clone, Debug)]
pub struct LineLog(Arc<Queue>);

#[derive(Debug)]
struct Queue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    name: LogName,
    pending: Pending,
    /// Lines lost since the last report.
    lost: AtomicU64,
    /// Lines lost since the start.
    dropped: AtomicU64,
}

impl LineLog {
    /// Starts the thread that writes to `sink`. Fails if no thread can be started.
    pub fn start(name: LogName, sink: Sink) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            name,
            pending: Pending::default(),
            lost: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            sink,
            failing: false,
        };
        thread::Builder::new()
            .name(format!("{}-log", name.as_str()))
            .spawn(move || writer.run())?;
        Ok(Self(Arc::new(Queue(shared))))
    }

    /// Appends whole lines, which count as one. Never waits: a blocked thread delays every request that it serves. A line
    /// without room is lost, counted and reported.
    pub fn append(&self, line: &[u8]) {
        self.append_for_site(None, line);
    }

    /// Appends lines that belong to a site, which may not take all of the room.
    pub fn append_for_site(&self, site: Option<&str>, line: &[u8]) {
        let shared = self.shared();
        if !shared.pending.append(line, site) && shared.count_lost(1) {
            shared.name.report_full();
        }
    }

    /// Reopens the file, after it was renamed, before any later line is written. A failure is reported, and the old one
    /// stays in use.
    pub fn reopen(&self) {
        self.shared().pending.reopen();
    }

    /// Waits until all appended lines are written, at most for `limit`; reports unwritten ones. Blocks the thread: for
    /// the end of the process.
    pub fn close(&self, limit: Duration) {
        let (done, written) = sync_channel(1);
        self.shared().pending.flush(done);
        if written.recv_timeout(limit).is_err() {
            self.shared().name.report_unwritten(limit);
        }
    }

    /// Returns the log's name.
    pub fn name(&self) -> LogName {
        self.shared().name
    }

    /// Returns the number of lines lost since the start.
    pub fn dropped(&self) -> u64 {
        self.shared().dropped.load(Ordering::Relaxed)
    }

    fn shared(&self) -> &Shared {
        &self.0.0
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.0.pending.end();
    }
}

impl Shared {
    /// Counts lost lines; reports whether they are the first since the last report.
    fn count_lost(&self, lines: u64) -> bool {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        self.lost.fetch_add(lines, Ordering::Relaxed) == 0
    }

    /// Returns the number of lost lines and resets it.
    fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }

    fn has_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed) > 0
    }
}

struct Writer {
    shared: Arc<Shared>,
    sink: Sink,
    /// The last write failed.
    failing: bool,
}

impl Writer {
    fn run(mut self) {
        let mut empty = Batch::default();
        while let Some(batch) = self.shared.pending.next(empty, self.wait_limit()) {
            if batch.reopen {
                self.reopen();
            }
            if batch.had_room() && !self.failing {
                self.report_loss();
            }
            self.write(&batch.text, batch.lines);
            if batch.is_awaited() && !self.failing {
                self.report_loss();
            }
            empty = batch.finish();
        }
    }

    /// Returns the time to wait for lines before a loss is reported.
    fn wait_limit(&self) -> Duration {
        if self.shared.has_lost() {
            RECOVERY
        } else {
            Duration::MAX
        }
    }

    /// Reports lost lines at their place: behind the batch that left no room, before the next.
    fn report_loss(&mut self) {
        let lost = self.shared.take_lost();
        if lost > 0
            && let Some(line) = self.shared.name.report_loss(lost)
        {
            self.write(line.as_bytes(), 1);
        }
    }

    fn write(&mut self, text: &[u8], lines: u64) {
        if text.is_empty() {
            return;
        }
        let written = self.sink.write(text);
        if let Err(error) = &written {
            self.shared.count_lost(lines);
            if !self.failing {
                self.shared.name.report_failure(error);
            }
        }
        self.failing = written.is_err();
    }

    fn reopen(&mut self) {
        if let Err(error) = self.sink.reopen() {
            self.shared.name.report_reopening(&error);
        }
    }
}

/// Time without lines after which a log counts as recovered.
const RECOVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
