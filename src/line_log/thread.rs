//! A thread that writes logs: all lines of each that were appended meanwhile at once.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::log::Log;
use super::pending::Batch;

/// The queue of a writing thread. Regular files share one, as they do not wait for a reader; a pipe has its own.
#[derive(Debug, Default)]
pub(super) struct Thread {
    state: Mutex<State>,
    changed: Condvar,
    /// Number of its logs.
    members: AtomicUsize,
    /// Its logs are files, which may be renamed.
    has_files: bool,
}

#[derive(Debug, Default)]
struct State {
    /// Logs opened since the last turn.
    joined: Vec<Arc<Log>>,
    /// Logs with lines to write.
    announced: Vec<Arc<Log>>,
    is_asleep: bool,
    /// A caller waits.
    is_urgent: bool,
    /// No further log joins.
    may_end: bool,
}

/// Owner of a thread, which ends with it and the last of its logs.
#[derive(Debug)]
pub(super) struct Owner(Arc<Thread>);

impl Owner {
    /// Starts a thread, for files or for one pipe. Fails if the system has none.
    pub(super) fn start(name: &str, has_files: bool) -> io::Result<Self> {
        let thread = Arc::new(Thread {
            has_files,
            ..Thread::default()
        });
        let writing = Arc::clone(&thread);
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || Writer::new(writing).run())?;
        Ok(Self(thread))
    }

    pub(super) fn thread(&self) -> &Arc<Thread> {
        &self.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.may_end = true;
        self.0.wake(state);
    }
}

impl Thread {
    /// Most room of one log, in bytes: a client determines the length of a line, and as much again may be in a blocked
    /// write.
    pub(super) const MOST_ROOM: usize = 4 << 20;

    /// Room that all logs share, as long as each has [`LEAST_ROOM`](Self::LEAST_ROOM).
    const ALL_ROOM: usize = 32 << 20;

    /// Least room of one log, in bytes.
    const LEAST_ROOM: usize = 64 << 10;

    /// Returns the room of one log, in bytes.
    pub(super) fn room(&self) -> usize {
        let share = Self::ALL_ROOM / self.members.load(Ordering::Relaxed).max(1);
        share.clamp(Self::LEAST_ROOM, Self::MOST_ROOM)
    }

    /// Adds a log, with the lines that it has.
    pub(super) fn join(&self, log: &Arc<Log>) {
        self.members.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        state.joined.push(Arc::clone(log));
        state.announced.push(Arc::clone(log));
        self.wake(state);
    }

    /// Has the lines of a log written, at once if a caller waits.
    pub(super) fn announce(&self, log: &Arc<Log>, is_urgent: bool) {
        let mut state = self.state();
        state.announced.push(Arc::clone(log));
        state.is_urgent |= is_urgent;
        self.wake(state);
    }

    /// Has announced lines written at once, as a caller waits.
    pub(super) fn hurry(&self) {
        let mut state = self.state();
        state.is_urgent = true;
        self.wake(state);
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let is_asleep = std::mem::take(&mut state.is_asleep);
        drop(state);
        if is_asleep {
            self.changed.notify_one();
        }
    }

    /// Waits for lines, at most for `limit`, and moves the logs that have some to `turn`. Reports whether the thread goes
    /// on.
    fn next(&self, turn: &mut Turn, limit: Duration) -> bool {
        let may_wait = |state: &mut State| {
            let ends = state.may_end && turn.members.is_empty();
            state.joined.is_empty() && state.announced.is_empty() && !ends
        };
        let mut state = self.state();
        if may_wait(&mut state) {
            state.is_asleep = true;
            let waited = self.changed.wait_timeout_while(state, limit, may_wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.is_asleep = false;
        }
        if !state.announced.is_empty() && !state.is_urgent {
            // Waking a thread costs more than appending a line. While this one sleeps for a fixed time, requests do
            // not pay for that.
            drop(state);
            std::thread::sleep(GATHER);
            state = self.state();
        }
        state.is_urgent = false;
        turn.members.append(&mut state.joined);
        turn.announced.append(&mut state.announced);
        !(state.may_end && turn.members.is_empty())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// State of the thread itself.
struct Writer {
    thread: Arc<Thread>,
    turn: Turn,
    /// The last look for renamed files.
    looked: Instant,
    /// Cleared memory of a batch.
    spare: Batch,
}

#[derive(Default)]
struct Turn {
    members: Vec<Arc<Log>>,
    /// Logs with lines to write.
    announced: Vec<Arc<Log>>,
}

impl Writer {
    fn new(thread: Arc<Thread>) -> Self {
        Self {
            thread,
            turn: Turn::default(),
            looked: Instant::now(),
            spare: Batch::default(),
        }
    }

    fn run(mut self) {
        loop {
            let limit = self.wait_limit();
            if !self.thread.next(&mut self.turn, limit) {
                return;
            }
            self.look();
            for log in std::mem::take(&mut self.turn.announced) {
                self.write(&log);
                if log.has_ended() {
                    self.remove(&log);
                }
            }
        }
    }

    fn write(&mut self, log: &Log) {
        // The memory of a burst is freed.
        let kept = self.thread.room().min(KEPT);
        let empty = std::mem::take(&mut self.spare);
        self.spare = log.write_pending(empty, kept);
    }

    /// Once in [`LOOK`], reopens renamed files, before the lines are written, and has logs report their lost lines where
    /// no further line comes.
    fn look(&mut self) {
        if self.looked.elapsed() < LOOK {
            return;
        }
        self.looked = Instant::now();
        let Turn { members, announced } = &mut self.turn;
        for log in &*members {
            if self.thread.has_files {
                log.follow_rotation();
            }
            let is_announced = || announced.iter().any(|other| Arc::ptr_eq(log, other));
            if log.has_lost() && !is_announced() {
                announced.push(Arc::clone(log));
            }
        }
    }

    fn remove(&mut self, log: &Arc<Log>) {
        self.turn.members.retain(|member| !Arc::ptr_eq(member, log));
        self.thread.members.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns the time to wait for lines before the next look or report.
    fn wait_limit(&self) -> Duration {
        let members = &self.turn.members;
        let watches = self.thread.has_files && !members.is_empty();
        if watches || members.iter().any(|log| log.has_lost()) {
            LOOK
        } else {
            Duration::MAX
        }
    }
}

/// Time that the first line waits for others. Too short to fill the room at any rate that one machine reaches, too short
/// for readers of the log to notice.
const GATHER: Duration = Duration::from_millis(5);

/// Interval between two looks for renamed files, and before a loss is reported.
const LOOK: Duration = Duration::from_secs(1);

/// Memory kept for the next batch, in bytes.
const KEPT: usize = 64 * 1024;
