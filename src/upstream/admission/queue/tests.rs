//! Who goes first, and who leaves.

use super::*;

const HERE: Home = Home::of(0);
const THERE: Home = Home::of(1);

#[test]
fn a_ticket_is_good_for_its_own_waiter_only() {
    let mut queue = Queue::new();
    let first = queue.push_back('a', Instant::now(), HERE);
    assert_eq!(queue.pop(None), Some('a'));
    let retried = queue.push_front('b', HERE);
    // The same place, and another waiter.
    assert_eq!(queue.leave(first), None);
    assert_eq!((queue.waiting(), queue.leave(retried)), (1, Some('b')));
}

#[test]
fn places_that_were_left_do_not_pile_up_at_the_ends() {
    let now = Instant::now();
    let mut queue = Queue::new();
    let _head = queue.push_back(0, now, HERE);
    for waiter in 1..100 {
        let ticket = queue.push_back(waiter, now, HERE);
        assert_eq!(queue.leave(ticket), Some(waiter));
    }
    assert_eq!((queue.waiting(), queue.places()), (1, 1));
}

#[test]
fn who_is_on_the_right_thread_goes_first_within_bounds() {
    let now = Instant::now();
    let mut queue = Queue::new();
    queue.push_back("head", now, HERE);
    queue.push_back("later", now + LEAD, THERE);
    queue.push_back("too late", now + LEAD * 2 + LEAD / 2, THERE);
    assert_eq!(queue.pop(Some(THERE)), Some("later"));
    assert_eq!(queue.pop(Some(THERE)), Some("head"));
    // Whoever was on a connection already goes before all others.
    queue.push_front("again", HERE);
    assert_eq!(queue.pop(Some(THERE)), Some("again"));
    assert_eq!(queue.pop(None), Some("too late"));
    assert_eq!((queue.waiting(), queue.places()), (0, 0));
}

#[test]
fn a_deep_queue_is_not_searched() {
    let now = Instant::now();
    let mut queue = Queue::new();
    for waiter in 0..LOOK {
        queue.push_back(waiter, now, HERE);
    }
    queue.push_back(LOOK, now, THERE);
    assert_eq!(queue.pop(Some(THERE)), Some(0));
    assert_eq!(queue.pop(Some(THERE)), Some(LOOK));
}
