//! How a request comes to a connection, or to a place in the queue.

use std::time::Duration;

use tokio::time::Instant;

use super::{Admission, Class, Slot, Ticket};
use crate::limits::budget::Over;
use crate::threads::Home;
use crate::upstream::flow::Flow;

/// How long a server is believed to hang up after a probe; finding out again costs it one.
const DOUBT: Duration = Duration::from_secs(60);

/// What becomes of a request that arrives.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival<C> {
    /// Use this idle connection.
    Take(C, Slot),
    /// Open a connection.
    Open(Slot),
    /// Wait.
    Wait(Ticket),
    /// There is no place in the queue.
    Full(Over),
}

impl<C, W> Admission<C, W> {
    /// A request of `flow` on the thread `home` wants a connection. `waiter` is asked for only when it has to wait.
    pub fn arrive(
        &mut self,
        now: Instant,
        home: Home,
        flow: &Flow,
        waiter: impl FnOnce() -> W,
    ) -> Arrival<C> {
        if let Some(arrival) = self.at_once(now, home, flow) {
            return arrival;
        }
        self.busy_when_full = self.busy();
        match self.check_queue(flow) {
            Ok(()) => Arrival::Wait(self.queue.push_back(flow, waiter(), now, home)),
            Err(over) => Arrival::Full(over),
        }
    }

    /// A request that has waited at another server goes on waiting here, behind all others of its client; it has
    /// its place even in a full queue.
    pub fn rejoin(
        &mut self,
        now: Instant,
        home: Home,
        flow: &Flow,
        waiter: impl FnOnce() -> W,
    ) -> Arrival<C> {
        match self.at_once(now, home, flow) {
            Some(arrival) => arrival,
            None => Arrival::Wait(self.queue.push_back(flow, waiter(), now, home)),
        }
    }

    /// Returns whether a request of `flow` that arrived now would find no place in the queue.
    pub fn refuses(&self, now: Instant, flow: &Flow) -> bool {
        let may_open = self.class != Class::Unknown && self.may_open(now);
        let at_once = self.queue.waiting() == 0 && (!self.idle.is_empty() || may_open);
        !at_once && self.check_queue(flow).is_err()
    }

    /// A request that was not executed wants another connection. It is the next of its client, whose turn is next; it has
    /// its place even in a full queue.
    pub fn retry(
        &mut self,
        now: Instant,
        home: Home,
        flow: &Flow,
        waiter: impl FnOnce() -> W,
    ) -> Arrival<C> {
        match self.at_once(now, home, flow) {
            Some(arrival) => arrival,
            None => Arrival::Wait(self.queue.push_front(flow, waiter(), now, home)),
        }
    }

    fn check_queue(&self, flow: &Flow) -> Result<(), Over> {
        self.queue.check(flow, self.settings.queue_length)
    }

    /// While anyone waits, nobody passes.
    fn at_once(&mut self, now: Instant, home: Home, flow: &Flow) -> Option<Arrival<C>> {
        self.doubt(now);
        if self.queue.waiting() > 0 {
            return None;
        }
        if let Some(idle) = self.idle.take(home) {
            return Some(Arrival::Take(idle.connection, idle.slot));
        }
        // Worth a moment, where there is room to wait.
        let worker_returns = self.returning(now) > 0 && self.check_queue(flow).is_ok();
        if self.class == Class::Unknown || worker_returns || !self.may_open(now) {
            return None;
        }
        Some(Arrival::Open(self.open(now)))
    }

    /// One worker that left between two probes makes a server look like one that hangs up.
    fn doubt(&mut self, now: Instant) {
        if self.class == Class::Closes {
            let since = *self.class_since.get_or_insert(now);
            if now.duration_since(since) >= DOUBT {
                self.class = Class::Unknown;
                self.class_since = None;
            }
        } else {
            self.class_since = None;
        }
    }
}
