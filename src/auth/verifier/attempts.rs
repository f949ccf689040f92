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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(client: u64) -> AttemptKey {
        AttemptKey {
            party: Party::Connection(client),
            file: 1,
            user: None,
        }
    }

    #[test]
    fn each_failure_counts_for_a_minute() {
        let (mut attempts, start) = (Attempts::new(), Instant::now());
        let at = |seconds: u32| start + SECOND * seconds;
        for second in [0, 10, 20] {
            attempts.add(key(1), 3, at(second));
        }
        for (second, expected) in [
            (20, Err(SECOND * 40)),
            (59, Err(SECOND)),
            (60, Ok(1)),
            (70, Ok(2)),
            (80, Ok(3)),
        ] {
            assert_eq!(attempts.left(&key(1), 3, at(second)), expected, "{second}");
        }
        // A rule with another limit, and one without.
        assert_eq!(attempts.left(&key(1), 2, at(20)), Err(SECOND * 50));
        assert_eq!(attempts.left(&key(1), 5, at(20)), Ok(2));
        assert_eq!(attempts.left(&key(1), 0, at(20)), Ok(usize::MAX));
        assert_eq!(attempts.left(&key(2), 3, at(20)), Ok(3));
    }

    #[test]
    fn a_full_store_forgets_the_oldest_and_keeps_the_refused() {
        let (mut attempts, now) = (Attempts::with_room(3, 100), Instant::now());
        attempts.add(key(1), 1, now);
        for client in 2..6 {
            attempts.add(key(client), 2, now + SECOND);
        }
        let left: Vec<_> = (1..6)
            .map(|client| attempts.left(&key(client), 2, now + SECOND).ok())
            .collect();
        assert_eq!(left, [Some(1), Some(2), Some(2), Some(1), Some(1)]);
        assert!(attempts.left(&key(1), 1, now + SECOND).is_err());
        // Where all are refused the oldest goes, and a newcomer counts.
        for client in 6..9 {
            attempts.add(key(client), 1, now + SECOND * 2);
        }
        let is_refused = |client| attempts.left(&key(client), 1, now + SECOND * 2).is_err();
        assert!(!is_refused(1) && is_refused(6) && is_refused(7) && is_refused(8));
    }

    #[test]
    fn a_refused_key_that_has_expired_goes_before_others() {
        let (mut attempts, now) = (Attempts::with_room(2, 100), Instant::now());
        attempts.add(key(1), 1, now);
        attempts.add(key(2), 2, now + SECOND * 50);
        attempts.add(key(3), 2, now + SECOND * 61);
        let left = |client| attempts.left(&key(client), 2, now + SECOND * 61);
        assert_eq!([left(1), left(2), left(3)], [Ok(2), Ok(1), Ok(1)]);
    }

    proptest! {
        /// Whatever fails when, the store says what a list of all failures says, and holds no more than its room.
        #[test]
        fn a_list_of_all_failures_agrees(
            steps in prop::collection::vec((0_u64..4, 0_u64..30_000, 1_usize..5), 1..200),
        ) {
            let (mut attempts, start) = (Attempts::with_room(4, 1000), Instant::now());
            let mut all: Vec<(u64, Instant)> = Vec::new();
            let mut now = start;
            for (client, passed, limit) in steps {
                now += Duration::from_millis(passed);
                let recent = all.iter().filter(|(it, time)| *it == client && now < *time + WINDOW);
                let recent: Vec<_> = recent.map(|(_, time)| *time).collect();
                let left = attempts.left(&key(client), limit, now);
                if recent.len() < limit {
                    prop_assert_eq!(left, Ok(limit - recent.len()));
                    attempts.add(key(client), limit, now);
                    all.push((client, now));
                } else {
                    let wait = left.unwrap_err();
                    prop_assert_eq!(now + wait, recent[recent.len() - limit] + WINDOW);
                    prop_assert!(attempts.left(&key(client), limit, now + wait).is_ok());
                }
                let stored: usize = attempts.keys.values().map(|it| it.times.len()).sum();
                prop_assert_eq!(stored, attempts.failures);
                prop_assert_eq!(attempts.below.len() + attempts.at_limit.len(), attempts.keys.len());
            }
        }

        /// No sequence of clients exceeds the room.
        #[test]
        fn the_room_is_a_bound(clients in prop::collection::vec((0_u64..50, 1_usize..4), 1..300)) {
            let (mut attempts, now) = (Attempts::with_room(10, 25), Instant::now());
            for (client, limit) in clients {
                attempts.add(key(client), limit, now);
                prop_assert!(attempts.keys.len() <= 10 && attempts.failures <= 25);
            }
        }
    }
}
