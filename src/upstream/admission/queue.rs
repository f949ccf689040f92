//! Who waits, in order. A place is left in O(1), whoever stands before it.
//!
//! A connection that comes free is worth more on its own thread: there its next request neither wakes another
//! thread nor moves it to that. So somebody who waits there goes first, if the head came no more than [`LEAD`] before: nobody
//! is overtaken by who came later than that, and beside the time that scripts take it is nothing.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::threads::Home;

/// By how much an order of arrival may be wrong.
const LEAD: Duration = Duration::from_millis(1);

/// How many are looked at for one on the right thread.
const LOOK: usize = 32;

/// A place in the queue. No two waiters ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    place: u64,
    id: u64,
}

/// One who waits.
#[derive(Debug)]
struct Place<W> {
    id: u64,
    /// `None` for who goes before all others.
    since: Option<Instant>,
    home: Home,
    waiter: W,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue<W> {
    /// A place that was left is empty until the ends close over it.
    places: VecDeque<Option<Place<W>>>,
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

    pub(super) fn push_back(&mut self, waiter: W, now: Instant, home: Home) -> Ticket {
        let place = self.front + self.places.len() as u64;
        let id = self.enter();
        self.places.push_back(Some(Place {
            id,
            since: Some(now),
            home,
            waiter,
        }));
        Ticket { place, id }
    }

    pub(super) fn push_front(&mut self, waiter: W, home: Home) -> Ticket {
        self.front -= 1;
        let id = self.enter();
        self.places.push_front(Some(Place {
            id,
            since: None,
            home,
            waiter,
        }));
        Ticket {
            place: self.front,
            id,
        }
    }

    /// The head, or who is as good as it on the thread `home`.
    pub(super) fn pop(&mut self, home: Option<Home>) -> Option<W> {
        let near = home.and_then(|home| self.near(home)).unwrap_or(0);
        let place = self.places.get_mut(near)?.take()?;
        self.waiting -= 1;
        self.close_over();
        Some(place.waiter)
    }

    fn near(&self, home: Home) -> Option<usize> {
        let head = self.places.front()?.as_ref()?;
        let latest = head.since? + LEAD;
        let is_near = |place: &Option<Place<W>>| {
            let place = place.as_ref().filter(|place| place.home == home);
            place.is_some_and(|place| place.since.is_some_and(|since| since <= latest))
        };
        self.places.iter().take(LOOK).position(is_near)
    }

    /// `None` where the waiter left before; its place may be another's by now.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<W> {
        let index = usize::try_from(ticket.place.checked_sub(self.front)?).ok()?;
        let place = self.places.get_mut(index)?;
        let place = place.take_if(|place| place.id == ticket.id)?;
        self.waiting -= 1;
        self.close_over();
        Some(place.waiter)
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
mod tests;
