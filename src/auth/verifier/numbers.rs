//! Counters of checked passwords, for `/metrics` and `/status`.

use std::sync::atomic::{AtomicU64, Ordering};

/// A monotonic counter.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) right: Counter,
    pub(super) wrong: Counter,
    pub(super) remembered: Counter,
    pub(super) refused_attempts: Counter,
    pub(super) refused_queue: Counter,
}

/// State and counters of the verifier at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Hashes in progress.
    pub hashing: usize,
    /// Requests that wait for a hash.
    pub waiting: usize,
    /// Passwords that were hashed and are right.
    pub right: u64,
    /// Passwords that were hashed and are wrong.
    pub wrong: u64,
    /// Passwords that were remembered.
    pub remembered: u64,
    /// Requests refused by a limit of attempts.
    pub refused_attempts: u64,
    /// Requests refused for lack of a place in the queue.
    pub refused_queue: u64,
}

impl Counters {
    /// Returns the counters, with `hashing` and `waiting` requests.
    pub(super) fn read(&self, hashing: usize, waiting: usize) -> Numbers {
        Numbers {
            hashing,
            waiting,
            right: self.right.get(),
            wrong: self.wrong.get(),
            remembered: self.remembered.get(),
            refused_attempts: self.refused_attempts.get(),
            refused_queue: self.refused_queue.get(),
        }
    }
}
