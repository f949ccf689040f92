//! The threads that hash, and the requests that wait for them.
//!
//! They are threads of their own, started when they are needed and ended when they were idle for a while. The blocking
//! threads of the runtimes read files, which must not wait for passwords; and the end of the process waits for them, while
//! a hash in progress is of no use then.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use nix::errno::Errno;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::numbers::{Counters, Numbers};
use super::queue::{Demand, Queue, Refusal, Running, Ticket};
use super::rejected::Rejected;
use super::remembered::{Mac, Remembered};
use super::section::Hashing;

/// The time after which an idle thread ends.
const IDLE: Duration = Duration::from_secs(10);

/// The weight of the mean time of a hash beside a new time: 15 to 1, so that the last few dozen count.
const WEIGHT: u32 = 16;

/// The longest Retry-After, in seconds: a longer forecast is worthless.
const LONGEST: u64 = 120;

/// The result of comparing a password with the hash of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is right.
    Right,
    /// The password is wrong, or the user is unknown.
    Wrong,
}

/// The check of a password.
pub(super) type Job = Box<dyn FnOnce() -> Verdict + Send>;

/// The MAC of a pair, and the time for which it is remembered.
#[derive(Clone, Copy)]
pub(super) struct Memory {
    pub(super) mac: Mac,
    pub(super) remember: Duration,
}

/// The threads, the queue, and the verified pairs.
pub(super) struct Pool {
    state: Mutex<State>,
    /// Signals a request to an idle thread.
    work: Condvar,
    pub(super) remembered: Remembered,
    counters: Counters,
    /// The time after which an idle thread ends.
    idle: Duration,
}

/// State behind the lock, which is held for a push or a pop, and while a thread is started.
struct State {
    queue: Queue<Waiter>,
    settings: Hashing,
    threads: usize,
    /// The last attempt to start a thread failed, which is logged once.
    is_short: bool,
    /// The mean time of a hash.
    mean: Duration,
}

/// A waiting request.
struct Waiter {
    job: Job,
    memory: Option<Memory>,
    answer: Answer,
}

type Answer = oneshot::Sender<Result<Verdict, Rejected>>;

/// A place in the queue, left when dropped, as when the client disconnects.
struct Place<'a> {
    pool: &'a Pool,
    ticket: Ticket,
}

impl Pool {
    /// Builds a pool without threads.
    pub(super) fn new(settings: Hashing) -> Self {
        Self {
            state: Mutex::new(State {
                queue: Queue::new(),
                settings,
                threads: 0,
                is_short: false,
                mean: Duration::ZERO,
            }),
            work: Condvar::new(),
            remembered: Remembered::new(),
            counters: Counters::default(),
            idle: IDLE,
        }
    }

    /// Applies other settings.
    pub(super) fn set(self: &Arc<Self>, settings: Hashing) {
        let mut state = self.lock();
        state.settings = settings;
        // Requests wait only behind a thread, which will serve them if no other can be started.
        let _ = self.call_thread(&mut state);
    }

    /// Reports whether a pair is remembered, and counts it then.
    pub(super) fn recalls(&self, memory: &Memory, now: Instant) -> bool {
        let Memory { mac, remember } = memory;
        let recalls = self.remembered.contains(mac, *remember, now);
        if recalls {
            self.counters.remembered.add();
        }
        recalls
    }

    /// Waits for a turn and runs `job`, unless its pair is remembered by then. Leaves the queue when dropped.
    pub(super) async fn run(
        self: &Arc<Self>,
        demand: &Demand,
        memory: Option<Memory>,
        job: Job,
    ) -> Result<Verdict, Rejected> {
        if memory.is_some_and(|memory| self.recalls(&memory, Instant::now())) {
            return Ok(Verdict::Right);
        }
        let (answer, verdict) = oneshot::channel();
        let waiter = Waiter {
            job,
            memory,
            answer,
        };
        let _place = self.enter(demand, waiter)?;
        // A job that panicked has dropped the sender.
        verdict.await.unwrap_or(Err(Rejected::Panicked))
    }

    /// Returns the current state and counters.
    pub(super) fn numbers(&self) -> Numbers {
        let (hashing, waiting) = {
            let state = self.lock();
            (state.queue.running(), state.queue.waiting())
        };
        self.counters.read(hashing, waiting)
    }

    fn enter(self: &Arc<Self>, demand: &Demand, waiter: Waiter) -> Result<Place<'_>, Rejected> {
        let mut state = self.lock();
        let now = Instant::now();
        let checked = state.queue.check(demand, state.settings.queue_length, now);
        if let Err(refusal) = checked {
            return Err(self.reject(refusal, &state));
        }
        let ticket = state.queue.push(demand, waiter, now);
        let called = self.call_thread(&mut state);
        drop(state);
        // Dropping the place takes the request out again.
        let place = Place { pool: self, ticket };
        called.map(|()| place).map_err(Rejected::NoThread)
    }

    /// Counts a refusal, and returns its error.
    fn reject(&self, refusal: Refusal, state: &State) -> Rejected {
        match refusal {
            Refusal::Attempts { per_minute, wait } => {
                self.counters.refused_attempts.add();
                Rejected::Attempts { per_minute, wait }
            }
            Refusal::Full(over) => {
                self.counters.refused_queue.add();
                Rejected::Busy {
                    over,
                    length: state.settings.queue_length,
                    retry_after: state.retry_after(),
                }
            }
        }
    }

    /// Wakes an idle thread for a request that can run, or starts another one where none is idle. Fails if there is none.
    fn call_thread(self: &Arc<Self>, state: &mut State) -> Result<(), Errno> {
        let busy = state.queue.running();
        if !state.queue.is_ready() || busy >= state.settings.at_once {
            return Ok(());
        }
        self.work.notify_one();
        if state.threads > busy {
            return Ok(());
        }
        let started = self.start_thread();
        match &started {
            Ok(()) => state.threads += 1,
            Err(error) if state.threads == 0 => return Err(errno(error)),
            Err(error) if !state.is_short => {
                tracing::warn!(%error, threads = state.threads, "cannot start another thread to hash passwords");
            }
            Err(_) => {}
        }
        state.is_short = started.is_err();
        Ok(())
    }

    fn start_thread(self: &Arc<Self>) -> io::Result<()> {
        let pool = Arc::clone(self);
        let thread = Builder::new().name("fcgate-hash".to_owned());
        thread.spawn(move || pool.work()).map(drop)
    }

    /// Runs the jobs whose turn it is, until there was none for a while.
    fn work(self: &Arc<Self>) {
        let mut state = self.lock();
        let mut was_idle = false;
        loop {
            if let Some((running, waiter)) = state.start() {
                // One calls the next, so that no more threads wake than have work. This one does it if no other can.
                let _ = self.call_thread(&mut state);
                drop(state);
                self.perform(running, waiter);
                state = self.lock();
                was_idle = false;
            } else if was_idle {
                state.threads -= 1;
                return;
            } else {
                let waited = self.work.wait_timeout(state, self.idle);
                let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                state = guard;
                was_idle = timeout.timed_out();
            }
        }
    }

    /// Runs a job, and answers its request and those that its failure refuses.
    fn perform(&self, running: Running, waiter: Waiter) {
        let Waiter {
            job,
            memory,
            answer,
        } = waiter;
        let is_known = memory.is_some_and(|memory| self.recalls(&memory, Instant::now()));
        let verdict = if is_known {
            Ok(Verdict::Right)
        } else {
            self.hash(job, memory)
        };
        self.finish(running, verdict);
        // The client may have left.
        let _ = answer.send(verdict);
    }

    /// Runs a job, and remembers a pair that is right.
    fn hash(&self, job: Job, memory: Option<Memory>) -> Result<Verdict, Rejected> {
        let begun = Instant::now();
        // The hook of panics logs it.
        let verdict = catch_unwind(AssertUnwindSafe(job)).map_err(|_| Rejected::Panicked);
        let now = Instant::now();
        self.lock().record_time(now.duration_since(begun));
        if verdict == Ok(Verdict::Right) {
            self.counters.right.add();
            if let Some(Memory { mac, .. }) = memory {
                self.remembered.insert(mac, now);
            }
        } else {
            self.counters.wrong.add();
        }
        verdict
    }

    /// Ends a check, and refuses the requests that its failure refuses, unless their pair is remembered by now. A panic
    /// counts as a failure.
    fn finish(&self, running: Running, verdict: Result<Verdict, Rejected>) {
        let is_failure = verdict != Ok(Verdict::Right);
        let now = Instant::now();
        let refused = self.lock().queue.finish(running, is_failure, now);
        for (waiter, refusal) in refused {
            let is_known = waiter.memory.is_some_and(|it| self.recalls(&it, now));
            let answer = if is_known {
                Ok(Verdict::Right)
            } else {
                Err(self.reject(refusal, &self.lock()))
            };
            let _ = waiter.answer.send(answer);
        }
    }

    /// Locks the state. It is valid at every moment, after a panic too.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the request with the next turn, if another hash is allowed.
    fn start(&mut self) -> Option<(Running, Waiter)> {
        if self.queue.running() >= self.settings.at_once {
            return None;
        }
        self.queue.start(Instant::now())
    }

    /// Returns the seconds in which the waiting requests are served, as Retry-After.
    fn retry_after(&self) -> u64 {
        let waiting = u32::try_from(self.queue.waiting()).unwrap_or(u32::MAX);
        let at_once = u32::try_from(self.settings.at_once).unwrap_or(u32::MAX);
        let total = self.mean.saturating_mul(waiting) / at_once.max(1);
        (total.as_secs() + 1).min(LONGEST)
    }

    fn record_time(&mut self, time: Duration) {
        self.mean = if self.mean.is_zero() {
            time
        } else {
            (self.mean * (WEIGHT - 1) + time) / WEIGHT
        };
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let left = {
            let mut state = self.pool.lock();
            state.queue.leave(self.ticket, Instant::now())
        };
        // The job is dropped without the lock.
        drop(left);
    }
}

/// Returns the reason for which no thread starts: EAGAIN where the system does not say it.
fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(Errno::EAGAIN as i32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::verifier::attempts::AttemptKey;
    use crate::limits::budget::Party;

    #[tokio::test]
    async fn idle_threads_end_and_others_start() {
        let settings = Hashing {
            at_once: 2,
            queue_length: 10,
        };
        let pool = Arc::new(Pool {
            idle: Duration::from_millis(1),
            ..Pool::new(settings)
        });
        let key = AttemptKey {
            party: Party::Connection(1),
            file: 1,
            user: None,
        };
        let demand = Demand { key, per_minute: 0 };
        for _ in 0..3 {
            let verdict = pool.run(&demand, None, Box::new(|| Verdict::Wrong)).await;
            assert_eq!(verdict, Ok(Verdict::Wrong));
            let end = async {
                while Arc::strong_count(&pool) > 1 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            let ended = tokio::time::timeout(Duration::from_mins(1), end).await;
            assert!(ended.is_ok() && pool.lock().threads == 0);
        }
    }
}
