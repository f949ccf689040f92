//! Each policy over tables of loads, and the properties that all have.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::*;

const ALL: [Policy; 3] = [
    Policy::LeastBusy,
    Policy::RoundRobin,
    Policy::FirstAvailable,
];

fn load(busy: usize, waiting: usize) -> Load {
    Load {
        busy,
        waiting,
        is_full: false,
        has_failed: false,
        availability: Availability::Well,
    }
}

fn full(load: Load) -> Load {
    Load {
        is_full: true,
        ..load
    }
}

fn failed(load: Load) -> Load {
    Load {
        has_failed: true,
        ..load
    }
}

fn with(availability: Availability) -> Load {
    Load {
        availability,
        ..load(0, 0)
    }
}

#[test]
fn the_words_of_the_configuration_are_the_policies() {
    let parsed: Vec<_> = Policy::WORDS
        .iter()
        .map(|word| Policy::parse(word))
        .collect();
    assert_eq!(parsed, ALL.map(Some));
    assert_eq!(Policy::parse("random"), None);
}

#[test]
fn the_least_busy_is_picked_and_among_equals_the_first() {
    let pick = |loads: &[Load]| Policy::LeastBusy.pick(loads, 7);
    assert_eq!(pick(&[]), None);
    assert_eq!(pick(&[load(3, 0), load(1, 1), load(2, 0)]), Some(1));
    assert_eq!(pick(&[full(load(0, 1)), load(9, 9)]), Some(1));
    assert_eq!(pick(&[failed(load(0, 0)), load(9, 9)]), Some(1));
}

#[test]
fn turns_go_round_among_the_available_members() {
    let now = Instant::now();
    let picks = |loads: &[Load]| {
        (0..6)
            .map(|turn| Policy::RoundRobin.pick(loads, turn).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(Policy::RoundRobin.pick(&[], 3), None);
    assert_eq!(
        picks(&[load(9, 9), load(0, 0), load(3, 0)]),
        [0, 1, 2, 0, 1, 2]
    );
    let away = with(Availability::Avoided(now));
    assert_eq!(picks(&[load(0, 0), away, load(0, 0)]), [0, 2, 0, 2, 0, 2]);
}

#[test]
fn the_first_that_is_available_is_picked() {
    let now = Instant::now();
    let pick = |loads: &[Load]| Policy::FirstAvailable.pick(loads, 1);
    assert_eq!(pick(&[]), None);
    assert_eq!(pick(&[load(9, 9), load(0, 0)]), Some(0));
    assert_eq!(
        pick(&[with(Availability::Avoided(now)), load(9, 9)]),
        Some(1)
    );
    assert_eq!(pick(&[with(Availability::Due), load(0, 0)]), Some(0));
    assert_eq!(pick(&[full(load(0, 9)), load(9, 9)]), Some(1));
}

#[test]
fn without_an_available_member_the_one_with_the_earliest_trial_is_picked() {
    let now = Instant::now();
    let s = Duration::from_secs(1);
    let loads = [
        with(Availability::Avoided(now + 3 * s)),
        with(Availability::Tried(now + s)),
        with(Availability::Avoided(now + 2 * s)),
    ];
    for policy in ALL {
        assert_eq!(policy.pick(&loads, 5), Some(1), "{policy:?}");
    }
}

fn any_load() -> impl Strategy<Value = Load> {
    let now = Instant::now();
    let availability = prop_oneof![
        Just(Availability::Well),
        Just(Availability::Due),
        Just(Availability::Tried(now)),
        Just(Availability::Avoided(now)),
    ];
    (
        0usize..5,
        0usize..5,
        any::<bool>(),
        any::<bool>(),
        availability,
    )
        .prop_map(|(busy, waiting, is_full, has_failed, availability)| Load {
            busy,
            waiting,
            is_full,
            has_failed,
            availability,
        })
}

proptest! {
    #[test]
    fn no_member_with_a_greater_penalty_is_picked(
        loads in proptest::collection::vec(any_load(), 1..6),
        turn in any::<usize>(),
    ) {
        for policy in ALL {
            let picked = &loads[policy.pick(&loads, turn).unwrap()];
            let eligible = loads.iter().any(|load| load.availability.is_eligible());
            prop_assert_eq!(picked.availability.is_eligible(), eligible);
            if eligible {
                let least = loads.iter().map(Load::penalties).min().unwrap();
                prop_assert_eq!(picked.penalties(), least);
            }
        }
    }
}
