//! A server of an upstream: its account ([`super::admission`]) behind a lock that is held briefly, and the tasks that
//! act on it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::admission::{Admission, After, Arrival, Class, Placed, Settings, Slot, Ticket};
use super::lease::Lease;
use crate::limits::budget::Over;
use crate::moment;
use crate::threads::Home;
use crate::upstream::Address;
use crate::upstream::balanced::Balanced;
use crate::upstream::condition::Condition;
use crate::upstream::demand::{Demand, LeaseError, Order};
use crate::upstream::flow::{Flow, Sharing};
use crate::upstream::health::Fault;
use crate::upstream::numbers::Numbers;
use crate::upstream::policy::Load;
use crate::upstream::pool::{Pool, Pooled};

/// The configured settings of each member of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberSettings {
    /// Limits of its use.
    pub admission: Settings,
    /// Time limit of one attempt to connect; zero is no limit.
    pub connect: Duration,
    /// `type` is "generic": a server that closes the connection on a probe is then used without one.
    pub is_generic: bool,
}

/// One server.
#[derive(Debug)]
pub struct Member {
    pub(super) condition: Condition,
    pub(super) pool: Pool,
    account: Mutex<Admission<Pooled, Waiter>>,
    /// Times of the last connections closed without a byte, the newest last.
    pub(super) hang_ups: Mutex<Vec<Instant>>,
    /// See [`MemberSettings::is_generic`].
    pub(super) is_generic: AtomicBool,
    /// Wakes the housekeeping task when there may be room; see `super::keeper`.
    pub(super) room: Notify,
    pub(super) has_keeper: AtomicBool,
    /// Set if it answers probes as PHP-FPM does.
    is_fpm: AtomicBool,
    numbers: Numbers,
}

/// The sender of a lease to a waiting request.
pub(super) type Waiter = oneshot::Sender<Lease>;

/// The result of a request's arrival at a member.
pub(super) enum Admitted {
    /// An idle connection.
    Idle(Lease),
    /// The lease of a connection that is still to be opened.
    Open(Lease),
    /// A place in the queue.
    Wait(Ticket, oneshot::Receiver<Lease>),
    /// The queue has no place.
    Full(Over),
}

impl Balanced for Member {
    type Settings = MemberSettings;
    type Lease = Lease;

    fn new(address: Address, settings: MemberSettings, changes: &Arc<Notify>) -> Arc<Self> {
        let member = Self {
            pool: Pool::new(address.clone()),
            condition: Condition::new(address, changes),
            account: Mutex::new(Admission::new(settings.admission)),
            hang_ups: Mutex::default(),
            is_generic: AtomicBool::new(false),
            room: Notify::new(),
            has_keeper: AtomicBool::new(false),
            is_fpm: AtomicBool::new(false),
            numbers: Numbers::default(),
        };
        member.adopt(settings);
        Arc::new(member)
    }

    fn condition(&self) -> &Condition {
        &self.condition
    }

    fn load(&self, now: Instant, flow: &Flow) -> Load {
        let availability = self.condition.availability(now);
        let account = self.account();
        Load {
            busy: account.busy(),
            waiting: account.waiting(),
            is_full: account.would_refuse(now, flow),
            has_failed: false,
            availability,
        }
    }

    fn adopt(&self, settings: MemberSettings) {
        self.account().adopt(settings.admission);
        self.pool.set_connect(settings.connect);
        self.is_generic
            .store(settings.is_generic, Ordering::Relaxed);
        self.room.notify_one();
    }

    fn share(&self, sharing: &Sharing) {
        self.account().share(sharing);
    }

    fn retire(&self) {
        let idle = self.account().retire(Instant::now());
        drop(idle);
    }

    async fn check_health(self: &Arc<Self>) {
        // The result is recorded in the condition.
        let _ = self.try_connect().await;
    }

    fn lease(
        self: &Arc<Self>,
        demand: Demand,
    ) -> impl Future<Output = Result<Lease, LeaseError>> + Send {
        self.obtain_lease(demand)
    }
}

impl Member {
    /// Returns the server's address.
    pub fn address(&self) -> &Address {
        self.condition.address()
    }

    /// Returns the server's statistics.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Records that the server speaks FastCGI: the head of an answer came.
    pub fn record_answer(&self) {
        self.condition.record_success(Fault::Protocol);
    }

    /// Records a violation of the protocol, or a refusal by protocol; `what` is for the log.
    pub fn record_violation(&self, what: &dyn std::fmt::Display) {
        self.condition.record_violation(what);
    }

    /// Returns the limit of waiting requests.
    pub(super) fn queue_length(&self) -> usize {
        self.account().settings().queue_length
    }

    pub(super) fn set_fpm(&self, is_fpm: bool) {
        self.is_fpm.store(is_fpm, Ordering::Relaxed);
    }

    /// Reports whether it is a PHP-FPM on a unix socket, which reads no further than the request.
    pub(super) fn is_local_fpm(&self) -> bool {
        matches!(self.address(), Address::Unix(_)) && self.is_fpm.load(Ordering::Relaxed)
    }

    /// Returns its reaction to a probe, as far as known.
    pub fn class(&self) -> Class {
        self.account().class()
    }

    /// Records the server's reaction to a probe, and applies it to waiting requests.
    pub(super) fn classify(self: &Arc<Self>, class: Class) {
        let before = {
            let mut account = self.account();
            let before = account.class();
            account.classify(class);
            before
        };
        if before != class {
            tracing::debug!(address = %self.address(), ?class, "server classified by its answer to a probe");
            self.after_close();
        }
    }

    pub(super) fn arrive(self: &Arc<Self>, order: Order, flow: &Flow) -> Admitted {
        let mut granted = None;
        let waiter = || {
            let (sender, receiver) = oneshot::channel();
            granted = Some(receiver);
            sender
        };
        let (now, home) = (moment::now(), Home::here());
        let arrival = match order {
            Order::Last => self.account().arrive(now, home, flow, waiter),
            Order::First => self.account().retry(now, home, flow, waiter),
            Order::Moved => self.account().rejoin(now, home, flow, waiter),
        };
        match (arrival, granted) {
            (Arrival::Take(connection, slot), _) => {
                Admitted::Idle(Lease::held(self, connection, slot))
            }
            (Arrival::Open(slot), _) => Admitted::Open(Lease::opening(self, slot)),
            (Arrival::Wait(ticket), Some(receiver)) => {
                self.send_scouts();
                self.start_keeper();
                Admitted::Wait(ticket, receiver)
            }
            (Arrival::Full(over), _) => Admitted::Full(over),
            // No request waits without a receiver.
            (Arrival::Wait(_), None) => Admitted::Full(Over::Total),
        }
    }

    pub(super) fn leave(&self, ticket: Ticket) {
        self.account().leave(ticket);
    }

    /// Records an acknowledgement. A scout's place is free again: the queue may need another.
    pub(super) fn acknowledged(self: &Arc<Self>, slot: &mut Slot, took: Duration) {
        self.numbers.acknowledge.add(took);
        self.account().acknowledged(slot, moment::now(), took);
        self.send_scouts();
    }

    /// Records the end of a request on a connection, and returns what to do with it.
    pub(super) fn cool(&self, slot: &mut Slot, reusable: bool) -> After {
        self.account().cool(slot, reusable, moment::now())
    }

    /// Gives a ready connection to the next waiting request; otherwise it idles or is closed.
    pub(super) fn place(self: &Arc<Self>, connection: Pooled, slot: Slot) {
        let mut ready = Some((connection, slot));
        while let Some((connection, slot)) = ready.take() {
            let home = connection.home();
            let placed = self
                .account()
                .finished(connection, home, slot, moment::now());
            match placed {
                // A closed receiver returns the lease, and the next in the queue gets it.
                Placed::Grant(waiter, connection, slot) => {
                    if let Err(lease) = waiter.send(Lease::proven(self, connection, slot)) {
                        ready = lease.into_parts();
                    }
                }
                Placed::Idle => self.start_keeper(),
                Placed::Close(connection) => {
                    drop(connection);
                    self.after_close();
                }
            }
        }
    }

    /// Records a closed connection. For destructors: starts no task itself.
    pub(super) fn closed(&self, slot: &Slot) {
        self.account().closed(slot);
        self.room.notify_one();
    }

    /// Reports whether requests wait for a worker, here or in the server's own queue.
    pub(super) fn is_short_of_workers(&self) -> bool {
        self.account().is_waited_for(Instant::now())
    }

    pub(super) fn is_waited_for(&self) -> bool {
        self.account().waiting() > 0
    }

    /// Uses freed room: by scouts, or by the head of the queue if the server acknowledges nothing.
    pub(super) fn after_close(self: &Arc<Self>) {
        self.send_scouts();
        loop {
            let admitted = self.account().admit(Instant::now());
            let Some((waiter, slot)) = admitted else {
                return;
            };
            // A refused lease is dropped here, which releases its slot.
            drop(waiter.send(Lease::opening(self, slot)));
        }
    }

    /// Locks the account. A poisoned lock guards a valid account: its methods change it in one go.
    pub(in crate::upstream) fn account(&self) -> MutexGuard<'_, Admission<Pooled, Waiter>> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::budget::{Owner, Party, SiteKey};
    use crate::upstream::fpm::admission::ReuseLimits;

    /// A task started there would be torn down at once, which makes room for the next, for ever.
    #[test]
    fn without_a_runtime_no_task_is_started_for_a_waiting_request() {
        let settings = MemberSettings {
            admission: Settings {
                capacity: None,
                queue_length: 8,
                scouts: 2,
                turn: Duration::ZERO,
                keep: Duration::ZERO,
                reuse: ReuseLimits::default(),
            },
            connect: Duration::ZERO,
            is_generic: false,
        };
        let address = Address::parse("unix:/nowhere").unwrap();
        let member = Member::new(address, settings, &Arc::default());
        let party = Party::Connection(0);
        let flow = Flow {
            owner: Owner {
                party,
                site: SiteKey::default(),
            },
            class: None,
        };
        let waiting = member.arrive(Order::Last, &flow);
        assert!(matches!(waiting, Admitted::Wait(..)));
        member.after_close();
        let load = member.load(Instant::now(), &flow);
        assert_eq!((load.busy, load.waiting), (0, 1));
    }
}
