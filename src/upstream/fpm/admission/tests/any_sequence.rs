//! The invariants of admission under random sequences of events.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::super::{Admission, After, Arrival, Placed, ReuseLimits, Settings, Slot, Ticket};
use super::{MS, kept, settings};
use crate::limits::budget::{Owner, Party, SiteKey};
use crate::threads::Home;
use crate::upstream::flow::Flow;

/// An event; the numbers choose among the candidates.
#[derive(Clone, Debug)]
enum Event {
    Arrive,
    Leave(usize),
    Acknowledge(usize),
    Finish(usize),
    Done(usize),
    Break(usize),
    Retry(usize),
    Rejoin(usize),
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Arrive),
        1 => any::<usize>().prop_map(Event::Leave),
        4 => any::<usize>().prop_map(Event::Acknowledge),
        4 => any::<usize>().prop_map(Event::Finish),
        4 => any::<usize>().prop_map(Event::Done),
        1 => any::<usize>().prop_map(Event::Break),
        1 => any::<usize>().prop_map(Event::Retry),
        1 => any::<usize>().prop_map(Event::Rejoin),
        2 => (0u64..30).prop_map(Event::Pass),
    ]
}

fn reuse_limits() -> impl Strategy<Value = ReuseLimits> {
    let max_idle = proptest::option::of(0usize..3);
    let max_requests = proptest::option::of(1u64..4);
    let max_age = proptest::option::of((1u32..40).prop_map(|ms| MS * ms));
    (max_idle, max_requests, max_age).prop_map(|(max_idle, max_requests, max_age)| ReuseLimits {
        max_idle,
        max_requests,
        max_age,
    })
}

/// A waiting request and its arrival; `None` is before all others.
#[derive(Clone, Copy)]
struct Waits {
    id: u32,
    ticket: Ticket,
    since: Option<Instant>,
}

/// Returns the thread of a request, or of a connection.
fn home(id: impl Into<u64>) -> Home {
    Home::of(usize::from(id.into().is_multiple_of(2)))
}

/// Returns the flow of a request: one of three clients, on one of two sites.
fn flow(id: u32) -> Flow {
    let party = Party::Connection((id % 3).into());
    let site = SiteKey::of(&format!("{}", id / 3 % 2));
    let owner = Owner { party, site };
    Flow { owner, class: None }
}

/// The turns of the sites and of the clients of each, searched linearly.
#[derive(Default)]
struct Turns(VecDeque<(SiteKey, Lines)>);

/// The clients of a site, each with its requests.
type Lines = VecDeque<(Party, VecDeque<Waits>)>;

impl Turns {
    fn len(&self) -> usize {
        self.each().count()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn each(&self) -> impl Iterator<Item = &Waits> {
        let clients = self.0.iter().flat_map(|(_, clients)| clients);
        clients.flat_map(|(_, line)| line)
    }

    fn push(&mut self, waits: Waits) {
        let Owner { party, site } = flow(waits.id).owner;
        let is_first = waits.since.is_none();
        let clients = enter(&mut self.0, site, is_first);
        let line = enter(clients, party, is_first);
        if is_first {
            line.push_front(waits);
        } else {
            line.push_back(waits);
        }
    }

    /// Removes a request; a site and a client of which another waits keep their turns.
    fn remove(&mut self, id: u32) {
        for (_, clients) in &mut self.0 {
            clients
                .iter_mut()
                .for_each(|(_, line)| line.retain(|waits| waits.id != id));
            clients.retain(|(_, line)| !line.is_empty());
        }
        self.0.retain(|(_, clients)| !clients.is_empty());
    }

    /// Returns the request of the next client for a connection on this thread: the first, or one there less than 1 ms
    /// later.
    fn next_for(&self, home_of_connection: Home) -> Option<u32> {
        let line = &self.0.front()?.1.front()?.1;
        let head = line.front()?;
        let is_next = |waits: &&Waits| match (head.since, waits.since) {
            (Some(first), Some(since)) => {
                since <= first + MS && home(waits.id) == home_of_connection
            }
            (None, _) | (_, None) => false,
        };
        Some(line.iter().find(is_next).unwrap_or(head).id)
    }

    /// Ends the turn of the next client and of its site.
    fn take_turn(&mut self, id: u32) {
        if let Some((_, clients)) = self.0.front_mut() {
            clients.rotate_left(1);
        }
        self.0.rotate_left(1);
        self.remove(id);
    }
}

/// Returns the value of `key`, moved to the front if it `is_first`; a new one enters at the end, or at the front.
fn enter<K: Copy + PartialEq, V: Default>(
    known: &mut VecDeque<(K, V)>,
    key: K,
    is_first: bool,
) -> &mut V {
    let at = known.iter().position(|(other, _)| *other == key);
    let entry = at.filter(|_| is_first).and_then(|at| known.remove(at));
    if is_first {
        known.push_front(entry.unwrap_or_else(|| (key, V::default())));
        return &mut known[0].1;
    }
    let at = at.unwrap_or(known.len());
    if at == known.len() {
        known.push_back((key, V::default()));
    }
    &mut known[at].1
}

/// A shell around the account that acts as the member's tasks do, and remembers the waiting requests.
struct Shell {
    admission: Admission<u32, u32>,
    now: Instant,
    settings: Settings,
    /// Connections by slot, with the request on it or a scout's.
    held: Vec<(Slot, Option<u32>)>,
    /// Connections whose request has ended, with the time of that.
    cooling: Vec<(Slot, After, Instant)>,
    queue: Turns,
    next: u32,
    ended: HashSet<u32>,
    /// Time at which a worker was last given back.
    given_back: Option<Instant>,
}

impl Shell {
    fn new(settings: Settings) -> Self {
        Self {
            admission: kept(settings),
            now: Instant::now(),
            settings,
            held: Vec::new(),
            cooling: Vec::new(),
            queue: Turns::default(),
            next: 0,
            ended: HashSet::new(),
            given_back: None,
        }
    }

    fn step(&mut self, event: &Event) {
        match event {
            Event::Arrive => self.arrive(),
            Event::Leave(index) => self.leave(*index),
            Event::Acknowledge(index) => self.acknowledge(*index),
            Event::Finish(index) => self.finish(*index),
            Event::Done(index) => self.done(*index),
            Event::Break(index) => self.fail(*index, false),
            Event::Retry(index) => self.fail(*index, true),
            Event::Rejoin(index) => self.rejoin(*index),
            Event::Pass(ms) => {
                self.now += MS * u32::try_from(*ms).unwrap();
                if !self.admission.expire(self.now).is_empty() {
                    self.given_back = Some(self.now);
                }
            }
        }
        while let Some(slot) = self.admission.scout(self.now) {
            self.held.push((slot, None));
        }
        self.check();
    }

    fn arrive(&mut self) {
        let id = self.next;
        self.next += 1;
        let refuses = self.admission.would_refuse(self.now, &flow(id));
        let arrival = self.admission.arrive(self.now, home(id), &flow(id), || id);
        assert_eq!(refuses, matches!(arrival, Arrival::Full(_)));
        if let Some(ticket) = self.arrived(id, arrival) {
            let since = Some(self.now);
            self.queue.push(Waits { id, ticket, since });
        }
    }

    fn retry(&mut self, id: u32) {
        let arrival = self.admission.retry(self.now, home(id), &flow(id), || id);
        assert!(!matches!(arrival, Arrival::Full(_)));
        if let Some(ticket) = self.arrived(id, arrival) {
            let since = None;
            self.queue.push(Waits { id, ticket, since });
        }
    }

    /// Lets a request rejoin as from another server, where it had waited.
    fn rejoin(&mut self, index: usize) {
        if self.queue.is_empty() {
            return;
        }
        let Waits { id, ticket, .. } = self.one_that_waits(index);
        assert_eq!(self.admission.leave(ticket), Some(id));
        let arrival = self.admission.rejoin(self.now, home(id), &flow(id), || id);
        assert!(!matches!(arrival, Arrival::Full(_)));
        if let Some(ticket) = self.arrived(id, arrival) {
            let since = Some(self.now);
            self.queue.push(Waits { id, ticket, since });
        }
    }

    fn arrived(&mut self, id: u32, arrival: Arrival<u32>) -> Option<Ticket> {
        match arrival {
            Arrival::Take(_, slot) => {
                assert!(self.queue.is_empty() && slot.is_acknowledged());
                self.held.push((slot, Some(id)));
            }
            Arrival::Open(slot) => {
                assert!(
                    self.queue.is_empty(),
                    "a request on an unacknowledged connection while others wait"
                );
                self.held.push((slot, Some(id)));
            }
            Arrival::Wait(ticket) => return Some(ticket),
            Arrival::Full(_) => assert!(self.ended.insert(id)),
        }
        None
    }

    fn leave(&mut self, index: usize) {
        if self.queue.is_empty() {
            return;
        }
        let Waits { id, ticket, .. } = self.one_that_waits(index);
        assert_eq!(self.admission.leave(ticket), Some(id));
        assert!(self.ended.insert(id));
    }

    fn acknowledge(&mut self, index: usize) {
        let unacknowledged: Vec<_> = (0..self.held.len())
            .filter(|i| !self.held[*i].0.is_acknowledged())
            .collect();
        let Some(chosen) = unacknowledged.get(index % unacknowledged.len().max(1)) else {
            return;
        };
        let (mut slot, request) = self.held.swap_remove(*chosen);
        self.admission.acknowledged(&mut slot, self.now, MS);
        match request {
            Some(_) => self.held.push((slot, request)),
            None => self.place(slot),
        }
    }

    fn finish(&mut self, index: usize) {
        let Some((mut slot, request)) = self.choose(index, |slot, request| {
            request.is_some() && slot.is_acknowledged()
        }) else {
            return;
        };
        assert!(self.ended.insert(request.unwrap()));
        let reusable = !index.is_multiple_of(5);
        let used_up = self.is_overdue(&slot, slot.served + 1);
        let wanted = !self.queue.is_empty() || self.admission.may_idle(self.now);
        let after = self.admission.cool(&mut slot, reusable, self.now);
        let expected = if reusable && wanted && !used_up {
            After::Probe
        } else {
            After::HalfClose
        };
        assert_eq!(after, expected);
        if after == After::HalfClose {
            self.given_back = Some(self.now);
        }
        self.cooling.push((slot, after, self.now));
    }

    /// Ends the work of a worker.
    fn done(&mut self, index: usize) {
        if self.cooling.is_empty() {
            return;
        }
        let (slot, after, _) = self.cooling.remove(index % self.cooling.len());
        // One in seven ends with its work.
        if after == After::Probe && !index.is_multiple_of(7) {
            self.place(slot);
        } else {
            self.admission.closed(&slot);
        }
    }

    fn fail(&mut self, index: usize, retry: bool) {
        let Some((slot, request)) = self.choose(index, |_, _| true) else {
            return;
        };
        self.admission.closed(&slot);
        match request {
            Some(id) if retry => self.retry(id),
            Some(id) => assert!(self.ended.insert(id)),
            None => {}
        }
    }

    fn choose(
        &mut self,
        index: usize,
        fits: impl Fn(&Slot, &Option<u32>) -> bool,
    ) -> Option<(Slot, Option<u32>)> {
        let fitting: Vec<_> = (0..self.held.len())
            .filter(|i| fits(&self.held[*i].0, &self.held[*i].1))
            .collect();
        let chosen = *fitting.get(index % fitting.len().max(1))?;
        Some(self.held.swap_remove(chosen))
    }

    fn is_overdue(&self, slot: &Slot, served: u64) -> bool {
        let Settings { turn, reuse, .. } = self.settings;
        let held = self.now.duration_since(slot.acknowledged.unwrap());
        let is_first_of_turn = self
            .given_back
            .is_none_or(|last| self.now.duration_since(last) >= turn);
        held >= 4 * turn
            || (held >= turn && is_first_of_turn)
            || reuse.max_requests.is_some_and(|most| served >= most)
            || reuse
                .max_age
                .is_some_and(|age| self.now.duration_since(slot.opened) >= age)
    }

    fn place(&mut self, slot: Slot) {
        let overdue = self.is_overdue(&slot, slot.served);
        let unused = slot.served == 0;
        let expected = self.queue.next_for(home(slot.id));
        match self.admission.finished(0, home(slot.id), slot, self.now) {
            Placed::Grant(id, _, slot) => {
                assert!(
                    !overdue || unused,
                    "a worker held beyond its turn, or a connection beyond its time"
                );
                assert_eq!(
                    expected,
                    Some(id),
                    "neither the next in turn nor an equal one"
                );
                self.queue.take_turn(id);
                self.held.push((slot, Some(id)));
            }
            Placed::Idle => assert!(!overdue && self.queue.is_empty()),
            Placed::Close(_) => self.given_back = Some(self.now),
        }
    }

    fn one_that_waits(&mut self, index: usize) -> Waits {
        let waits = *self.queue.each().nth(index % self.queue.len()).unwrap();
        self.queue.remove(waits.id);
        waits
    }

    fn check(&self) {
        let admission = &self.admission;
        assert_eq!(admission.waiting(), self.queue.len());
        assert_eq!(admission.busy(), self.held.len() + self.cooling.len());
        assert_eq!(admission.cooling(), self.cooling.len());
        assert!(
            admission.waiting() == 0 || admission.idle() == 0,
            "a request waits beside an idle connection"
        );
        assert!(
            self.settings
                .capacity
                .is_none_or(|capacity| admission.busy() + admission.idle() <= capacity)
        );
        assert!(
            self.settings
                .reuse
                .max_idle
                .is_none_or(|most| admission.idle() <= most)
        );
        let unacknowledged = self
            .held
            .iter()
            .filter(|(slot, _)| !slot.is_acknowledged())
            .count();
        assert_eq!(unacknowledged, admission.unacknowledged.len());
        assert!(unacknowledged <= self.settings.scouts);
        let full = self
            .settings
            .capacity
            .is_some_and(|capacity| admission.open >= capacity);
        assert!(
            admission.waiting() <= self.returning() || unacknowledged > 0 || full,
            "a request waits and no scout looks for a worker"
        );
    }

    /// Returns the number of workers expected back within 2 ms of their answer.
    fn returning(&self) -> usize {
        let recent = |since: Instant| self.now.duration_since(since) < 2 * MS;
        let cooling = self.cooling.iter();
        let returning =
            cooling.filter(|(_, after, since)| *after == After::Probe && recent(*since));
        returning.count()
    }

    /// Ends all that is left: each request must have ended exactly once, each slot be back.
    fn drain(mut self) {
        while !self.queue.is_empty() {
            self.leave(0);
        }
        while !self.held.is_empty() {
            self.fail(0, false);
        }
        while !self.cooling.is_empty() {
            self.done(7);
        }
        self.admission.expire(self.now + Duration::from_secs(1));
        assert_eq!(self.admission.open, 0);
        assert_eq!(self.ended.len(), usize::try_from(self.next).unwrap());
    }
}

proptest! {
    #[test]
    fn the_invariants_hold_under_any_sequence(
        events in proptest::collection::vec(event(), 0..200),
        capacity in proptest::option::of(1usize..5),
        queue_length in 0usize..8,
        scouts in 1usize..4,
        reuse in reuse_limits(),
    ) {
        let mut shell = Shell::new(Settings { capacity, queue_length, scouts, reuse, ..settings() });
        for event in &events {
            shell.step(event);
        }
        shell.drain();
    }
}
