//! How many live streams a client has: event streams and long polls, each of which has a worker of PHP's to itself for
//! as long as it lasts, by intention.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::budget::Party;

/// What each client has. There are no more entries than streams.
#[derive(Debug, Default)]
pub struct LiveStreams {
    /// 0 is no limit.
    most: AtomicUsize,
    running: Mutex<HashMap<Party, usize>>,
}

/// One of them, until dropped.
#[derive(Debug)]
pub struct LiveStream {
    all: Arc<LiveStreams>,
    party: Party,
}

/// More than `limits.live_streams_per_client`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this client has limits.live_streams_per_client = {most} event streams and long polls already"
)]
pub struct TooManyLive {
    /// The limit.
    pub most: usize,
}

impl LiveStreams {
    /// Makes `most` the limit for those that begin from now on; 0 is no limit.
    pub fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Counts one more of `party`, unless it has as many as it may.
    pub fn begin(self: &Arc<Self>, party: Party) -> Result<LiveStream, TooManyLive> {
        let most = self.most.load(Ordering::Relaxed);
        let mut running = self.running();
        let count = running.entry(party).or_default();
        if most > 0 && *count >= most {
            return Err(TooManyLive { most });
        }
        *count += 1;
        let all = Arc::clone(self);
        Ok(LiveStream { all, party })
    }

    /// A poisoned lock guards numbers that are right at every moment.
    fn running(&self) -> MutexGuard<'_, HashMap<Party, usize>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LiveStream {
    fn drop(&mut self) {
        let mut running = self.all.running();
        if let Some(count) = running.get_mut(&self.party) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.party);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_count_which_falls_again() {
        let all = Arc::new(LiveStreams::default());
        all.set_most(2);
        let (one, other) = (Party::Connection(1), Party::Connection(2));
        let first = all.begin(one).unwrap();
        let second = all.begin(one).unwrap();
        assert_eq!(all.begin(one).unwrap_err(), TooManyLive { most: 2 });
        let third = all.begin(other).unwrap();
        drop(first);
        let fourth = all.begin(one).unwrap();
        all.set_most(0);
        let fifth = all.begin(one).unwrap();
        drop((second, third, fourth, fifth));
        assert!(all.running().is_empty());
    }
}
