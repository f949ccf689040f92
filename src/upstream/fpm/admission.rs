//! Admission by acknowledgement (design §4) as a pure state machine: who may use which connection
//! to one server, and who waits. Events go in, decisions come out; time is an argument, and
//! connections `C` and waiting requests `W` are opaque values that are only moved.
//!
//! ```text
//!                arrive ──────────────► Take an idle connection
//!                   │  nobody waits ──► Open a new one (probe and request in one write)
//!                   ▼  else
//!        queue (by turns) ◄── retry, whose client is next
//!                   │
//!   scout: connect, probe ── acknowledged ───────┐
//!   answered ─► cooling ── done, within its turn ┴─► Grant to whose turn it is
//!                  │                                 nobody waits: idle for a moment, or close
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
pub use settings::{Settings, Wear};
pub use slot::Slot;

use crate::threads::Home;
use crate::upstream::flow::Sharing;

/// A connection opened by a request itself is a sign of saturation when it waits longer for its
/// acknowledgement than this; others then wait in our queue and not in the server's backlog.
const PROMPT: Duration = Duration::from_millis(5);

/// A server that took longer to acknowledge is contended: nothing idles there (php-fpm-facts §8).
const QUICK: Duration = Duration::from_millis(2);

/// What becomes of a connection that is free.
#[derive(Debug, PartialEq, Eq)]
pub enum Placed<C, W> {
    /// It serves this request next.
    Grant(W, C, Slot),
    /// It idles.
    Idle,
    /// It must be closed.
    Close(C),
}

/// The account of one server.
#[derive(Debug)]
pub struct Admission<C, W> {
    settings: Settings,
    class: Class,
    queue: Queue<W>,
    /// Since when the class is `Closes`.
    class_since: Option<Instant>,
    idle: Idles<C>,
    open: usize,
    unacknowledged: Vec<(u64, Instant)>,
    cooling: Vec<Cooling>,
    last_acknowledgement: Duration,
    /// When a worker was last given back because of its turn; see [`turn`].
    given_back: Option<Instant>,
    next_id: u64,
    /// Connections in use when a request last had to wait: what the server can do at once, as far
    /// as is known.
    busy_when_full: usize,
}

impl<C, W> Admission<C, W> {
    /// An account without connections.
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

    /// A request leaves the queue; `None` when it was granted a connection before.
    pub fn leave(&mut self, ticket: Ticket) -> Option<W> {
        self.queue.leave(ticket)
    }

    /// Everybody leaves: there is nothing to wait for.
    pub fn abandon(&mut self) -> Vec<W> {
        std::iter::from_fn(|| self.queue.pop(None)).collect()
    }

    /// Whether a further connection should be opened to find a worker for the queue.
    pub fn scout(&mut self, now: Instant) -> Option<Slot> {
        let wanted = self.queue.waiting().saturating_sub(self.returning(now));
        let wanted = wanted.min(self.scout_limit());
        let needed =
            self.class.acknowledges() && self.unacknowledged.len() < wanted && self.has_room();
        needed.then(|| self.open(now))
    }

    /// The server answered the probe on this connection, `took` after it was sent. A further
    /// acknowledgement of a connection that is held already begins no further turn.
    pub fn acknowledged(&mut self, slot: &mut Slot, now: Instant, took: Duration) {
        if slot.acknowledged.is_none() {
            self.unacknowledged.retain(|(id, _)| *id != slot.id);
            slot.acknowledged = Some(now);
            self.last_acknowledgement = took;
        }
    }

    /// A connection of the thread `home` is ready for a request: a scout's, or one whose worker is done.
    pub fn finished(
        &mut self,
        connection: C,
        home: Home,
        slot: Slot,
        now: Instant,
    ) -> Placed<C, W> {
        self.leave_cooling(&slot);
        let used_up = self.is_used_up(&slot, now);
        // A worker that has just been found serves one request, however short its turn.
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

    /// A connection is no more, or could not be opened.
    pub fn closed(&mut self, slot: &Slot) {
        self.leave_cooling(slot);
        self.unacknowledged.retain(|(id, _)| *id != slot.id);
        self.open -= 1;
    }

    /// A waiting request that may open a connection itself: where nothing acknowledges, room is
    /// all that is waited for.
    pub fn admit(&mut self, now: Instant) -> Option<(W, Slot)> {
        if self.class.acknowledges() || !self.has_room() {
            return None;
        }
        let waiter = self.queue.pop(None)?;
        Some((waiter, self.open(now)))
    }

    /// Takes out the connections that have idled for `keep`, those that are used up, and all while
    /// somebody waits for the server.
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

    /// The server is given up: what idles is taken out, and nothing idles any more. What runs or
    /// waits ends as it would have.
    pub fn retire(&mut self, now: Instant) -> Vec<C> {
        self.settings.keep = Duration::ZERO;
        self.expire(now)
    }

    /// Takes other `settings` from now on, as after a reload.
    pub fn adopt(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Returns the settings that it has now.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What the server was found to do with a probe.
    pub fn classify(&mut self, class: Class) {
        self.class = class;
    }

    /// What is known of the server.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Takes other reserves from now on. Requests that wait stay in their order.
    pub fn share(&mut self, sharing: &Sharing) {
        self.queue.share(sharing);
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Returns how many clients wait, and since when the request does that has waited longest.
    pub fn waiting_clients(&self) -> (usize, Option<Instant>) {
        (self.queue.clients(), self.queue.longest())
    }

    /// Connections that serve or are being opened.
    pub fn busy(&self) -> usize {
        self.open - self.idle.len()
    }

    /// How much of the server is in use, from 0 to 1: 1 while anything waits, else the busy part of
    /// what was in use when something last waited; 0 where nothing ever did.
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

    /// Connections that idle.
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

    /// One connection finds out what an unknown server does.
    fn scout_limit(&self) -> usize {
        if self.class == Class::Unknown {
            1
        } else {
            self.settings.scouts
        }
    }

    fn may_idle(&self, now: Instant) -> bool {
        let most = self.settings.wear.max_idle;
        let room = most.is_none_or(|most| self.idle.len() < most);
        room && !self.settings.keep.is_zero() && !self.is_contended(now)
    }

    /// Returns whether somebody waits for a worker, be it in the server's own queue: an idle connection
    /// would keep one from them.
    fn is_contended(&self, now: Instant) -> bool {
        let is_late = |(_, since): &(u64, Instant)| now.duration_since(*since) >= QUICK;
        let late = self.unacknowledged.iter().any(is_late);
        self.class.acknowledges() && (self.last_acknowledgement >= QUICK || late)
    }
}

#[cfg(test)]
mod tests;
