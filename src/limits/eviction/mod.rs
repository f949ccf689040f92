//! Eviction of connections for a newcomer when all places are taken. First those whose head does not arrive (a TLS
//! handshake and a PROXY header are parts of it), the longest first; then idle ones, the longest first; one with a
//! request never, but its answer may be its last. A connection enters here when it begins to wait, which is when it
//! is accepted and then seldom: one that goes from request to request takes no lock.

mod order;

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

pub use order::Wait;
use order::{Order, Ticket};

/// The waiting connections, in the order of their eviction.
#[derive(Debug, Default)]
pub struct EvictionQueue {
    waiting: Mutex<Order<Option<Waker>>>,
    /// Set while a newcomer waits for a place and no waiting connection could be evicted.
    is_wanted: AtomicBool,
    given_up: [AtomicU64; Cause::ALL.len()],
}

/// The state in which a connection was evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Its head did not arrive.
    Head,
    /// It was idle.
    Idle,
    /// Busy: closed after an answer that announced the close.
    Turn,
}

/// A connection's entry in the order of eviction; removed when dropped.
#[derive(Debug)]
pub struct Evictable {
    queue: Arc<EvictionQueue>,
    waits: AtomicBool,
    ticket: Mutex<Option<Ticket>>,
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 3] = [Self::Head, Self::Idle, Self::Turn];

    /// Returns the cause's name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Idle => "idle",
            Self::Turn => "turn",
        }
    }
}

impl EvictionQueue {
    /// Evicts the first connection in the order above, or else requests the end of the next one that sends an answer.
    pub fn evict_one(&self, now: Instant) {
        let asked = self.lock().pop(now);
        match asked {
            Some(Some(waker)) => waker.wake(),
            // It has not polled yet, and will find its ticket gone.
            Some(None) => {}
            None => self.is_wanted.store(true, Ordering::Relaxed),
        }
    }

    /// Withdraws the request for a place: no newcomer waits any more.
    pub fn withdraw_request(&self) {
        if self.is_wanted.load(Ordering::Relaxed) {
            self.is_wanted.store(false, Ordering::Relaxed);
        }
    }

    /// Reports whether the answer about to be sent is to be the last of its connection, and takes the request for a
    /// place.
    pub fn take_request(&self) -> bool {
        let taken =
            self.is_wanted.load(Ordering::Relaxed) && self.is_wanted.swap(false, Ordering::Relaxed);
        if taken {
            self.count(Cause::Turn);
        }
        taken
    }

    /// Returns the numbers of connections that wait for a head, and of idle ones.
    pub fn waiting(&self) -> (usize, usize) {
        let waiting = self.lock();
        (waiting.count(Wait::Head), waiting.count(Wait::Idle))
    }

    /// Returns the number of connections evicted for this cause.
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
        // A poisoned lock guards an order that is valid at every moment.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Evictable {
    /// Builds the entry of a connection that begins `now`, waiting for its first head.
    pub fn new(queue: &Arc<EvictionQueue>, now: Instant) -> Self {
        let evictable = Self {
            queue: Arc::clone(queue),
            waits: AtomicBool::new(false),
            ticket: Mutex::new(None),
        };
        evictable.start_wait(Wait::Head, now);
        evictable
    }

    /// Starts the wait of the connection, unless it waits already.
    pub fn start_wait(&self, wait: Wait, since: Instant) {
        if !self.waits.swap(true, Ordering::Relaxed) {
            *self.ticket() = Some(self.queue.lock().push(wait, since, None));
        }
    }

    /// Shortens the grace of the first head according to the number of connections that the client holds.
    pub fn shorten_grace(&self, held: usize) {
        let mut ticket = self.ticket();
        if let Some(before) = *ticket
            && let Some(hastened) = self.queue.lock().shorten_grace(before, held)
        {
            *ticket = Some(hastened);
        }
    }

    /// Ends the wait: a request has begun, or will.
    pub fn end_wait(&self) {
        if self.waits.load(Ordering::Relaxed) {
            let ticket = self.take();
            // A missing ticket is an eviction that the new request overtakes.
            let left = ticket.map(|ticket| self.queue.lock().remove(ticket));
            drop(left);
        }
    }

    /// Returns `Ready`, once, when the connection is to be evicted. It may ignore that for a request that has arrived
    /// meanwhile: another connection is evicted then.
    pub fn poll_eviction(&self, cx: &mut Context<'_>) -> Poll<Cause> {
        if !self.waits.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let Some(ticket) = *self.ticket() else {
            return Poll::Pending;
        };
        if let Some(waker) = self.queue.lock().get(ticket) {
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

    /// Waits until the connection is to be evicted, and counts that.
    pub async fn wait_until_evicted(&self) {
        let cause = self.wait_for_eviction().await;
        self.count_eviction(cause);
    }

    /// Waits until the connection is to be evicted.
    pub async fn wait_for_eviction(&self) -> Cause {
        poll_fn(|cx| self.poll_eviction(cx)).await
    }

    /// Counts the eviction.
    pub fn count_eviction(&self, cause: Cause) {
        self.queue.count(cause);
    }

    fn take(&self) -> Option<Ticket> {
        self.waits.store(false, Ordering::Relaxed);
        self.ticket().take()
    }

    fn ticket(&self) -> MutexGuard<'_, Option<Ticket>> {
        self.ticket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Evictable {
    fn drop(&mut self) {
        self.end_wait();
    }
}

#[cfg(test)]
mod tests;
