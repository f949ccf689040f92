//! The order of evictions, and their effects.

use std::time::Duration;

use super::*;

fn asked(evictable: &Evictable) -> Option<Cause> {
    match evictable.poll_eviction(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(cause) => Some(cause),
        Poll::Pending => None,
    }
}

#[test]
fn the_longest_waiting_connection_is_evicted_once() {
    let queue = Arc::new(EvictionQueue::default());
    let begun = Instant::now();
    let [first, second] = [0, 1].map(|second| {
        let evictable = Evictable::new(&queue, begun + Duration::from_secs(second));
        evictable.end_wait();
        evictable.start_wait(Wait::Idle, begun + Duration::from_secs(second));
        evictable
    });
    assert_eq!(queue.waiting(), (0, 2));
    assert_eq!((asked(&first), asked(&second)), (None, None));
    queue.evict_one(begun);
    assert_eq!(asked(&second), None);
    assert_eq!(asked(&first), Some(Cause::Idle));
    assert_eq!(asked(&first), None, "twice");
    assert_eq!(queue.waiting(), (0, 1));
}

#[test]
fn a_request_that_comes_meanwhile_goes_first() {
    let queue = Arc::new(EvictionQueue::default());
    let now = Instant::now();
    let evictable = Evictable::new(&queue, now);
    queue.evict_one(now + Duration::from_secs(1));
    evictable.end_wait();
    assert_eq!(asked(&evictable), None);
    evictable.start_wait(Wait::Idle, now);
    assert_eq!(asked(&evictable), None);
    queue.evict_one(now);
    assert_eq!(asked(&evictable), Some(Cause::Idle));
}

#[test]
fn without_waiting_connections_one_answer_is_the_last() {
    let queue = Arc::new(EvictionQueue::default());
    let now = Instant::now();
    let evictable = Evictable::new(&queue, now);
    assert!(!queue.take_request());
    queue.evict_one(now);
    assert!(queue.take_request() && !queue.take_request());
    queue.evict_one(now);
    queue.withdraw_request();
    assert!(!queue.take_request(), "the request was withdrawn");
    assert_eq!(queue.given_up(Cause::Turn), 1);
    drop(evictable);
    assert_eq!(queue.waiting(), (0, 0));
}
