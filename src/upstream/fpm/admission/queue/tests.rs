//! The order of turns, the limits of places, and requests that leave.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::limits::budget::{Owner, SiteKey};
use crate::upstream::flow::{ClassKey, Reserve};

const HERE: Home = Home::of(0);
const THERE: Home = Home::of(1);

fn site(number: u8) -> SiteKey {
    SiteKey::of(&number.to_string())
}

/// Returns a request of a client to a site, in no class.
fn flow(client: u64, at: u8) -> Flow {
    let party = Party::Connection(client);
    let site = site(at);
    let owner = Owner { party, site };
    Flow { owner, class: None }
}

fn class(at: u8) -> ClassKey {
    let site = site(at);
    ClassKey { site, rule: None }
}

/// Returns a request in the class of its site.
fn reserved(client: u64, at: u8) -> Flow {
    Flow {
        class: Some(class(at)),
        ..flow(client, at)
    }
}

/// Returns the shares of several sites, some of them with a reserve in per cent.
fn sharing(reserves: &[(u8, u8)]) -> Sharing {
    let reserves = reserves.iter().map(|(at, percent)| Reserve {
        class: class(*at),
        percent: *percent,
    });
    Sharing {
        has_several_sites: true,
        reserves: reserves.collect(),
    }
}

fn push(queue: &mut Queue<u64>, flow: Flow, waiter: u64) -> Ticket {
    queue.push_back(&flow, waiter, Instant::now(), HERE)
}

/// Enters requests until one is refused; returns their number, and the reason of the refusal.
fn fill(queue: &mut Queue<u64>, flow: Flow, length: usize) -> (usize, Over) {
    let mut entered = 0;
    loop {
        match queue.check(&flow, length) {
            Ok(()) => drop(push(queue, flow, 0)),
            Err(over) => return (entered, over),
        }
        entered += 1;
    }
}

#[test]
fn a_ticket_is_good_for_its_own_waiter_only() {
    let mut queue = Queue::new();
    let first = push(&mut queue, flow(1, 1), 1);
    assert_eq!(queue.pop(None), Some(1));
    let retried = queue.push_front(&flow(1, 1), 2, Instant::now(), HERE);
    // The same place, and another waiter.
    assert_eq!(queue.leave(first), None);
    assert_eq!((queue.waiting(), queue.leave(retried)), (1, Some(2)));
}

#[test]
fn requests_that_leave_free_all_their_nodes() {
    let mut queue = Queue::new();
    queue.share(&sharing(&[(1, 20)]));
    let roots = queue.rounds.size();
    for round in 0..100 {
        let flows = [reserved(round, 1), flow(round, 1), flow(round, 2)];
        let tickets = flows.map(|flow| push(&mut queue, flow, round));
        queue.pop(None);
        for ticket in tickets {
            queue.leave(ticket);
        }
    }
    assert_eq!((queue.waiting(), queue.clients()), (0, 0));
    assert_eq!(queue.rounds.size(), roots);
}

#[test]
fn a_request_on_the_right_thread_goes_first_within_its_client() {
    let now = Instant::now();
    let mut queue = Queue::new();
    let client = flow(1, 1);
    queue.push_back(&client, "head", now, HERE);
    queue.push_back(&client, "later", now + LEAD, THERE);
    queue.push_back(&client, "too late", now + LEAD * 2 + LEAD / 2, THERE);
    assert_eq!(queue.pop(Some(THERE)), Some("later"));
    assert_eq!(queue.pop(Some(THERE)), Some("head"));
    // A request that was on a connection already goes before all others.
    queue.push_front(&client, "again", now, HERE);
    assert_eq!(queue.pop(Some(THERE)), Some("again"));
    // Another client has its turn, on whatever thread.
    queue.push_back(&flow(2, 1), "another", now, THERE);
    assert_eq!(queue.pop(Some(HERE)), Some("too late"));
    queue.push_back(&client, "and again", now, HERE);
    assert_eq!(queue.pop(Some(HERE)), Some("another"));
}

#[test]
fn a_deep_queue_is_not_searched() {
    let now = Instant::now();
    let mut queue = Queue::new();
    for waiter in 0..LOOK {
        queue.push_back(&flow(1, 1), waiter, now, HERE);
    }
    queue.push_back(&flow(1, 1), LOOK, now, THERE);
    assert_eq!(queue.pop(Some(THERE)), Some(0));
    assert_eq!(queue.pop(Some(THERE)), Some(LOOK));
}

#[test]
fn sites_take_turns_and_then_their_clients() {
    let mut queue = Queue::new();
    for (client, at, waiter) in [
        (1, 1, 10),
        (1, 1, 11),
        (2, 1, 20),
        (3, 1, 30),
        (1, 2, 40),
        (1, 2, 41),
        (1, 2, 42),
    ] {
        push(&mut queue, flow(client, at), waiter);
    }
    let order: Vec<_> = std::iter::from_fn(|| queue.pop(None)).collect();
    assert_eq!(order, [10, 40, 20, 41, 30, 42, 11]);
}

#[test]
fn a_retry_is_the_next_of_its_client_whose_turn_is_next() {
    let mut queue = Queue::new();
    for (client, at, waiter) in [(1, 1, 10), (1, 1, 11), (2, 1, 20), (3, 2, 30), (3, 2, 31)] {
        push(&mut queue, flow(client, at), waiter);
    }
    queue.push_front(&flow(3, 2), 39, Instant::now(), HERE);
    let order: Vec<_> = std::iter::from_fn(|| queue.pop(None)).collect();
    assert_eq!(order, [39, 10, 30, 20, 31, 11]);
}

#[test]
fn one_client_has_half_of_the_places_and_many_leave_one_for_a_newcomer() {
    for length in [1, 2, 3, 10, 100, 1024] {
        let mut queue = Queue::new();
        let (alone, over) = fill(&mut queue, flow(0, 1), length);
        assert_eq!(alone, length.div_ceil(2), "of {length}");
        let expected = match length {
            1 => Over::Total,
            _ => Over::Client,
        };
        assert_eq!(over, expected);
    }
    let mut queue = Queue::new();
    for client in 0..9 {
        fill(&mut queue, flow(client, 1), 1000);
    }
    for client in 0..9 {
        while queue.check(&flow(client, 1), 1000).is_ok() {
            push(&mut queue, flow(client, 1), 0);
        }
    }
    assert!(queue.check(&flow(10, 1), 1000).is_ok());
    assert_eq!(queue.check(&flow(10, 1), 0), Err(Over::Total));
}

#[test]
fn a_client_has_one_share_on_all_sites() {
    let mut queue = Queue::new();
    queue.share(&sharing(&[]));
    assert_eq!(fill(&mut queue, flow(1, 1), 100), (50, Over::Client));
    assert_eq!(fill(&mut queue, flow(1, 2), 100), (0, Over::Client));
}

#[test]
fn a_site_with_many_clients_leaves_a_quarter_where_there_are_others() {
    for (has_several_sites, expected) in [(true, (750, Over::Site)), (false, (1000, Over::Total))] {
        let mut queue = Queue::new();
        queue.share(&Sharing {
            has_several_sites,
            ..Sharing::default()
        });
        let mut entered = 0;
        let refused = loop {
            let one = flow(entered, 1);
            match queue.check(&one, 1000) {
                Ok(()) => drop(push(&mut queue, one, 0)),
                Err(over) => break over,
            }
            entered += 1;
        };
        assert_eq!((entered, refused), expected);
        let another = queue.check(&flow(5000, 2), 1000);
        assert_eq!(another.is_ok(), has_several_sites);
    }
}

#[test]
fn a_class_has_places_that_others_cannot_take() {
    let mut queue = Queue::new();
    queue.share(&Sharing {
        has_several_sites: false,
        ..sharing(&[(1, 20)])
    });
    for client in 0..2000 {
        if queue.check(&flow(client, 2), 1000).is_ok() {
            push(&mut queue, flow(client, 2), 0);
        }
    }
    assert_eq!(queue.waiting(), 800);
    // Of its own places a client has half, and others find the rest.
    assert_eq!(fill(&mut queue, reserved(3000, 1), 1000).0, 100);
    assert_eq!(fill(&mut queue, reserved(3001, 1), 1000).0, 50);
    assert_eq!(queue.check(&flow(4000, 3), 1000), Err(Over::Total));
    // A part of one place is none.
    assert_eq!(fill(&mut Queue::new(), flow(1, 1), 1).0, 1);
}

/// Of four sites, two have a reserve; each gets its reserve or, if that is more, an equal part of the rest.
#[test]
fn a_class_gets_its_part_of_the_grants_while_it_waits() {
    for (percents, expected) in [
        ([20, 0], [2500, 2500, 2500, 2500]),
        ([1, 79], [700, 7900, 700, 700]),
        ([40, 40], [4000, 4000, 1000, 1000]),
        ([33, 7], [3300, 2233, 2233, 2233]),
        ([80, 0], [8000, 667, 667, 667]),
    ] {
        let mut queue = Queue::new();
        let reserves = (1..).zip(percents).filter(|(_, percent)| *percent > 0);
        queue.share(&sharing(&reserves.collect::<Vec<_>>()));
        for _ in 0..10_000 {
            for (client, at) in [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4)] {
                push(&mut queue, reserved(client, at), at.into());
            }
        }
        let mut granted = [0_u32; 4];
        for _ in 0..10_000 {
            let waiter = queue.pop(None).unwrap();
            granted[usize::try_from(waiter).unwrap() - 1] += 1;
        }
        for (granted, expected) in granted.into_iter().zip(expected) {
            assert!(
                granted.abs_diff(expected) <= 10,
                "{percents:?}: {granted} of {expected}"
            );
        }
    }
}

#[test]
fn a_reserve_is_the_least_and_the_first_of_a_class_need_not_wait() {
    let mut queue = Queue::new();
    queue.share(&sharing(&[(1, 10)]));
    for waiter in 0..100 {
        push(&mut queue, flow(waiter % 10, 2), 2);
    }
    for _ in 0..20 {
        assert_eq!(queue.pop(None), Some(2));
    }
    push(&mut queue, reserved(1, 1), 1);
    assert_eq!(queue.pop(None), Some(1));
    // With one other site it has half, and no more by its reserve.
    for _ in 0..100 {
        push(&mut queue, reserved(1, 1), 1);
    }
    let granted: Vec<_> = (0..40).map(|_| queue.pop(None).unwrap()).collect();
    let own = granted.iter().filter(|waiter| **waiter == 1).count();
    assert!((20..=22).contains(&own), "{granted:?}");
}

#[test]
fn within_a_class_clients_take_turns() {
    let mut queue = Queue::new();
    queue.share(&sharing(&[(1, 50)]));
    for _ in 0..100 {
        push(&mut queue, reserved(1, 1), 1);
    }
    for _ in 0..100 {
        push(&mut queue, flow(9, 2), 9);
    }
    push(&mut queue, reserved(2, 1), 2);
    let order: Vec<_> = (0..6).map(|_| queue.pop(None).unwrap()).collect();
    assert!(order.contains(&2), "{order:?}");
}

#[test]
fn a_request_in_a_removed_class_waits_on() {
    let mut queue = Queue::new();
    queue.share(&sharing(&[(1, 10), (2, 80)]));
    for waiter in 0..4 {
        push(&mut queue, reserved(waiter, 2), waiter);
    }
    queue.share(&sharing(&[(1, 10)]));
    push(&mut queue, reserved(4, 2), 4);
    let order: Vec<_> = std::iter::from_fn(|| queue.pop(None)).collect();
    assert_eq!(order, [0, 1, 2, 3, 4]);
    queue.share(&sharing(&[]));
    assert_eq!(queue.rounds.size(), 1, "the common round is left");
}

/// An event; the numbers choose among the candidates.
#[derive(Clone, Debug)]
enum Event {
    Arrive(Flow),
    Retry(Flow),
    Leave(usize),
    Grant,
}

fn any_flow() -> impl Strategy<Value = Flow> {
    (0_u64..5, 1_u8..4, any::<bool>()).prop_map(|(client, at, is_reserved)| {
        if is_reserved {
            reserved(client, at)
        } else {
            flow(client, at)
        }
    })
}

fn event(retries: u32) -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => any_flow().prop_map(Event::Arrive),
        retries => any_flow().prop_map(Event::Retry),
        2 => any::<usize>().prop_map(Event::Leave),
        4 => Just(Event::Grant),
    ]
}

/// A waiting request.
#[derive(Clone, Copy, Debug)]
struct Waits {
    id: u64,
    flow: Flow,
    ticket: Ticket,
}

/// The request whose turn is waited for.
const WATCHED: u64 = 1_000_000;

proptest! {
    /// No request passes another of its client, and a client that comes waits no longer than one grant for each other
    /// one of its site, times the three sites.
    #[test]
    fn each_client_has_its_turn(
        before in proptest::collection::vec(event(0), 0..300),
        after in proptest::collection::vec(event(0), 0..300),
        at in 1_u8..4,
    ) {
        let mut queue = Queue::new();
        let mut waiting: VecDeque<Waits> = VecDeque::new();
        let comes = before.len();
        let (mut grants, mut most) = (0, 0);
        for (number, event) in before.into_iter().chain(after).enumerate() {
            let id = u64::try_from(number).unwrap();
            if number == comes {
                push(&mut queue, flow(99, at), WATCHED);
            }
            let clients = (0..5).filter(|client| {
                let owner = flow(*client, at).owner;
                waiting.iter().any(|waits| waits.flow.owner == owner)
            });
            most = most.max(3 * (1 + clients.count()));
            match event {
                Event::Arrive(flow) | Event::Retry(flow) => {
                    let ticket = push(&mut queue, flow, id);
                    waiting.push_back(Waits { id, flow, ticket });
                }
                Event::Leave(_) if waiting.is_empty() => {}
                Event::Leave(index) => {
                    let left = waiting.remove(index % waiting.len()).unwrap();
                    prop_assert_eq!(queue.leave(left.ticket), Some(left.id));
                }
                Event::Grant => {
                    let Some(granted) = queue.pop(None) else {
                        continue;
                    };
                    if granted == WATCHED {
                        break;
                    }
                    grants += usize::from(number >= comes);
                    prop_assert!(grants < most, "{} grants and {} turns", grants, most);
                    let index = waiting.iter().position(|waits| waits.id == granted).unwrap();
                    let owner = waiting[index].flow.owner;
                    let first = waiting.iter().find(|waits| waits.flow.owner == owner);
                    prop_assert_eq!(first.unwrap().id, granted);
                    waiting.remove(index);
                }
            }
        }
    }

    /// After any events the sums agree, each admitted request finds a place, and nothing is left in the end.
    #[test]
    fn the_sums_agree(
        events in proptest::collection::vec(event(1), 0..300),
        length in 0_usize..40,
        percents in (0_u8..40, 0_u8..40),
    ) {
        let mut queue = Queue::new();
        queue.share(&sharing(&[(1, percents.0), (2, percents.1)]));
        let roots = queue.rounds.size();
        let mut waiting: Vec<Waits> = Vec::new();
        let (mut arrived, mut retried) = (0, 0);
        for (id, event) in (0..).zip(events) {
            match event {
                Event::Arrive(flow) => {
                    if queue.check(&flow, length).is_ok() {
                        arrived += 1;
                        let ticket = push(&mut queue, flow, id);
                        waiting.push(Waits { id, flow, ticket });
                    }
                }
                Event::Retry(flow) => {
                    retried += 1;
                    let ticket = queue.push_front(&flow, id, Instant::now(), HERE);
                    waiting.push(Waits { id, flow, ticket });
                }
                Event::Leave(_) if waiting.is_empty() => {}
                Event::Leave(index) => {
                    let left = waiting.swap_remove(index % waiting.len());
                    prop_assert_eq!(queue.leave(left.ticket), Some(left.id));
                    prop_assert_eq!(queue.leave(left.ticket), None);
                }
                Event::Grant => {
                    let granted = queue.pop(Some(HERE));
                    prop_assert_eq!(granted.is_none(), waiting.is_empty());
                    waiting.retain(|waits| Some(waits.id) != granted);
                }
            }
            prop_assert_eq!(queue.waiting(), waiting.len());
            prop_assert!(waiting.len() <= length + retried, "{} arrived", arrived);
            let parties: std::collections::HashSet<_> =
                waiting.iter().map(|waits| waits.flow.owner.party).collect();
            prop_assert_eq!(queue.clients(), parties.len());
        }
        while queue.pop(None).is_some() {}
        prop_assert_eq!((queue.clients(), queue.rounds.size()), (0, roots));
    }
}
