//! Lines between the threads that log and the thread that writes: one buffer that many append to and one takes.

use std::collections::HashMap;
use std::sync::mpsc::SyncSender;
use std::sync::{Mutex, MutexGuard, PoisonError};

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

/// The next batch of a log.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    batch: Batch,
    /// The writing thread has been notified of the batch.
    is_announced: bool,
}

/// Result of a change of the next batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// The line had room.
    pub(super) fits: bool,
    /// The writing thread must be notified.
    pub(super) announce: bool,
}

impl Pending {
    /// Appends a line, of `site` if it has one, unless the `room` of the batch, in bytes, or the site's share of it is
    /// full.
    pub(super) fn append(&self, line: &[u8], site: Option<&str>, room: usize) -> Change {
        self.change(|batch| batch.append(line, site, room))
    }

    /// Notifies `done` when all lines appended so far are written. Reports whether to notify the thread.
    pub(super) fn flush(&self, done: SyncSender<()>) -> bool {
        let change = self.change(|batch| {
            batch.flushes.push(done);
            true
        });
        change.announce
    }

    /// Has the file reopened before any later line is written. Reports whether to notify the thread.
    pub(super) fn reopen(&self) -> bool {
        let change = self.change(|batch| {
            batch.reopen = true;
            true
        });
        change.announce
    }

    /// Exchanges the batch for an `empty` one.
    pub(super) fn take(&self, empty: Batch) -> Batch {
        let mut state = self.state();
        state.is_announced = false;
        std::mem::replace(&mut state.batch, empty)
    }

    fn change(&self, change: impl FnOnce(&mut Batch) -> bool) -> Change {
        let mut state = self.state();
        Change {
            fits: change(&mut state.batch),
            announce: !std::mem::replace(&mut state.is_announced, true),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Batch {
    /// Appends a line if it has room. Once a quarter of the room is taken, a site may hold three times as much of the
    /// rest as it leaves free, so that one site cannot fill a slowly written log.
    fn append(&mut self, line: &[u8], site: Option<&str>, room: usize) -> bool {
        let weight = line.len().max(LEAST);
        let left = room.saturating_sub(self.weight).checked_sub(weight);
        let is_crowded = self.weight >= room / 4;
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

    /// Reports whether every line since the last batch had room.
    pub(super) fn had_room(&self) -> bool {
        !self.is_full
    }

    /// Reports whether a caller waits until the batch is written.
    pub(super) fn is_awaited(&self) -> bool {
        !self.flushes.is_empty()
    }

    /// Notifies waiting callers and clears the batch for reuse, with at most `kept` bytes of memory.
    pub(super) fn finish(mut self, kept: usize) -> Self {
        for done in self.flushes.drain(..) {
            // The caller may have timed out.
            let _ = done.try_send(());
        }
        self.text.clear();
        self.text.shrink_to(kept);
        self.lines = 0;
        self.reopen = false;
        self.is_full = false;
        self.weight = 0;
        self.by_site.clear();
        self
    }
}

/// Least weight of a line, so that a batch of 4 MiB has at most 4096.
const LEAST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 4 << 20;

    /// Returns the number of lines of `length` bytes that have room.
    fn flood(pending: &Pending, site: Option<&str>, length: usize) -> usize {
        let line = vec![b'x'; length];
        let fits = |_: &i32| pending.append(&line, site, ROOM).fits;
        (0..9999).filter(fits).count()
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
        let batch = pending.take(Batch::default());
        assert!(!batch.had_room());
        let mut empty = batch.finish(1000);
        assert!(empty.lines == 0 && empty.by_site.is_empty() && empty.text.capacity() <= 1000);
        for _ in 0..2 {
            assert_eq!(flood(&pending, Some("a"), 100), first);
            empty = pending.take(empty).finish(1000);
        }
    }

    #[test]
    fn a_batch_is_announced_once() {
        let pending = Pending::default();
        for _ in 0..2 {
            assert!(pending.append(b"1\n", None, ROOM).announce);
            assert!(!pending.append(b"2\n", None, ROOM).announce);
            assert!(!pending.reopen());
            pending.take(Batch::default());
        }
        assert!(pending.reopen());
    }
}
