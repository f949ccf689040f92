//! The states of a server one by one, and the bound of the back-off.

use proptest::prelude::*;

use super::*;

const S: Duration = Duration::from_secs(1);

#[test]
fn the_back_off_doubles_with_each_attempt_and_ends_with_success() {
    let mut now = Instant::now();
    let mut health = Health::default();
    assert_eq!(health.availability(now), Availability::Well);
    for seconds in [1, 2, 4, 8, 16, 30, 30] {
        assert!(health.record_failure(Fault::Connect, now));
        assert!(
            !health.record_failure(Fault::Connect, now),
            "within the back-off"
        );
        let until = now + S * seconds;
        assert_eq!(health.availability(now), Availability::Avoided(until));
        assert!(!health.claim_trial(until - S / 1000));
        now = until;
        assert_eq!(health.availability(now), Availability::Due);
        assert!(health.claim_trial(now));
        assert!(!health.claim_trial(now), "one at a time");
        assert_eq!(
            health.availability(now),
            Availability::Tried(now + S * seconds)
        );
    }
    assert!(health.record_success(Fault::Connect));
    assert_eq!(health.availability(now), Availability::Well);
    assert!(health.record_failure(Fault::Connect, now));
    assert_eq!(health.availability(now), Availability::Avoided(now + S));
}

#[test]
fn a_trial_without_a_result_is_followed_by_another() {
    let now = Instant::now();
    let mut health = Health::default();
    health.record_failure(Fault::Protocol, now);
    assert!(health.claim_trial(now + S));
    assert_eq!(health.availability(now + 2 * S), Availability::Due);
}

#[test]
fn only_the_same_thing_disproves_a_fault() {
    let now = Instant::now();
    let mut health = Health::default();
    health.record_failure(Fault::Protocol, now);
    assert!(!health.record_success(Fault::Connect));
    assert!(!health.availability(now).is_eligible());
    assert!(health.record_success(Fault::Protocol));
    assert!(health.availability(now).is_eligible());
}

proptest! {
    #[test]
    fn no_server_is_avoided_for_longer_than_the_longest_back_off(
        events in proptest::collection::vec((0u8..4, 0u64..40_000), 0..60),
    ) {
        let mut now = Instant::now();
        let mut health = Health::default();
        let mut tries = 0;
        for (event, pause) in events {
            now += Duration::from_millis(pause);
            let before = health.availability(now);
            match event {
                0 => drop(health.record_failure(Fault::Connect, now)),
                1 => drop(health.record_success(Fault::Connect)),
                2 => drop(health.record_success(Fault::Protocol)),
                _ => tries += u32::from(health.claim_trial(now)),
            }
            let after = health.availability(now);
            if event == 3 {
                prop_assert_eq!(before == Availability::Due, matches!(after, Availability::Tried(_)) && before != after);
            }
            if let Availability::Avoided(until) | Availability::Tried(until) = after {
                prop_assert!(until > now && until <= now + LONGEST_BACK_OFF);
            }
            prop_assert!(health.availability(now + LONGEST_BACK_OFF).is_eligible());
        }
        prop_assert!(tries <= 60);
    }
}
