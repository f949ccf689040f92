//! One server of an upstream: its account ([`super::admission`]) behind a lock that is held for
//! moments only, and the tasks that act on it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::admission::{Admission, After, Arrival, Class, Placed, Settings, Slot, Ticket};
use super::lease::Lease;
use super::scout;
use super::scout::Verdict;
use crate::limits::budget::Over;
use crate::moment;
use crate::threads::{self, Home};
use crate::upstream::Address;
use crate::upstream::flow::Flow;
use crate::upstream::health::{Fault, Health, Standing};
use crate::upstream::numbers::Numbers;
use crate::upstream::policy::Load;
use crate::upstream::pool::{Pool, Pooled};

/// What the configuration says of each member of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberSettings {
    /// Bounds of its use.
    pub admission: Settings,
    /// For one attempt to connect; zero is no limit.
    pub connect: Duration,
    /// It is not said to be PHP-FPM: what hangs up on a probe is then used without one.
    pub is_generic: bool,
}

/// One server.
#[derive(Debug)]
pub struct Member {
    address: Address,
    pub(super) pool: Pool,
    account: Mutex<Admission<Pooled, Waiter>>,
    condition: Mutex<Condition>,
    /// Whether `condition` holds anything: who is well is asked without its lock.
    pub(super) failing: AtomicBool,
    /// Tells those who wait for any member of the upstream that this one changed.
    pub(super) changes: Arc<Notify>,
    /// Tells the task that keeps house that there may be room; see `super::keeper`.
    pub(super) room: Notify,
    pub(super) is_kept: AtomicBool,
    /// It answers probes as PHP-FPM does.
    fpm: AtomicBool,
    numbers: Numbers,
}

/// What is wrong with a member.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Condition {
    pub(super) health: Health,
    /// Why connecting failed the last time; empty after a success.
    pub(super) trouble: Option<Arc<io::Error>>,
    /// Why it cannot be used although it can be connected to.
    pub(super) verdict: Option<Verdict>,
    /// When connections were last closed without a word, the newest last.
    pub(super) hang_ups: Vec<Instant>,
    pub(super) is_generic: bool,
}

/// How a waiting request gets its connection.
pub(in crate::upstream) type Waiter = oneshot::Sender<Lease>;

/// Where in the queue a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Behind all others of its client.
    Last,
    /// Before all others of its client, whose turn is next: it was on a connection already and was not executed.
    First,
    /// Behind all others of its client, even in a full queue: it has waited at another member.
    Moved,
}

/// What becomes of a request that arrives at a member.
pub(in crate::upstream) enum Admitted {
    /// A connection that idled.
    Idle(Lease),
    /// The lease of a connection that is still to be opened.
    Open(Lease),
    /// A place in the queue.
    Wait(Ticket, oneshot::Receiver<Lease>),
    /// There is no place in the queue.
    Full(Over),
}

impl Member {
    /// A member without connections; `changes` is notified when it fails and when it is well again.
    pub(in crate::upstream) fn new(
        address: Address,
        settings: MemberSettings,
        changes: &Arc<Notify>,
    ) -> Arc<Self> {
        let member = Self {
            pool: Pool::new(address.clone()),
            address,
            account: Mutex::new(Admission::new(settings.admission)),
            condition: Mutex::default(),
            failing: AtomicBool::new(false),
            changes: Arc::clone(changes),
            room: Notify::new(),
            is_kept: AtomicBool::new(false),
            fpm: AtomicBool::new(false),
            numbers: Numbers::default(),
        };
        member.adopt(settings);
        Arc::new(member)
    }

    /// Takes other settings from now on, as after a reload. What runs and waits stays, in its order.
    pub(in crate::upstream) fn adopt(&self, settings: MemberSettings) {
        self.account().adopt(settings.admission);
        self.pool.set_connect(settings.connect);
        self.condition().is_generic = settings.is_generic;
        self.room.notify_one();
    }

    /// Requests that may wait.
    pub(super) fn queue_length(&self) -> usize {
        self.account().settings().queue_length
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What it did so far.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// What it has to do, its health, and whether a request of `flow` finds a place there.
    pub fn load(&self, now: Instant, flow: &Flow) -> Load {
        let standing = self.standing(now);
        let account = self.account();
        Load {
            busy: account.busy(),
            waiting: account.waiting(),
            full: account.refuses(now, flow),
            failed: false,
            standing,
        }
    }

    /// What it may be given.
    pub fn standing(&self, now: Instant) -> Standing {
        match self.is_failing() {
            true => self.condition().health.standing(now),
            false => Standing::Well,
        }
    }

    /// Whether it failed and nothing has succeeded since.
    pub(in crate::upstream) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Whether a request may try it now; see [`Health::try_again`].
    pub(in crate::upstream) fn try_again(&self, now: Instant) -> bool {
        self.condition().health.try_again(now)
    }

    /// It speaks FastCGI: the head of an answer came.
    pub fn has_answered(&self) {
        self.succeeded(Fault::Protocol);
    }

    /// It spoke something else, or refused a request by protocol; `what` it did, for the log.
    pub fn has_misbehaved(&self, what: &dyn std::fmt::Display) {
        self.failed(Fault::Protocol, what, None);
    }

    pub(super) fn set_fpm(&self, fpm: bool) {
        self.fpm.store(fpm, Ordering::Relaxed);
    }

    /// Returns whether it is a PHP-FPM on a unix socket, which reads no further than the request.
    pub(super) fn is_local_fpm(&self) -> bool {
        matches!(self.address, Address::Unix(_)) && self.fpm.load(Ordering::Relaxed)
    }

    /// What it does with a probe, as far as is known.
    pub fn class(&self) -> Class {
        self.account().class()
    }

    /// Notes what the server does with a probe; who waits may have to go another way now.
    pub(in crate::upstream) fn classify(self: &Arc<Self>, class: Class) {
        let before = {
            let mut account = self.account();
            let before = account.class();
            account.classify(class);
            before
        };
        if before != class {
            tracing::debug!(address = %self.address, ?class, "the server's answer to a probe is known");
            self.after_close();
        }
    }

    pub(in crate::upstream) fn arrive(self: &Arc<Self>, order: Order, flow: &Flow) -> Admitted {
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
                self.keep_house();
                Admitted::Wait(ticket, receiver)
            }
            (Arrival::Full(over), _) => Admitted::Full(over),
            // Nobody waits without a receiver.
            (Arrival::Wait(_), None) => Admitted::Full(Over::Total),
        }
    }

    pub(super) fn leave(&self, ticket: Ticket) {
        self.account().leave(ticket);
    }

    /// A scout's place is free again: the queue may need another.
    pub(super) fn acknowledged(self: &Arc<Self>, slot: &mut Slot, took: Duration) {
        self.numbers.acknowledge.add(took);
        self.account().acknowledged(slot, moment::now(), took);
        self.send_scouts();
    }

    /// A request ended on a connection; what is to be done with that.
    pub(super) fn cool(&self, slot: &mut Slot, reusable: bool) -> After {
        self.account().cool(slot, reusable, moment::now())
    }

    /// A connection is ready for whoever waits, else idles or is closed.
    pub(super) fn place(self: &Arc<Self>, connection: Pooled, slot: Slot) {
        let mut ready = Some((connection, slot));
        while let Some((connection, slot)) = ready.take() {
            let home = connection.home();
            let placed = self
                .account()
                .finished(connection, home, slot, moment::now());
            match placed {
                // A receiver that is gone gives the lease back, and the next in the queue gets it.
                Placed::Grant(waiter, connection, slot) => {
                    if let Err(lease) = waiter.send(Lease::proven(self, connection, slot)) {
                        ready = lease.into_parts();
                    }
                }
                Placed::Idle => self.keep_house(),
                Placed::Close(connection) => {
                    drop(connection);
                    self.after_close();
                }
            }
        }
    }

    /// For destructors: it starts nothing itself.
    pub(super) fn closed(&self, slot: &Slot) {
        self.account().closed(slot);
        self.room.notify_one();
    }

    /// It is no longer of the upstream: what idles is closed, what runs ends as it would have.
    pub(in crate::upstream) fn retire(&self) {
        let idle = self.account().retire(Instant::now());
        drop(idle);
    }

    /// Reports whether requests wait for a worker, be it in the server's own queue.
    pub(super) fn is_short_of_workers(&self) -> bool {
        self.account().is_waited_for(Instant::now())
    }

    pub(super) fn is_waited_for(&self) -> bool {
        self.account().waiting() > 0
    }

    /// Room became free: scouts, or where nothing acknowledges the head of the queue, may use it.
    pub(super) fn after_close(self: &Arc<Self>) {
        self.send_scouts();
        loop {
            let admitted = self.account().admit(Instant::now());
            let Some((waiter, slot)) = admitted else {
                return;
            };
            // A refused lease is dropped here, which accounts for its slot.
            drop(waiter.send(Lease::opening(self, slot)));
        }
    }

    /// On a thread that is ending nothing is begun: it would be torn down at once, make room by that, and be begun again.
    fn send_scouts(self: &Arc<Self>) {
        while !threads::is_ending() {
            let slot = self.account().scout(Instant::now());
            let Some(slot) = slot else { return };
            tokio::spawn(scout::run(Lease::opening(self, slot)));
        }
    }

    /// A poisoned lock guards an account that is whole: its methods change it in one go.
    pub(in crate::upstream) fn account(&self) -> MutexGuard<'_, Admission<Pooled, Waiter>> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::upstream) fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::budget::{Owner, Party, SiteKey};
    use crate::upstream::fpm::admission::Wear;

    /// Begun there it would be torn down at once, which makes room for the next, for ever.
    #[test]
    fn without_a_runtime_nothing_is_begun_for_who_waits() {
        let settings = MemberSettings {
            admission: Settings {
                capacity: None,
                queue_length: 8,
                scouts: 2,
                turn: Duration::ZERO,
                keep: Duration::ZERO,
                wear: Wear::default(),
            },
            connect: Duration::ZERO,
            is_generic: false,
        };
        let address = Address::parse("unix:/nobody").unwrap();
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
