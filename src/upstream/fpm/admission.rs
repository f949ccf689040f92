//! Admission by acknowledgement (docs/internals/admission.md) as a pure state machine, which assigns the connections
//! to one server to requests and queues the others. Events go in, decisions come out; time is an argument, and
//! connections `C` and waiting requests `W` are opaque values that are only moved.
//!
//! ```text
//!                arrive ──────────────► Take an idle connection
//!                   │  queue empty ───► Open a new one (probe and request in one write)
//!                   ▼  else
//!        queue (by turns) ◄── retry, whose client is next
//!                   │
//!   scout: connect, probe ── acknowledged ───────┐
//!   answered ─► cooling ── done, within its turn ┴─► Grant to the next in turn
//!                  │                                 queue empty: idle for a moment, or close
//!                  └─ half-closed ── EOF ──► closed
//! ```

mod arrival;
mod class;
mod cooling;
mod idle;
mod queue;
mod serving;
mod settings;
mod slot;
mod turn;

use std::time::Duration;

use tokio::time::Instant;

pub use arrival::Arrival;
pub use class::Class;
pub use cooling::After;
use cooling::Cooling;
use idle::{Idle, Idles};
use queue::Queue;
pub use queue::Ticket;
pub use settings::{ReuseLimits, Settings};
pub use slot::Slot;

use crate::threads::Home;
use crate::upstream::flow::Sharing;

/// Limit of the time for which a connection opened by a request itself waits for its acknowledgement. A longer wait
/// is a sign of saturation; other requests then wait in our queue and not in the server's backlog.
const PROMPT: Duration = Duration::from_millis(5);

/// A server that takes longer to acknowledge is contended: no connection idles there (docs/internals/admission.md,
/// "Turn and idle").
const QUICK: Duration = Duration::from_millis(2);

/// Use of a free connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Placed<C, W> {
    /// Serves this request next.
    Grant(W, C, Slot),
    /// Idles.
    Idle,
    /// Must be closed.
    Close(C),
}

/// The account of one server.
#[derive(Debug)]
pub struct Admission<C, W> {
    settings: Settings,
    class: Class,
    queue: Queue<W>,
    /// Start of the class `Closes`.
    class_since: Option<Instant>,
    idle: Idles<C>,
    open: usize,
    unacknowledged: Vec<(u64, Instant)>,
    cooling: Vec<Cooling>,
    last_acknowledgement: Duration,
    /// Time at which a worker was last given back because of its turn; see [`turn`].
    given_back: Option<Instant>,
    next_id: u64,
    /// Connections in use when a request last had to wait: the known capacity of the server.
    busy_when_full: usize,
}

impl<C, W> Admission<C, W> {
    /// Builds an account without connections.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            class: Class::Unknown,
            queue: Queue::new(),
            class_since: None,
            idle: Idles::new(),
            open: 0,
            unacknowledged: Vec::new(),
            cooling: Vec::new(),
            last_acknowledgement: Duration::ZERO,
            given_back: None,
            next_id: 0,
            busy_when_full: 0,
        }
    }

    /// Removes a request from the queue; `None` if it was granted a connection before.
    pub fn leave(&mut self, ticket: Ticket) -> Option<W> {
        self.queue.leave(ticket)
    }

    /// Empties the queue, and returns its waiters: the server cannot be used.
    pub fn abandon(&mut self) -> Vec<W> {
        std::iter::from_fn(|| self.queue.pop(None)).collect()
    }

    /// Returns the slot of a further scout, if the queue needs one.
    pub fn scout(&mut self, now: Instant) -> Option<Slot> {
        let unserved = self.queue.waiting().saturating_sub(self.returning(now));
        let wanted = unserved.min(self.scout_limit());
        let needed =
            self.class.acknowledges() && self.unacknowledged.len() < wanted && self.has_room();
        needed.then(|| self.open(now))
    }

    /// Records the answer to the probe on this connection, `took` after it was sent. A further acknowledgement of a
    /// connection that is held already begins no further turn.
    pub fn acknowledged(&mut self, slot: &mut Slot, now: Instant, took: Duration) {
        if slot.acknowledged.is_none() {
            self.unacknowledged.retain(|(id, _)| *id != slot.id);
            slot.acknowledged = Some(now);
            self.last_acknowledgement = took;
        }
    }

    /// Places a connection of the thread `home` that is ready for a request: a scout's, or one whose worker is done.
    pub fn finished(
        &mut self,
        connection: C,
        home: Home,
        slot: Slot,
        now: Instant,
    ) -> Placed<C, W> {
        self.leave_cooling(&slot);
        let used_up = self.is_used_up(&slot, now);
        // A worker that has just been found serves one request, for any length of the turn.
        if (!used_up || slot.served == 0)
            && let Some(waiter) = self.queue.pop(Some(home))
        {
            return Placed::Grant(waiter, connection, slot);
        }
        if !used_up && self.may_idle(now) {
            self.idle.push(Idle {
                connection,
                home,
                slot,
                since: now,
            });
            return Placed::Idle;
        }
        self.give_back(&slot, now);
        Placed::Close(connection)
    }

    /// Removes a connection that was closed, or could not be opened.
    pub fn closed(&mut self, slot: &Slot) {
        self.leave_cooling(slot);
        self.unacknowledged.retain(|(id, _)| *id != slot.id);
        self.open -= 1;
    }

    /// Returns a waiting request that may open a connection itself: without acknowledgements, room is all that it
    /// waits for.
    pub fn admit(&mut self, now: Instant) -> Option<(W, Slot)> {
        if self.class.acknowledges() || !self.has_room() {
            return None;
        }
        let waiter = self.queue.pop(None)?;
        Some((waiter, self.open(now)))
    }

    /// Removes and returns the connections that have idled for `keep`, those that are used up, and all while requests
    /// wait for the server.
    pub fn expire(&mut self, now: Instant) -> Vec<C> {
        let mut idles = std::mem::replace(&mut self.idle, Idles::new());
        let contended = self.is_contended(now);
        let expired = idles.extract(|idle| {
            let kept = !contended && now.duration_since(idle.since) < self.settings.keep;
            let over = !kept || self.is_used_up(&idle.slot, now);
            if over {
                self.give_back(&idle.slot, now);
            }
            over
        });
        self.idle = idles;
        expired
    }

    /// Removes and returns the idle connections, and lets none idle from now on. Running and waiting requests
    /// complete.
    pub fn retire(&mut self, now: Instant) -> Vec<C> {
        self.settings.keep = Duration::ZERO;
        self.expire(now)
    }

    /// Applies other settings, as after a reload.
    pub fn adopt(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Returns the current settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Records the server's reaction to a probe.
    pub fn classify(&mut self, class: Class) {
        self.class = class;
    }

    /// Returns the server's reaction to a probe.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Applies other reserves. Waiting requests keep their order.
    pub fn share(&mut self, sharing: &Sharing) {
        self.queue.share(sharing);
    }

    /// Returns the number of waiting requests.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Returns the number of waiting clients, and the arrival of the oldest waiting request.
    pub fn waiting_clients(&self) -> (usize, Option<Instant>) {
        (self.queue.clients(), self.queue.longest())
    }

    /// Returns the number of connections that serve or are being opened.
    pub fn busy(&self) -> usize {
        self.open - self.idle.len()
    }

    /// Returns the saturation of the server, from 0 to 1: 1 while requests wait, else `busy` divided by the
    /// connections in use when a request last waited; 0 if none ever did.
    pub fn saturation(&self) -> f64 {
        if self.queue.waiting() > 0 {
            return 1.0;
        }
        match (
            u32::try_from(self.busy()),
            u32::try_from(self.busy_when_full),
        ) {
            (Ok(busy), Ok(full)) if full > 0 => (f64::from(busy) / f64::from(full)).min(1.0),
            (Ok(_) | Err(_), _) => 0.0,
        }
    }

    /// Returns the number of idle connections.
    pub fn idle(&self) -> usize {
        self.idle.len()
    }

    fn open(&mut self, now: Instant) -> Slot {
        let id = self.next_id;
        self.next_id += 1;
        self.open += 1;
        if self.class.acknowledges() {
            self.unacknowledged.push((id, now));
        }
        Slot {
            id,
            opened: now,
            acknowledged: None,
            served: 0,
        }
    }

    fn may_open(&self, now: Instant) -> bool {
        let prompt = self
            .unacknowledged
            .iter()
            .all(|(_, since)| now.duration_since(*since) < PROMPT);
        let free = !self.class.acknowledges()
            || (self.unacknowledged.len() < self.scout_limit() && prompt);
        free && self.has_room()
    }

    fn has_room(&self) -> bool {
        self.settings
            .capacity
            .is_none_or(|capacity| self.open < capacity)
    }

    /// Returns the limit of scouts; an unknown server is explored by one.
    fn scout_limit(&self) -> usize {
        if self.class == Class::Unknown {
            1
        } else {
            self.settings.scouts
        }
    }

    fn may_idle(&self, now: Instant) -> bool {
        let most = self.settings.reuse.max_idle;
        let room = most.is_none_or(|most| self.idle.len() < most);
        room && !self.settings.keep.is_zero() && !self.is_contended(now)
    }

    /// Reports whether requests wait for a worker, here or in the server's own queue: an idle connection would occupy
    /// one.
    fn is_contended(&self, now: Instant) -> bool {
        let is_late = |(_, since): &(u64, Instant)| now.duration_since(*since) >= QUICK;
        let late = self.unacknowledged.iter().any(is_late);
        self.class.acknowledges() && (self.last_acknowledgement >= QUICK || late)
    }
}

#[cfg(test)]
mod tests;
