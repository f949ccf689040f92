//! Failed attempts of the last minute, by user file and client: a sliding window that holds the time of each failure, so
//! that a key never has more than its limit in any minute, and all of them again after a minute without a failure.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::budget::Party;

/// The period in which failures count.
pub(super) const WINDOW: Duration = Duration::from_mins(1);

/// The number of keys with failures. Beyond it the key with the oldest failure is forgotten, and a key at its limit only
/// after all others. About 16 MB.
const KEYS: usize = 65_536;

/// The number of failures of all keys. About 8 MB.
const FAILURES: usize = 8 * KEYS;

/// The most expired keys that a new failure removes: more than it adds, and few under the lock.
const REMOVED_AT_ONCE: usize = 4;

/// The subject of a limit of attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AttemptKey {
    /// The client.
    pub(super) party: Party,
    /// Hash of the user file's identity.
    pub(super) file: u64,
    /// Hash of the user, where the client is unknown.
    pub(super) user: Option<u64>,
}

/// The failures of all keys.
#[derive(Debug)]
pub(super) struct Attempts {
    keys: HashMap<AttemptKey, Failures>,
    /// Keys below their limit, by age.
    below: BTreeMap<Age, AttemptKey>,
    /// Keys at their limit, by age.
    at_limit: BTreeMap<Age, AttemptKey>,
    failures: usize,
    number: u64,
    most_keys: usize,
    most_failures: usize,
}

/// The failures of one key, oldest first, at least one.
#[derive(Debug)]
struct Failures {
    times: VecDeque<Instant>,
    age: Age,
    is_at_limit: bool,
}

/// The time of the newest failure, with its number, which makes it unique.
type Age = (Instant, u64);

impl Attempts {
    /// Builds a store without failures.
    pub(super) fn new() -> Self {
        Self::with_room(KEYS, FAILURES)
    }

    fn with_room(most_keys: usize, most_failures: usize) -> Self {
        Self {
            keys: HashMap::new(),
            below: BTreeMap::new(),
            at_limit: BTreeMap::new(),
            failures: 0,
            number: 0,
            most_keys,
            most_failures,
        }
    }

    /// Returns the number of failures left to `key` within a limit of `per_minute`; with none left, the time until one is.
    /// A limit of 0 is none.
    pub(super) fn left(
        &self,
        key: &AttemptKey,
        per_minute: usize,
        now: Instant,
    ) -> Result<usize, Duration> {
        if per_minute == 0 {
            return Ok(usize::MAX);
        }
        let Some(Failures { times, .. }) = self.keys.get(key) else {
            return Ok(per_minute);
        };
        let expired = times.partition_point(|time| is_expired(*time, now));
        let left = per_minute.checked_sub(times.len() - expired);
        left.filter(|left| *left > 0).ok_or_else(|| {
            let decisive = times.get(times.len().saturating_sub(per_minute));
            decisive.map_or(Duration::ZERO, |time| (*time + WINDOW).duration_since(now))
        })
    }

    /// Counts a failure of `key` within a limit of `per_minute`. Without a limit nothing is stored.
    pub(super) fn add(&mut self, key: AttemptKey, per_minute: usize, now: Instant) {
        if per_minute == 0 {
            return;
        }
        self.remove_expired(now);
        while self.failures >= self.most_failures {
            self.evict();
        }
        let mut times = self.take(&key).unwrap_or_default();
        if self.keys.len() >= self.most_keys {
            self.evict();
        }
        let expired = times.partition_point(|time| is_expired(*time, now));
        times.drain(..expired);
        // The clock may have been read before that of the last failure.
        let newest = times.back().map_or(now, |last| now.max(*last));
        times.push_back(newest);
        self.number += 1;
        self.failures += times.len();
        let (age, is_at_limit) = ((newest, self.number), times.len() >= per_minute);
        self.order(is_at_limit).insert(age, key);
        let failures = Failures {
            times,
            age,
            is_at_limit,
        };
        self.keys.insert(key, failures);
    }

    /// Removes a key, and returns the times of its failures.
    fn take(&mut self, key: &AttemptKey) -> Option<VecDeque<Instant>> {
        let known = self.keys.remove(key)?;
        self.order(known.is_at_limit).remove(&known.age);
        self.failures -= known.times.len();
        Some(known.times)
    }

    /// Removes keys whose newest failure has expired.
    fn remove_expired(&mut self, now: Instant) {
        for _ in 0..REMOVED_AT_ONCE {
            let mut oldest = self.oldest().into_iter().flatten();
            let Some((_, key)) = oldest.find(|(newest, _)| is_expired(*newest, now)) else {
                return;
            };
            self.take(&key);
        }
    }

    /// Removes the key that has not failed for the longest time, below its limit if there is one.
    fn evict(&mut self) {
        let [below, at_limit] = self.oldest();
        if let Some((_, key)) = below.or(at_limit) {
            self.take(&key);
        }
    }

    /// Returns the keys below and at their limit that have not failed for the longest time, and since when.
    fn oldest(&self) -> [Option<(Instant, AttemptKey)>; 2] {
        [&self.below, &self.at_limit].map(|order| {
            let ((newest, _), key) = order.first_key_value()?;
            Some((*newest, *key))
        })
    }

    fn order(&mut self, is_at_limit: bool) -> &mut BTreeMap<Age, AttemptKey> {
        if is_at_limit {
            &mut self.at_limit
        } else {
            &mut self.below
        }
    }
}

fn is_expired(time: Instant, now: Instant) -> bool {
    time + WINDOW <= now
}

#[cfg(test)]
mod tests;
