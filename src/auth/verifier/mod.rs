//! Checks passwords away from the threads that serve: bounded, by turns, with a limit of failed attempts, and once for
//! as long as a verified pair is remembered.

mod attempts;
mod numbers;
mod pool;
mod queue;
mod rejected;
mod remembered;
mod section;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::budget::Party;
use attempts::AttemptKey;
pub use numbers::Numbers;
pub use pool::Verdict;
use pool::{Memory, Pool};
use queue::Demand;
pub use rejected::Rejected;
pub use remembered::Pair;
pub use section::{AUTH, Hashing};

/// The verifier of passwords: one for the process, kept across reloads.
#[derive(Clone)]
pub struct Verifier {
    pool: Arc<Pool>,
    hasher: RandomState,
}

/// A password to check.
#[derive(Clone, Copy, Debug)]
pub struct VerifyRequest<'a> {
    /// The user, the password and the entry.
    pub pair: Pair<'a>,
    /// The client.
    pub client: Party,
    /// The address is that of an untrusted proxy, so that attempts are counted by client and user.
    pub is_shared: bool,
    /// The most wrong passwords within a minute; 0 is no limit.
    pub per_minute: usize,
    /// The time for which the pair is remembered if it is right; zero is never.
    pub remember: Duration,
}

impl Verifier {
    /// Builds a verifier without threads.
    pub fn new(settings: Hashing) -> Self {
        Self {
            pool: Arc::new(Pool::new(settings)),
            hasher: RandomState::new(),
        }
    }

    /// Applies other settings. Hashes in progress and waiting requests continue.
    pub fn set(&self, settings: Hashing) {
        self.pool.set(settings);
    }

    /// Reports whether a pair was verified less than `remember` ago; zero is never.
    pub fn is_remembered(&self, pair: &Pair<'_>, remember: Duration, now: Instant) -> bool {
        let memory = self.memory(pair, remember);
        memory.is_some_and(|memory| self.pool.recalls(&memory, now))
    }

    /// Runs `job`, which compares the password with its hash, on another thread when it is the client's turn. A pair that
    /// is remembered by then is right without it. Dropping the future leaves the queue; a job that has begun ends, and
    /// counts.
    pub async fn run<J>(&self, request: &VerifyRequest<'_>, job: J) -> Result<Verdict, Rejected>
    where
        J: FnOnce() -> Verdict + Send + 'static,
    {
        let memory = self.memory(&request.pair, request.remember);
        let demand = self.demand(request);
        self.pool.run(&demand, memory, Box::new(job)).await
    }

    /// Returns the current state and counters.
    pub fn numbers(&self) -> Numbers {
        self.pool.numbers()
    }

    /// Returns the key and the limit of a request. Connections without an address come from a proxy on this machine, which
    /// may open one for each request: they are one client, shared by all users.
    fn demand(&self, request: &VerifyRequest<'_>) -> Demand {
        let Pair { file, user, .. } = request.pair;
        let (party, is_shared) = match request.client {
            Party::Client(_) => (request.client, request.is_shared),
            Party::Connection(_) => (Party::Connection(0), true),
        };
        let key = AttemptKey {
            party,
            file: self.hasher.hash_one(file),
            user: is_shared.then(|| self.hasher.hash_one(user)),
        };
        Demand {
            key,
            per_minute: request.per_minute,
        }
    }

    fn memory(&self, pair: &Pair<'_>, remember: Duration) -> Option<Memory> {
        if remember.is_zero() {
            return None;
        }
        let mac = self.pool.remembered.mac(pair)?;
        Some(Memory { mac, remember })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.numbers().fmt(f)
    }
}

#[cfg(test)]
mod tests;
