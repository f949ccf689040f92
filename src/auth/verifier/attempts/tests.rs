//! The window, the room, and the order of eviction.

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
    /// The store agrees with a list of all failures.
    #[test]
    fn a_list_of_all_failures_agrees(
        steps in prop::collection::vec((0_u64..4, 0_u64..30_000, 1_usize..5), 1..200),
    ) {
        let (mut attempts, mut now) = (Attempts::with_room(4, 1000), Instant::now());
        let mut all: Vec<(u64, Instant)> = Vec::new();
        for (client, passed, limit) in steps {
            now += Duration::from_millis(passed);
            let is_recent = |(it, time): &&(u64, Instant)| *it == client && now < *time + WINDOW;
            let recent: Vec<_> = all.iter().filter(is_recent).map(|(_, time)| *time).collect();
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
