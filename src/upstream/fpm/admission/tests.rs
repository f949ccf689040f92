//! The account under single events; `any_sequence` tests random sequences of them.

mod any_sequence;

use std::time::Duration;

use tokio::time::Instant;

use super::{Admission, After, Arrival, Class, Placed, ReuseLimits, Settings, Slot};
use crate::limits::budget::{Over, Owner, Party, SiteKey};
use crate::threads::Home;
use crate::upstream::flow::Flow;

/// The thread of all requests here.
const HERE: Home = Home::of(0);

const MS: Duration = Duration::from_millis(1);

fn settings() -> Settings {
    Settings {
        capacity: None,
        queue_length: 3,
        scouts: 2,
        turn: 20 * MS,
        keep: 20 * MS,
        reuse: ReuseLimits::default(),
    }
}

/// Returns a request of a client, to the one site.
fn flow(client: u32) -> Flow {
    let owner = Owner {
        party: Party::Connection(client.into()),
        site: SiteKey::default(),
    };
    Flow { owner, class: None }
}

fn worn(reuse: ReuseLimits) -> Settings {
    Settings {
        reuse,
        ..settings()
    }
}

fn kept(settings: Settings) -> Admission<u32, u32> {
    let mut admission = Admission::new(settings);
    admission.classify(Class::Kept);
    admission
}

/// Ends the request on a connection, whose worker may serve the next when it is done.
fn end(admission: &mut Admission<u32, u32>, slot: &mut Slot, now: Instant) {
    assert_eq!(admission.cool(slot, true, now), After::Probe);
}

fn open(admission: &mut Admission<u32, u32>, now: Instant) -> Slot {
    let Arrival::Open(slot) = admission.arrive(now, HERE, &flow(0), || 0) else {
        panic!("no room for a connection");
    };
    slot
}

#[test]
fn requests_to_an_unknown_server_wait_until_one_connection_knows_it() {
    let now = Instant::now();
    let mut admission = Admission::<u32, u32>::new(settings());
    for waiter in [1, 2] {
        assert!(matches!(
            admission.arrive(now, HERE, &flow(waiter), || waiter),
            Arrival::Wait(_)
        ));
    }
    let mut slot = admission.scout(now).unwrap();
    assert_eq!(admission.scout(now), None);
    admission.acknowledged(&mut slot, now, MS / 10);
    admission.classify(Class::Kept);
    assert!(matches!(
        admission.finished(5, HERE, slot, now),
        Placed::Grant(1, ..)
    ));
    assert!(admission.scout(now).is_some());
}

#[test]
fn requests_queue_once_an_acknowledgement_is_late() {
    let now = Instant::now();
    let mut admission = kept(settings());
    let _late = open(&mut admission, now);
    assert!(matches!(
        admission.arrive(now + 6 * MS, HERE, &flow(1), || 1),
        Arrival::Wait(_)
    ));
    assert!(matches!(
        admission.arrive(now + 6 * MS, HERE, &flow(2), || 2),
        Arrival::Wait(_)
    ));
    assert!(matches!(
        admission.arrive(now + 6 * MS, HERE, &flow(3), || 3),
        Arrival::Wait(_)
    ));
    assert_eq!(
        admission.arrive(now + 6 * MS, HERE, &flow(4), || 4),
        Arrival::Full(Over::Total)
    );
    // The late one is a scout already; one more is allowed.
    assert!(admission.scout(now + 6 * MS).is_some());
    assert_eq!(admission.scout(now + 6 * MS), None);
}

#[test]
fn a_request_in_the_servers_own_queue_counts_as_waiting() {
    let mut admission = kept(settings());
    let now = Instant::now();
    let mut slot = open(&mut admission, now);
    assert!(!admission.is_waited_for(now + 4 * MS));
    assert!(admission.is_waited_for(now + 5 * MS));
    admission.acknowledged(&mut slot, now + 6 * MS, 6 * MS);
    assert!(!admission.is_waited_for(now + 60 * MS));
}

#[test]
fn a_finished_connection_serves_the_head_of_the_queue_within_its_turn() {
    let now = Instant::now();
    let mut admission = kept(Settings {
        capacity: Some(1),
        ..settings()
    });
    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, MS / 10);
    assert!(matches!(
        admission.arrive(now, HERE, &flow(7), || 7),
        Arrival::Wait(_)
    ));
    assert!(matches!(
        admission.arrive(now, HERE, &flow(8), || 8),
        Arrival::Wait(_)
    ));
    let Placed::Grant(7, 1, mut slot) = admission.finished(1, HERE, slot, now + 19 * MS) else {
        panic!()
    };
    end(&mut admission, &mut slot, now + 19 * MS);
    // Past its turn it goes back to the server's own queue, with requests waiting.
    assert_eq!(
        admission.finished(1, HERE, slot, now + 20 * MS),
        Placed::Close(1)
    );
    assert!(admission.scout(now + 20 * MS).is_some());
}

#[test]
fn a_worker_that_was_just_found_serves_one_request_for_any_turn() {
    let now = Instant::now();
    let mut admission = kept(Settings {
        turn: Duration::ZERO,
        ..settings()
    });
    let mut first = open(&mut admission, now);
    assert!(matches!(
        admission.arrive(now + 6 * MS, HERE, &flow(1), || 1),
        Arrival::Wait(_)
    ));
    admission.acknowledged(&mut first, now + 6 * MS, 6 * MS);
    let mut scout = admission.scout(now + 6 * MS).unwrap();
    admission.acknowledged(&mut scout, now + 7 * MS, MS);
    let Placed::Grant(1, 5, mut slot) = admission.finished(5, HERE, scout, now + 8 * MS) else {
        panic!("the queue is not served")
    };
    assert_eq!(
        admission.cool(&mut slot, true, now + 9 * MS),
        After::HalfClose
    );
}

#[test]
fn a_worker_that_is_not_done_is_busy_and_a_new_request_waits_for_it_briefly() {
    let now = Instant::now();
    let mut admission = kept(settings());
    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, MS / 10);
    end(&mut admission, &mut slot, now);
    assert_eq!((admission.busy(), admission.cooling()), (1, 1));
    assert!(matches!(
        admission.arrive(now + MS, HERE, &flow(1), || 1),
        Arrival::Wait(_)
    ));
    assert_eq!(admission.scout(now + MS), None, "it will be back");
    // It works on: a scout looks for another, and new requests need not wait for it.
    assert!(admission.scout(now + 2 * MS).is_some());
    assert!(matches!(
        admission.finished(1, HERE, slot, now + 3 * MS),
        Placed::Grant(1, ..)
    ));
    assert_eq!(admission.cooling(), 0);
}

#[test]
fn no_request_waits_for_a_worker_that_works_on() {
    let now = Instant::now();
    let mut admission = kept(settings());
    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, MS / 10);
    end(&mut admission, &mut slot, now);
    let _other = open(&mut admission, now + 2 * MS);
    // Nor for one that will not come back.
    let mut admission = kept(settings());
    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, MS / 10);
    assert_eq!(admission.cool(&mut slot, false, now), After::HalfClose);
    let _other = open(&mut admission, now);
    admission.closed(&slot);
    assert_eq!((admission.busy(), admission.cooling()), (1, 0));
}

#[test]
fn a_server_that_ends_nothing_leaves_room_for_the_next() {
    let now = Instant::now();
    let mut admission = kept(settings());
    admission.classify(Class::Silent);
    let ended = (0..600).map(|_| {
        let mut slot = open(&mut admission, now);
        let after = admission.cool(&mut slot, true, now);
        if after == After::Close {
            admission.closed(&slot);
        }
        after
    });
    let closed = ended.filter(|after| *after == After::Close).count();
    assert_eq!((closed, admission.busy()), (600 - 512, 512));
}

#[test]
fn only_what_acknowledges_workers_is_asked_when_it_is_done() {
    let now = Instant::now();
    for (class, capacity, expected) in [
        (Class::Kept, None, After::Probe),
        (Class::Multiplexed, None, After::Ready),
        (Class::Silent, None, After::HalfClose),
        (Class::Silent, Some(1), After::Ready),
        (Class::Closes, Some(1), After::Ready),
    ] {
        let mut admission = kept(Settings {
            capacity,
            ..settings()
        });
        admission.classify(class);
        let mut slot = open(&mut admission, now);
        if class.acknowledges() {
            admission.acknowledged(&mut slot, now, MS / 10);
        }
        assert_eq!(
            admission.cool(&mut slot, true, now),
            expected,
            "{class:?}, {capacity:?}"
        );
    }
}

#[test]
fn nothing_idles_while_an_acknowledgement_is_late() {
    let now = Instant::now();
    let mut admission = kept(settings());
    let mut slots = [open(&mut admission, now), open(&mut admission, now)];
    admission.acknowledged(&mut slots[0], now, MS / 10);
    let [first, _late] = slots;
    assert_eq!(admission.finished(1, HERE, first, now + MS), Placed::Idle);
    assert_eq!(admission.expire(now + MS), Vec::<u32>::new());
    assert_eq!(admission.expire(now + 2 * MS), vec![1]);
}

#[test]
fn a_server_that_seemed_to_hang_up_is_tried_again() {
    let now = Instant::now();
    let mut admission = Admission::<u32, u32>::new(settings());
    admission.classify(Class::Closes);
    let _first = open(&mut admission, now);
    let _second = open(&mut admission, now + Duration::from_secs(59));
    assert_eq!(admission.class(), Class::Closes);
    let later = now + Duration::from_secs(60);
    assert!(matches!(
        admission.arrive(later, HERE, &flow(1), || 1),
        Arrival::Wait(_)
    ));
    assert_eq!(admission.class(), Class::Unknown);
}

#[test]
fn a_connection_idles_only_where_acknowledgements_are_quick() {
    let now = Instant::now();
    let mut admission = kept(settings());
    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, MS);
    assert_eq!(admission.finished(1, HERE, slot, now), Placed::Idle);
    assert!(matches!(
        admission.arrive(now, HERE, &flow(0), || 0),
        Arrival::Take(1, _)
    ));

    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, 2 * MS);
    assert_eq!(admission.finished(2, HERE, slot, now), Placed::Close(2));
}

#[test]
fn the_last_to_idle_is_the_first_to_serve_and_the_old_expire() {
    let now = Instant::now();
    let mut admission = kept(Settings {
        keep: 5 * MS,
        ..settings()
    });
    let mut slots = [open(&mut admission, now), open(&mut admission, now)];
    for slot in &mut slots {
        admission.acknowledged(slot, now, MS);
    }
    let [first, second] = slots;
    assert_eq!(admission.finished(1, HERE, first, now), Placed::Idle);
    assert_eq!(admission.finished(2, HERE, second, now + MS), Placed::Idle);
    assert_eq!(admission.expire(now + 5 * MS), vec![1]);
    assert!(matches!(
        admission.arrive(now + 5 * MS, HERE, &flow(0), || 0),
        Arrival::Take(2, _)
    ));
    assert_eq!(admission.expire(now + 100 * MS), Vec::<u32>::new());
}

#[test]
fn a_turn_counts_from_the_first_acknowledgement_and_ends_idling_too() {
    let now = Instant::now();
    let mut admission = kept(settings());
    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, MS);
    admission.acknowledged(&mut slot, now + 15 * MS, MS);
    assert_eq!(
        admission.finished(1, HERE, slot, now + 15 * MS),
        Placed::Idle
    );
    assert_eq!(admission.expire(now + 20 * MS), vec![1]);
}

#[test]
fn each_turn_gives_one_worker_back_and_four_turns_give_back_each() {
    let now = Instant::now();
    let mut admission = kept(Settings {
        keep: 1000 * MS,
        ..settings()
    });
    let mut slots = [open(&mut admission, now), open(&mut admission, now)];
    slots
        .iter_mut()
        .for_each(|slot| admission.acknowledged(slot, now, MS));
    let third = {
        let mut slot = open(&mut admission, now);
        admission.acknowledged(&mut slot, now, MS);
        slot
    };
    let [first, second] = slots;
    assert_eq!(
        admission.finished(1, HERE, first, now + 20 * MS),
        Placed::Close(1)
    );
    assert_eq!(
        admission.finished(2, HERE, second, now + 20 * MS),
        Placed::Idle
    );
    assert_eq!(
        admission.finished(3, HERE, third, now + 39 * MS),
        Placed::Idle
    );
    // The next turn takes the next, and the last one stays until it is four turns old.
    assert_eq!(admission.expire(now + 40 * MS), vec![2]);
    assert_eq!(admission.expire(now + 59 * MS), Vec::<u32>::new());
    // As if another had gone back just before.
    admission.given_back = Some(now + 79 * MS);
    assert_eq!(admission.expire(now + 79 * MS), Vec::<u32>::new());
    assert_eq!(admission.expire(now + 80 * MS), vec![3]);
}

#[test]
fn a_retry_is_served_before_all_others_and_a_left_request_is_not() {
    let now = Instant::now();
    let mut admission = kept(Settings {
        capacity: Some(1),
        ..settings()
    });
    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, MS);
    let Arrival::Wait(ticket) = admission.arrive(now, HERE, &flow(1), || 1) else {
        panic!()
    };
    assert!(matches!(
        admission.arrive(now, HERE, &flow(2), || 2),
        Arrival::Wait(_)
    ));
    assert!(matches!(
        admission.retry(now, HERE, &flow(9), || 9),
        Arrival::Wait(_)
    ));
    assert_eq!(admission.leave(ticket), Some(1));
    assert_eq!(admission.leave(ticket), None);
    let Placed::Grant(9, _, slot) = admission.finished(5, HERE, slot, now) else {
        panic!()
    };
    assert!(matches!(
        admission.finished(5, HERE, slot, now),
        Placed::Grant(2, _, _)
    ));
    assert_eq!(admission.waiting(), 0);
}

#[test]
fn a_server_that_acknowledges_nothing_is_kept_only_under_a_capacity() {
    let now = Instant::now();
    let mut free = Admission::<u32, u32>::new(settings());
    free.classify(Class::Silent);
    let slots = [
        open(&mut free, now),
        open(&mut free, now),
        open(&mut free, now),
    ];
    for slot in slots {
        assert_eq!(free.finished(1, HERE, slot, now), Placed::Close(1));
    }
    let mut capped = Admission::<u32, u32>::new(Settings {
        capacity: Some(1),
        ..settings()
    });
    capped.classify(Class::Closes);
    let slot = open(&mut capped, now);
    assert!(matches!(
        capped.arrive(now, HERE, &flow(1), || 1),
        Arrival::Wait(_)
    ));
    assert!(capped.admit(now).is_none());
    capped.closed(&slot);
    let Some((1, slot)) = capped.admit(now) else {
        panic!()
    };
    assert_eq!(capped.finished(1, HERE, slot, now + 100 * MS), Placed::Idle);
}

#[test]
fn no_more_idle_than_allowed() {
    let now = Instant::now();
    let mut admission = kept(worn(ReuseLimits {
        max_idle: Some(1),
        ..ReuseLimits::default()
    }));
    let mut slots = [open(&mut admission, now), open(&mut admission, now)];
    for slot in &mut slots {
        admission.acknowledged(slot, now, MS);
    }
    let [first, second] = slots;
    assert_eq!(admission.finished(1, HERE, first, now), Placed::Idle);
    assert_eq!(admission.finished(2, HERE, second, now), Placed::Close(2));
    assert!(matches!(
        admission.arrive(now, HERE, &flow(0), || 0),
        Arrival::Take(1, _)
    ));
}

#[test]
fn a_connection_serves_max_requests_even_with_requests_waiting() {
    let now = Instant::now();
    let mut admission = kept(Settings {
        capacity: Some(1),
        ..worn(ReuseLimits {
            max_requests: Some(2),
            ..ReuseLimits::default()
        })
    });
    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, MS);
    end(&mut admission, &mut slot, now);
    assert_eq!(admission.finished(1, HERE, slot, now), Placed::Idle);
    let Arrival::Take(1, mut slot) = admission.arrive(now, HERE, &flow(0), || 0) else {
        panic!()
    };
    assert!(matches!(
        admission.arrive(now, HERE, &flow(1), || 1),
        Arrival::Wait(_)
    ));
    assert_eq!(admission.cool(&mut slot, true, now), After::HalfClose);
    assert_eq!(
        admission.scout(now),
        None,
        "its worker is not known to be done"
    );
    admission.closed(&slot);
    assert!(admission.scout(now).is_some(), "for the one that waits");
}

#[test]
fn a_connection_is_closed_at_its_age_idle_or_not() {
    let now = Instant::now();
    let mut admission = kept(worn(ReuseLimits {
        max_age: Some(10 * MS),
        ..ReuseLimits::default()
    }));
    let mut slots = [open(&mut admission, now), open(&mut admission, now)];
    for slot in &mut slots {
        // The age counts from the opening, the turn from the acknowledgement.
        admission.acknowledged(slot, now + 4 * MS, MS);
    }
    let [first, second] = slots;
    assert_eq!(
        admission.finished(1, HERE, first, now + 9 * MS),
        Placed::Idle
    );
    assert_eq!(admission.expire(now + 9 * MS), Vec::<u32>::new());
    assert_eq!(
        admission.finished(2, HERE, second, now + 10 * MS),
        Placed::Close(2)
    );
    assert_eq!(admission.expire(now + 10 * MS), vec![1]);
}

#[test]
fn a_request_from_another_server_has_its_place_behind_all_others() {
    let now = Instant::now();
    let mut admission = kept(Settings {
        capacity: Some(1),
        queue_length: 1,
        ..settings()
    });
    assert!(!admission.would_refuse(now, &flow(2)));
    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, MS);
    assert!(!admission.would_refuse(now, &flow(2)));
    assert!(matches!(
        admission.arrive(now, HERE, &flow(1), || 1),
        Arrival::Wait(_)
    ));
    assert!(admission.would_refuse(now, &flow(2)));
    assert_eq!(
        admission.arrive(now, HERE, &flow(2), || 2),
        Arrival::Full(Over::Total)
    );
    let Arrival::Wait(ticket) = admission.rejoin(now, HERE, &flow(3), || 3) else {
        panic!()
    };
    assert!(matches!(
        admission.finished(5, HERE, slot, now),
        Placed::Grant(1, ..)
    ));
    assert_eq!(admission.leave(ticket), Some(3));
}

#[test]
fn a_server_that_is_given_up_keeps_nothing_and_ends_what_runs() {
    let now = Instant::now();
    let mut admission = kept(settings());
    let mut slots = [open(&mut admission, now), open(&mut admission, now)];
    for slot in &mut slots {
        admission.acknowledged(slot, now, MS);
    }
    let [first, second] = slots;
    assert_eq!(admission.finished(1, HERE, first, now), Placed::Idle);
    assert_eq!(admission.retire(now), vec![1]);
    assert_eq!(admission.busy(), 1);
    assert_eq!(admission.finished(2, HERE, second, now), Placed::Close(2));
    assert_eq!(admission.busy(), 0);
}
