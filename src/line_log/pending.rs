//! The queue between threads that log and the thread that writes: one buffer that many append to and one takes.

use std::collections::HashMap;
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::limits::budget::SiteKey;

/// Lines written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) text: Vec<u8>,
    pub(super) lines: u64,
    /// Notified when all earlier lines are written.
    pub(super) flushes: Vec<SyncSender<()>>,
    /// The file must be reopened before these lines are written.
    pub(super) reopen: bool,
    /// A line had no room.
    is_full: bool,
    /// Weight of all lines.
    weight: usize,
    /// Weight of each site's lines since a quarter of the room was taken.
    by_site: HashMap<SiteKey, usize>,
}

/// The next batch.
#[derive(Debug, Default)]
pub(super) struct Pending {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    batch: Batch,
    /// The writing thread waits on `changed`.
    asleep: bool,
    /// No handle of the log is left.
    ended: bool,
}

impl Pending {
    /// Appends a line, of `site` if it has one; returns false if the queue, or the site's share of it, is full.
    pub(super) fn append(&self, line: &[u8], site: Option<&str>) -> bool {
        let mut state = self.state();
        let appended = state.batch.append(line, site);
        self.wake(state);
        appended
    }

    /// Notifies `done` when all lines appended so far are written.
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

    /// Ends the thread once all lines are written.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        self.wake(state);
    }

    /// Waits for lines or a request, at most for `limit`, and exchanges the batch for an `empty` one; `None` at the end.
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
        if state.has_only_lines() {
            // Waking a thread costs more than appending a line. While this one sleeps for a fixed time, requests do
            // not pay for that.
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

    /// Reports whether there are only lines, and no request that a caller waits for.
    fn has_only_lines(&self) -> bool {
        self.batch.lines > 0 && self.batch.flushes.is_empty() && !self.batch.reopen && !self.ended
    }
}

impl Batch {
    /// Appends a line if it has room. Once a quarter of the room is taken, a site may hold three times as much of the
    /// rest as it leaves free, so that one site cannot fill a slowly written log.
    fn append(&mut self, line: &[u8], site: Option<&str>) -> bool {
        let weight = line.len().max(LEAST);
        let left = ROOM.saturating_sub(self.weight).checked_sub(weight);
        let is_crowded = self.weight >= ROOM / 4;
        let fits = match (left, site.filter(|_| is_crowded)) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(left), Some(site)) => {
                let held = self.by_site.entry(SiteKey::of(site)).or_default();
                let fits = *held + weight <= left.saturating_mul(3);
                *held += if fits { weight } else { 0 };
                fits
            }
        };
        if fits {
            self.lines += 1;
            self.weight += weight;
            self.text.extend_from_slice(line);
        }
        self.is_full |= !fits;
        fits
    }

    fn is_empty(&self) -> bool {
        self.lines == 0 && self.flushes.is_empty() && !self.reopen && !self.is_full
    }

    /// Reports whether every line since the last batch had room.
    pub(super) fn had_room(&self) -> bool {
        !self.is_full
    }

    /// Reports whether a caller waits until the batch is written.
    pub(super) fn is_awaited(&self) -> bool {
        !self.flushes.is_empty()
    }

    /// Notifies waiting callers and clears the batch for reuse; frees the memory of a burst.
    pub(super) fn finish(mut self) -> Self {
        for done in self.flushes.drain(..) {
            // The caller may have timed out.
            let _ = done.try_send(());
        }
        self.text.clear();
        self.text.shrink_to(KEPT);
        self.lines = 0;
        self.reopen = false;
        self.is_full = false;
        self.weight = 0;
        self.by_site.clear();
        self
    }
}

/// Size of the queue, in bytes: a client determines the length of a line, and as much again may be in a blocked write.
const ROOM: usize = 4 << 20;

/// Least weight of a line, so that there are at most 4096.
const LEAST: usize = 1024;

/// Time that the first line waits for others. Too short to fill the room at any rate that one machine reaches, too short
/// for readers of the log to notice.
const GATHER: Duration = Duration::from_millis(5);

/// Memory kept for the next batch, in bytes.
const KEPT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of lines of `length` bytes that have room.
    fn flood(pending: &Pending, site: Option<&str>, length: usize) -> usize {
        let line = vec![b'x'; length];
        (0..9999).filter(|_| pending.append(&line, site)).count()
    }

    #[test]
    fn one_site_leaves_room_for_the_others() {
        for (length, weight) in [(100, 1), (1024, 1), (4096, 4)] {
            let pending = Pending::default();
            let mut flood = |site| flood(&pending, Some(site), length) * weight;
            // A quarter, and three times what is left of the rest.
            assert_eq!(["a", "b", "c"].map(&mut flood), [1024 + 2304, 576, 144]);
        }
        let pending = Pending::default();
        assert_eq!(flood(&pending, None, 100), 4096);
        assert_eq!(flood(&pending, Some("a"), 100), 0);
    }

    #[test]
    fn the_next_batch_has_all_its_room() {
        let pending = Pending::default();
        let first = flood(&pending, Some("a"), 100);
        let batch = pending.next(Batch::default(), Duration::ZERO).unwrap();
        assert!(!batch.had_room());
        let mut empty = batch.finish();
        assert!(empty.is_empty() && empty.by_site.is_empty());
        for _ in 0..2 {
            assert_eq!(flood(&pending, Some("a"), 100), first);
            empty = pending.next(empty, Duration::ZERO).unwrap().finish();
        }
    }
}
