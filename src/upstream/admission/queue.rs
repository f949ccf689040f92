//! Who waits, in order. A place is left in O(1), whoever stands before it.

use std::collections::VecDeque;

/// A place in the queue. No two waiters ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    place: u64,
    id: u64,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue<W> {
    /// A place that was left is empty until the ends close over it.
    places: VecDeque<Option<(u64, W)>>,
    /// The number of the first place.
    front: u64,
    waiting: usize,
    next_id: u64,
}

impl<W> Queue<W> {
    pub(super) fn new() -> Self {
        Self {
            places: VecDeque::new(),
            // Far from both ends: retries are put in front.
            front: u64::MAX / 2,
            waiting: 0,
            next_id: 0,
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many places there are, those that were left in the middle included.
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    pub(super) fn push_back(&mut self, waiter: W) -> Ticket {
        let place = self.front + self.places.len() as u64;
        let id = self.enter();
        self.places.push_back(Some((id, waiter)));
        Ticket { place, id }
    }

    pub(super) fn push_front(&mut self, waiter: W) -> Ticket {
        self.front -= 1;
        let id = self.enter();
        self.places.push_front(Some((id, waiter)));
        Ticket {
            place: self.front,
            id,
        }
    }

    pub(super) fn pop(&mut self) -> Option<W> {
        let (_, waiter) = self.places.pop_front()??;
        self.front += 1;
        self.waiting -= 1;
        self.close_over();
        Some(waiter)
    }

    /// `None` where the waiter left before; its place may be another's by now.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<W> {
        let index = usize::try_from(ticket.place.checked_sub(self.front)?).ok()?;
        let place = self.places.get_mut(index)?;
        let (_, waiter) = place.take_if(|(id, _)| *id == ticket.id)?;
        self.waiting -= 1;
        self.close_over();
        Some(waiter)
    }

    fn enter(&mut self) -> u64 {
        self.waiting += 1;
        self.next_id += 1;
        self.next_id
    }

    /// Both ends are somebody's.
    fn close_over(&mut self) {
        while matches!(self.places.front(), Some(None)) {
            self.places.pop_front();
            self.front += 1;
        }
        while matches!(self.places.back(), Some(None)) {
            self.places.pop_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_good_for_its_own_waiter_only() {
        let mut queue = Queue::new();
        let first = queue.push_back('a');
        assert_eq!(queue.pop(), Some('a'));
        let retried = queue.push_front('b');
        // The same place, and another waiter.
        assert_eq!(queue.leave(first), None);
        assert_eq!((queue.waiting(), queue.leave(retried)), (1, Some('b')));
    }

    #[test]
    fn places_that_were_left_do_not_pile_up_at_the_ends() {
        let mut queue = Queue::new();
        let _head = queue.push_back(0);
        for waiter in 1..100 {
            let ticket = queue.push_back(waiter);
            assert_eq!(queue.leave(ticket), Some(waiter));
        }
        assert_eq!((queue.waiting(), queue.places()), (1, 1));
    }
}
