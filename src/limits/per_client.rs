//! Limit of concurrent uses per client: of live streams, and of uploads that a worker waits for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget::Party;

/// The counts of all clients; a client without uses has no entry.
#[derive(Debug, Default)]
pub struct PerClient {
    /// The limit; 0 is none.
    most: AtomicUsize,
    counts: Mutex<HashMap<Party, usize>>,
}

/// A counted use, until dropped.
#[derive(Debug)]
pub struct Counted {
    all: Arc<PerClient>,
    party: Party,
}

/// The client has `limits.live_streams_per_client` live streams already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this client has limits.live_streams_per_client = {most} event streams and long polls already"
)]
pub struct TooManyLive {
    /// The limit.
    pub most: usize,
}

impl PerClient {
    /// Builds a counter that allows `most`; 0 is no limit.
    pub fn new(most: usize) -> Self {
        Self {
            most: AtomicUsize::new(most),
            counts: Mutex::default(),
        }
    }

    /// Sets the limit for later uses; 0 is no limit.
    pub fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Returns the limit; 0 is none.
    pub fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// Counts one more use of `party`; `None` at the limit.
    pub fn begin(self: &Arc<Self>, party: Party) -> Option<Counted> {
        let most = self.most();
        let mut counts = self.counts();
        let count = counts.get(&party).copied().unwrap_or(0);
        if most > 0 && count >= most {
            return None;
        }
        counts.insert(party, count + 1);
        let all = Arc::clone(self);
        Some(Counted { all, party })
    }

    /// Locks the counts. A poisoned lock guards numbers that are valid at every moment.
    fn counts(&self) -> MutexGuard<'_, HashMap<Party, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.all.counts();
        if let Some(count) = counts.get_mut(&self.party) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.party);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_count_which_falls_again() {
        let all = Arc::new(PerClient::new(2));
        let (one, other) = (Party::Connection(1), Party::Connection(2));
        let first = all.begin(one);
        let second = all.begin(one);
        assert!(first.is_some() && second.is_some());
        assert!(all.begin(one).is_none());
        let third = all.begin(other);
        assert!(third.is_some());
        drop(first);
        let fourth = all.begin(one);
        all.set_most(0);
        let fifth = all.begin(one);
        assert!(fourth.is_some() && fifth.is_some());
        drop((second, third, fourth, fifth));
        assert!(all.counts().is_empty());
    }
}
