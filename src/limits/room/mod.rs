//! Who makes room for a newcomer where all places are taken. First those whose head does not come (a TLS handshake and a
//! PROXY header are parts of it), the longest first; then those that are idle, the longest first; one with a request
//! never, but its answer may be its last. A connection enters here when it begins to wait, which is when it is accepted
//! and then seldom: what goes from request to request takes no lock.

mod order;

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

pub use order::Wait;
use order::{Order, Ticket};

/// The places of all connections, as far as their holders wait.
#[derive(Debug, Default)]
pub struct Room {
    waiting: Mutex<Order<Option<Waker>>>,
    /// Somebody waits for a place, and nobody could be asked for his.
    is_wanted: AtomicBool,
    given_up: [AtomicU64; Cause::ALL.len()],
}

/// Why a connection was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its head did not come.
    Head,
    /// It was idle.
    Idle,
    /// It had requests again and again, and was closed behind an answer that said so.
    Turn,
}

/// What one connection is to the others. It leaves when dropped.
#[derive(Debug)]
pub struct Seat {
    room: Arc<Room>,
    waits: AtomicBool,
    ticket: Mutex<Option<Ticket>>,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Head, Self::Idle, Self::Turn];

    /// Returns its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Idle => "idle",
            Self::Turn => "turn",
        }
    }
}

impl Room {
    /// Asks whoever comes first by the order above to make room, or else the next one that has an answer.
    pub fn make(&self, now: Instant) {
        let asked = self.lock().pop(now);
        match asked {
            Some(Some(waker)) => waker.wake(),
            // It has not looked yet, and will.
            Some(None) => {}
            None => self.is_wanted.store(true, Ordering::Relaxed),
        }
    }

    /// Notes that nobody waits for a place any more.
    pub fn is_made(&self) {
        if self.is_wanted.load(Ordering::Relaxed) {
            self.is_wanted.store(false, Ordering::Relaxed);
        }
    }

    /// Returns whether the answer that is about to be sent is to be the last of its connection.
    pub fn take_turn(&self) -> bool {
        let taken =
            self.is_wanted.load(Ordering::Relaxed) && self.is_wanted.swap(false, Ordering::Relaxed);
        if taken {
            self.count(Cause::Turn);
        }
        taken
    }

    /// Returns how many wait for so long with a head, and how many idle.
    pub fn waiting(&self) -> (usize, usize) {
        let waiting = self.lock();
        (waiting.count(Wait::Head), waiting.count(Wait::Idle))
    }

    /// Returns how many connections were given up for this.
    pub fn given_up(&self, cause: Cause) -> u64 {
        self.counter(cause)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn count(&self, cause: Cause) {
        if let Some(count) = self.counter(cause) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counter(&self, cause: Cause) -> Option<&AtomicU64> {
        let all = Cause::ALL.into_iter().zip(&self.given_up);
        let mut its = all.filter(|(other, _)| *other == cause);
        its.next().map(|(_, count)| count)
    }

    fn lock(&self) -> MutexGuard<'_, Order<Option<Waker>>> {
        // A poisoned lock guards what is right at every moment.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Builds that of a connection that begins `now`: its first head is to come.
    pub fn new(room: &Arc<Room>, now: Instant) -> Self {
        let seat = Self {
            room: Arc::clone(room),
            waits: AtomicBool::new(false),
            ticket: Mutex::new(None),
        };
        seat.wait(Wait::Head, now);
        seat
    }

    /// Notes that it waits, and since when, unless it does already.
    pub fn wait(&self, wait: Wait, since: Instant) {
        if !self.waits.swap(true, Ordering::Relaxed) {
            *self.ticket() = Some(self.room.lock().push(wait, since, None));
        }
    }

    /// Notes how many connections its client holds: with many the first head must come sooner.
    pub fn hasten(&self, held: usize) {
        let mut ticket = self.ticket();
        if let Some(before) = *ticket
            && let Some(hastened) = self.room.lock().hasten(before, held)
        {
            *ticket = Some(hastened);
        }
    }

    /// Notes that it waits no more: a request has begun, or will.
    pub fn settle(&self) {
        if self.waits.load(Ordering::Relaxed) {
            let ticket = self.take();
            // Whose ticket is no longer there was asked, and has something better to do.
            let left = ticket.map(|ticket| self.room.lock().remove(ticket));
            drop(left);
        }
    }

    /// Returns `Ready`, once, when it is to make room. It does not have to: where a request has come meanwhile another
    /// will be asked.
    pub fn poll_asked(&self, cx: &mut Context<'_>) -> Poll<Cause> {
        if !self.waits.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let Some(ticket) = *self.ticket() else {
            return Poll::Pending;
        };
        if let Some(waker) = self.room.lock().get(ticket) {
            if !waker
                .as_ref()
                .is_some_and(|known| known.will_wake(cx.waker()))
            {
                *waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        self.take();
        Poll::Ready(match ticket.wait() {
            Wait::Head => Cause::Head,
            Wait::Idle => Cause::Idle,
        })
    }

    /// Returns when it is to make room, and counts it as given up.
    pub async fn given_up(&self) {
        let cause = self.asked().await;
        self.give_up(cause);
    }

    /// Returns when it is asked to make room.
    pub async fn asked(&self) -> Cause {
        poll_fn(|cx| self.poll_asked(cx)).await
    }

    /// Counts it as given up.
    pub fn give_up(&self, cause: Cause) {
        self.room.count(cause);
    }

    fn take(&self) -> Option<Ticket> {
        self.waits.store(false, Ordering::Relaxed);
        self.ticket().take()
    }

    fn ticket(&self) -> MutexGuard<'_, Option<Ticket>> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(test)]
mod tests;
