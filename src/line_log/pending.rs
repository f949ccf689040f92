//! Where lines wait for the thread that writes them: one text that many append to and one takes.

use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// What is written at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) text: Vec<u8>,
    pub(super) lines: u64,
    /// Whom to tell when all that came before is written.
    pub(super) flushes: Vec<SyncSender<()>>,
    /// The file is to be opened again before any of these lines is written.
    pub(super) reopen: bool,
    /// A line found no room any more.
    is_full: bool,
}

/// The batch to come.
#[derive(Debug, Default)]
pub(super) struct Pending {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    batch: Batch,
    /// The thread that writes waits to be woken.
    asleep: bool,
    /// Nobody is left who logs.
    ended: bool,
}

impl Pending {
    /// Appends a line; false where too many wait.
    pub(super) fn append(&self, line: &[u8]) -> bool {
        let mut state = self.state();
        let bytes = state.batch.text.len().saturating_add(line.len());
        if state.batch.is_full || state.batch.lines >= CAPACITY || bytes > BYTES {
            state.batch.is_full = true;
            self.wake(state);
            return false;
        }
        state.batch.lines += 1;
        state.batch.text.extend_from_slice(line);
        self.wake(state);
        true
    }

    /// Has `done` told when all lines until now are written.
    pub(super) fn flush(&self, done: SyncSender<()>) {
        let mut state = self.state();
        state.batch.flushes.push(done);
        self.wake(state);
    }

    pub(super) fn reopen(&self) {
        let mut state = self.state();
        state.batch.reopen = true;
        self.wake(state);
    }

    /// The thread ends when all is written.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        self.wake(state);
    }

    /// Waits for something to do, no longer than `limit`, and gives what there is for an `empty`
    /// batch; `None` is the end.
    pub(super) fn next(&self, empty: Batch, limit: Duration) -> Option<Batch> {
        let mut state = self.state();
        if state.is_idle() {
            state.asleep = true;
            let waited = self
                .changed
                .wait_timeout_while(state, limit, |state| state.is_idle());
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.asleep = false;
        }
        if state.only_lines() {
            // To wake a sleeping thread costs more than to append a line. While this one sleeps by
            // its own will, requests do not pay for that.
            drop(state);
            thread::sleep(GATHER);
            state = self.state();
        }
        let ends = state.ended && state.batch.is_empty();
        (!ends).then(|| std::mem::replace(&mut state.batch, empty))
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let asleep = std::mem::take(&mut state.asleep);
        drop(state);
        if asleep {
            self.changed.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.batch.is_empty() && !self.ended
    }

    /// Nobody waits for what is there.
    fn only_lines(&self) -> bool {
        self.batch.lines > 0 && self.batch.flushes.is_empty() && !self.batch.reopen && !self.ended
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.lines == 0 && self.flushes.is_empty() && !self.reopen && !self.is_full
    }

    /// Every line since the last batch found room.
    pub(super) fn had_room(&self) -> bool {
        !self.is_full
    }

    /// Somebody waits until it is written: the end, perhaps.
    pub(super) fn is_awaited(&self) -> bool {
        !self.flushes.is_empty()
    }

    /// Tells who waited, and makes room for the next; a burst's memory is not kept.
    pub(super) fn finish(mut self) -> Self {
        for done in self.flushes.drain(..) {
            // Who no longer waits need not be told.
            let _ = done.try_send(());
        }
        self.text.clear();
        self.text.shrink_to(KEPT);
        self.lines = 0;
        self.reopen = false;
        self.is_full = false;
        self
    }
}

/// How many lines may wait.
const CAPACITY: u64 = 4096;

/// How many bytes may wait: a client decides how long a line is, and as many again may be in the middle of a write
/// that does not end.
const BYTES: usize = 4 << 20;

/// How long the first line waits for others. Too short to fill the room at any rate that one
/// machine reaches, too short for people who watch the log to notice.
const GATHER: Duration = Duration::from_millis(5);

/// Bytes of memory that the thread keeps for its next write.
const KEPT: usize = 64 * 1024;
