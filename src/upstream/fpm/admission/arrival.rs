//! Arrival of a request: a connection at once, or a place in the queue.

use std::time::Duration;

use tokio::time::Instant;

use super::{Admission, Class, Slot, Ticket};
use crate::limits::budget::Over;
use crate::threads::Home;
use crate::upstream::flow::Flow;

/// Validity of the class `Closes`; its renewal costs a probe.
const DOUBT: Duration = Duration::from_secs(60);

/// The result of an arrival.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival<C> {
    /// Use this idle connection.
    Take(C, Slot),
    /// Open a connection.
    Open(Slot),
    /// Wait.
    Wait(Ticket),
    /// The queue has no place.
    Full(Over),
}

impl<C, W> Admission<C, W> {
    /// Admits a request of `flow` on the thread `home`. `waiter` is called only if it has to wait.
    pub fn arrive(
        &mut self,
        now: Instant,
        home: Home,
        flow: &Flow,
        waiter: impl FnOnce() -> W,
    ) -> Arrival<C> {
        if let Some(arrival) = self.try_admit(now, home, flow) {
            return arrival;
        }
        self.busy_when_full = self.busy();
        match self.check_queue(flow) {
            Ok(()) => Arrival::Wait(self.queue.push_back(flow, waiter(), now, home)),
            Err(over) => Arrival::Full(over),
        }
    }

    /// Admits a request that has waited at another server, behind all others of its client; it has its place even in
    /// a full queue.
    pub fn rejoin(
        &mut self,
        now: Instant,
        home: Home,
        flow: &Flow,
        waiter: impl FnOnce() -> W,
    ) -> Arrival<C> {
        match self.try_admit(now, home, flow) {
            Some(arrival) => arrival,
            None => Arrival::Wait(self.queue.push_back(flow, waiter(), now, home)),
        }
    }

    /// Reports whether a request of `flow` that arrived now would find no place in the queue.
    pub fn would_refuse(&self, now: Instant, flow: &Flow) -> bool {
        let may_open = self.class != Class::Unknown && self.may_open(now);
        let at_once = self.queue.waiting() == 0 && (!self.idle.is_empty() || may_open);
        !at_once && self.check_queue(flow).is_err()
    }

    /// Admits a request that was not executed on its connection. It is the next of its client, whose turn is next; it
    /// has its place even in a full queue.
    pub fn retry(
        &mut self,
        now: Instant,
        home: Home,
        flow: &Flow,
        waiter: impl FnOnce() -> W,
    ) -> Arrival<C> {
        match self.try_admit(now, home, flow) {
            Some(arrival) => arrival,
            None => Arrival::Wait(self.queue.push_front(flow, waiter(), now, home)),
        }
    }

    fn check_queue(&self, flow: &Flow) -> Result<(), Over> {
        self.queue.check(flow, self.settings.queue_length)
    }

    /// Returns a connection that is available at once. While requests wait, none passes them.
    fn try_admit(&mut self, now: Instant, home: Home, flow: &Flow) -> Option<Arrival<C>> {
        self.expire_class(now);
        if self.queue.waiting() > 0 {
            return None;
        }
        if let Some(idle) = self.idle.take(home) {
            return Some(Arrival::Take(idle.connection, idle.slot));
        }
        // Worth a moment's wait, if the queue has room.
        let worker_returns = self.returning(now) > 0 && self.check_queue(flow).is_ok();
        if self.class == Class::Unknown || worker_returns || !self.may_open(now) {
            return None;
        }
        Some(Arrival::Open(self.open(now)))
    }

    /// Resets an old class `Closes`: one worker that exited between two probes looks like it.
    fn expire_class(&mut self, now: Instant) {
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
