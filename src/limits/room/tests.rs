//! The order of evictions, and their effects.

use std::time::Duration;

use super::*;

fn asked(seat: &Seat) -> Option<Cause> {
    match seat.poll_asked(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(cause) => Some(cause),
        Poll::Pending => None,
    }
}

#[test]
fn the_longest_waiting_connection_is_evicted_once() {
    let room = Arc::new(Room::default());
    let begun = Instant::now();
    let [first, second] = [0, 1].map(|second| {
        let seat = Seat::new(&room, begun + Duration::from_secs(second));
        seat.settle();
        seat.wait(Wait::Idle, begun + Duration::from_secs(second));
        seat
    });
    assert_eq!(room.waiting(), (0, 2));
    assert_eq!((asked(&first), asked(&second)), (None, None));
    room.make(begun);
    assert_eq!(asked(&second), None);
    assert_eq!(asked(&first), Some(Cause::Idle));
    assert_eq!(asked(&first), None, "twice");
    assert_eq!(room.waiting(), (0, 1));
}

#[test]
fn a_request_that_comes_meanwhile_goes_first() {
    let room = Arc::new(Room::default());
    let now = Instant::now();
    let seat = Seat::new(&room, now);
    room.make(now + Duration::from_secs(1));
    seat.settle();
    assert_eq!(asked(&seat), None);
    seat.wait(Wait::Idle, now);
    assert_eq!(asked(&seat), None);
    room.make(now);
    assert_eq!(asked(&seat), Some(Cause::Idle));
}

#[test]
fn without_waiting_connections_one_answer_is_the_last() {
    let room = Arc::new(Room::default());
    let now = Instant::now();
    let seat = Seat::new(&room, now);
    assert!(!room.take_turn());
    room.make(now);
    assert!(room.take_turn() && !room.take_turn());
    room.make(now);
    room.is_made();
    assert!(!room.take_turn(), "the request was withdrawn");
    assert_eq!(room.given_up(Cause::Turn), 1);
    drop(seat);
    assert_eq!(room.waiting(), (0, 0));
}
