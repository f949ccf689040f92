//! The account under single events, and its promises under random sequences of them.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{Admission, Arrival, Class, Placed, Settings, Slot, Ticket, Wear};

const MS: Duration = Duration::from_millis(1);

fn settings() -> Settings {
    Settings {
        capacity: None,
        queue_length: 3,
        scouts: 2,
        turn: 20 * MS,
        keep: 20 * MS,
        wear: Wear::default(),
    }
}

fn worn(wear: Wear) -> Settings {
    Settings { wear, ..settings() }
}

fn kept(settings: Settings) -> Admission<u32, u32> {
    let mut admission = Admission::new(settings);
    admission.classify(Class::Kept);
    admission
}

fn open(admission: &mut Admission<u32, u32>, now: Instant) -> Slot {
    let Arrival::Open(slot) = admission.arrive(now, || 0) else {
        panic!("no room for a connection");
    };
    slot
}

#[test]
fn an_unknown_server_gets_one_connection_until_it_is_known() {
    let now = Instant::now();
    let mut admission = Admission::<u32, u32>::new(settings());
    let mut slot = open(&mut admission, now);
    assert!(matches!(admission.arrive(now, || 1), Arrival::Wait(_)));
    assert_eq!(admission.scout(now), None);
    admission.acknowledged(&mut slot, now, MS / 10);
    admission.classify(Class::Kept);
    assert!(admission.scout(now).is_some());
}

#[test]
fn requests_queue_once_an_acknowledgement_is_late() {
    let now = Instant::now();
    let mut admission = kept(settings());
    let _late = open(&mut admission, now);
    assert!(matches!(
        admission.arrive(now + 6 * MS, || 1),
        Arrival::Wait(_)
    ));
    assert!(matches!(
        admission.arrive(now + 6 * MS, || 2),
        Arrival::Wait(_)
    ));
    assert!(matches!(
        admission.arrive(now + 6 * MS, || 3),
        Arrival::Wait(_)
    ));
    assert_eq!(admission.arrive(now + 6 * MS, || 4), Arrival::Full);
    // The late one is a scout already; one more is allowed.
    assert!(admission.scout(now + 6 * MS).is_some());
    assert_eq!(admission.scout(now + 6 * MS), None);
}

#[test]
fn a_finished_connection_serves_the_head_of_the_queue_within_its_turn() {
    let now = Instant::now();
    let mut admission = kept(Settings {
        capacity: Some(1),
        ..settings()
    });
    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, MS / 10);
    assert!(matches!(admission.arrive(now, || 7), Arrival::Wait(_)));
    assert!(matches!(admission.arrive(now, || 8), Arrival::Wait(_)));
    let Placed::Grant(7, 1, slot) = admission.finished(1, slot, now + 19 * MS) else {
        panic!()
    };
    // Design §4.5: past its turn it goes back to the server's own queue, whoever waits.
    assert_eq!(admission.finished(1, slot, now + 20 * MS), Placed::Close(1));
    assert!(admission.scout(now + 20 * MS).is_some());
}

#[test]
fn a_connection_idles_only_where_acknowledgements_are_quick() {
    let now = Instant::now();
    let mut admission = kept(settings());
    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, MS);
    assert_eq!(admission.finished(1, slot, now), Placed::Idle);
    assert!(matches!(admission.arrive(now, || 0), Arrival::Take(1, _)));

    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, 2 * MS);
    assert_eq!(admission.finished(2, slot, now), Placed::Close(2));
}

#[test]
fn the_last_to_idle_is_the_first_to_serve_and_the_old_expire() {
    let now = Instant::now();
    let mut admission = kept(Settings {
        keep: 5 * MS,
        ..settings()
    });
    let mut slots = [open(&mut admission, now), open(&mut admission, now)];
    for slot in &mut slots {
        admission.acknowledged(slot, now, MS);
    }
    let [first, second] = slots;
    assert_eq!(admission.finished(1, first, now), Placed::Idle);
    assert_eq!(admission.finished(2, second, now + MS), Placed::Idle);
    assert_eq!(admission.expire(now + 5 * MS), vec![1]);
    assert!(matches!(
        admission.arrive(now + 5 * MS, || 0),
        Arrival::Take(2, _)
    ));
    assert_eq!(admission.expire(now + 100 * MS), Vec::<u32>::new());
}

#[test]
fn a_turn_counts_from_the_first_acknowledgement_and_ends_idling_too() {
    let now = Instant::now();
    let mut admission = kept(settings());
    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, MS);
    admission.acknowledged(&mut slot, now + 15 * MS, MS);
    assert_eq!(admission.finished(1, slot, now + 15 * MS), Placed::Idle);
    assert_eq!(admission.expire(now + 20 * MS), vec![1]);
}

#[test]
fn a_retry_is_served_before_all_others_and_who_left_is_not() {
    let now = Instant::now();
    let mut admission = kept(Settings {
        capacity: Some(1),
        ..settings()
    });
    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, MS);
    let Arrival::Wait(ticket) = admission.arrive(now, || 1) else {
        panic!()
    };
    assert!(matches!(admission.arrive(now, || 2), Arrival::Wait(_)));
    assert!(matches!(admission.retry(now, || 9), Arrival::Wait(_)));
    assert_eq!(admission.leave(ticket), Some(1));
    assert_eq!(admission.leave(ticket), None);
    let Placed::Grant(9, _, slot) = admission.finished(5, slot, now) else {
        panic!()
    };
    let Placed::Grant(2, _, _) = admission.finished(5, slot, now) else {
        panic!()
    };
    assert_eq!(admission.waiting(), 0);
}

#[test]
fn a_server_that_acknowledges_nothing_is_kept_only_under_a_capacity() {
    let now = Instant::now();
    let mut free = Admission::<u32, u32>::new(settings());
    free.classify(Class::Silent(true));
    let slots = [
        open(&mut free, now),
        open(&mut free, now),
        open(&mut free, now),
    ];
    for slot in slots {
        assert_eq!(free.finished(1, slot, now), Placed::Close(1));
    }
    let mut capped = Admission::<u32, u32>::new(Settings {
        capacity: Some(1),
        ..settings()
    });
    capped.classify(Class::Closes);
    let slot = open(&mut capped, now);
    assert!(matches!(capped.arrive(now, || 1), Arrival::Wait(_)));
    assert!(capped.admit(now).is_none());
    capped.closed(&slot);
    let Some((1, slot)) = capped.admit(now) else {
        panic!()
    };
    assert_eq!(capped.finished(1, slot, now + 100 * MS), Placed::Idle);
}

#[test]
fn no_more_idle_than_allowed() {
    let now = Instant::now();
    let mut admission = kept(worn(Wear {
        max_idle: Some(1),
        ..Wear::default()
    }));
    let mut slots = [open(&mut admission, now), open(&mut admission, now)];
    for slot in &mut slots {
        admission.acknowledged(slot, now, MS);
    }
    let [first, second] = slots;
    assert_eq!(admission.finished(1, first, now), Placed::Idle);
    assert_eq!(admission.finished(2, second, now), Placed::Close(2));
    assert!(matches!(admission.arrive(now, || 0), Arrival::Take(1, _)));
}

#[test]
fn a_connection_serves_as_many_requests_as_it_may_whoever_waits() {
    let now = Instant::now();
    let mut admission = kept(Settings {
        capacity: Some(1),
        ..worn(Wear {
            max_requests: Some(2),
            ..Wear::default()
        })
    });
    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, MS);
    slot.count_request();
    assert_eq!(admission.finished(1, slot, now), Placed::Idle);
    let Arrival::Take(1, mut slot) = admission.arrive(now, || 0) else {
        panic!()
    };
    assert!(matches!(admission.arrive(now, || 1), Arrival::Wait(_)));
    slot.count_request();
    assert_eq!(admission.finished(1, slot, now), Placed::Close(1));
    assert!(admission.scout(now).is_some(), "for the one that waits");
}

#[test]
fn a_connection_is_closed_at_its_age_idle_or_not() {
    let now = Instant::now();
    let mut admission = kept(worn(Wear {
        max_age: Some(10 * MS),
        ..Wear::default()
    }));
    let mut slots = [open(&mut admission, now), open(&mut admission, now)];
    for slot in &mut slots {
        // The age counts from the opening, the turn from the acknowledgement.
        admission.acknowledged(slot, now + 4 * MS, MS);
    }
    let [first, second] = slots;
    assert_eq!(admission.finished(1, first, now + 9 * MS), Placed::Idle);
    assert_eq!(admission.expire(now + 9 * MS), Vec::<u32>::new());
    assert_eq!(
        admission.finished(2, second, now + 10 * MS),
        Placed::Close(2)
    );
    assert_eq!(admission.expire(now + 10 * MS), vec![1]);
}

#[test]
fn who_comes_from_another_server_has_its_place_behind_all_others() {
    let now = Instant::now();
    let mut admission = kept(Settings {
        capacity: Some(1),
        queue_length: 1,
        ..settings()
    });
    assert!(!admission.refuses(now));
    let mut slot = open(&mut admission, now);
    admission.acknowledged(&mut slot, now, MS);
    assert!(!admission.refuses(now));
    assert!(matches!(admission.arrive(now, || 1), Arrival::Wait(_)));
    assert!(admission.refuses(now));
    assert_eq!(admission.arrive(now, || 2), Arrival::Full);
    let Arrival::Wait(ticket) = admission.rejoin(now, || 3) else {
        panic!()
    };
    assert!(matches!(
        admission.finished(5, slot, now),
        Placed::Grant(1, ..)
    ));
    assert_eq!(admission.leave(ticket), Some(3));
}

#[test]
fn a_server_that_is_given_up_keeps_nothing_and_ends_what_runs() {
    let now = Instant::now();
    let mut admission = kept(settings());
    let mut slots = [open(&mut admission, now), open(&mut admission, now)];
    for slot in &mut slots {
        admission.acknowledged(slot, now, MS);
    }
    let [first, second] = slots;
    assert_eq!(admission.finished(1, first, now), Placed::Idle);
    assert_eq!(admission.retire(now), vec![1]);
    assert_eq!(admission.busy(), 1);
    assert_eq!(admission.finished(2, second, now), Placed::Close(2));
    assert_eq!(admission.busy(), 0);
}

/// What can happen next; the numbers choose among what there is.
#[derive(Clone, Debug)]
enum Event {
    Arrive,
    Leave(usize),
    Acknowledge(usize),
    Finish(usize),
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
        1 => any::<usize>().prop_map(Event::Break),
        1 => any::<usize>().prop_map(Event::Retry),
        1 => any::<usize>().prop_map(Event::Rejoin),
        2 => (0u64..30).prop_map(Event::Pass),
    ]
}

fn wear() -> impl Strategy<Value = Wear> {
    let max_idle = proptest::option::of(0usize..3);
    let max_requests = proptest::option::of(1u64..4);
    let max_age = proptest::option::of((1u32..40).prop_map(|ms| MS * ms));
    (max_idle, max_requests, max_age).prop_map(|(max_idle, max_requests, max_age)| Wear {
        max_idle,
        max_requests,
        max_age,
    })
}

/// A shell around the account that does what the member's tasks do, and remembers who is owed.
struct Shell {
    admission: Admission<u32, u32>,
    now: Instant,
    settings: Settings,
    /// Connections by slot: with the request on it, or a scout's.
    held: Vec<(Slot, Option<u32>)>,
    queue: VecDeque<(u32, Ticket)>,
    next: u32,
    ended: HashSet<u32>,
}

impl Shell {
    fn new(settings: Settings) -> Self {
        Self {
            admission: kept(settings),
            now: Instant::now(),
            settings,
            held: Vec::new(),
            queue: VecDeque::new(),
            next: 0,
            ended: HashSet::new(),
        }
    }

    fn step(&mut self, event: &Event) {
        match event {
            Event::Arrive => self.arrive(),
            Event::Leave(index) => self.leave(*index),
            Event::Acknowledge(index) => self.acknowledge(*index),
            Event::Finish(index) => self.finish(*index),
            Event::Break(index) => self.fail(*index, false),
            Event::Retry(index) => self.fail(*index, true),
            Event::Rejoin(index) => self.rejoin(*index),
            Event::Pass(ms) => {
                self.now += MS * u32::try_from(*ms).unwrap();
                self.admission.expire(self.now);
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
        let refuses = self.admission.refuses(self.now);
        let arrival = self.admission.arrive(self.now, || id);
        assert_eq!(refuses, arrival == Arrival::Full);
        if let Some(ticket) = self.arrived(id, arrival) {
            self.queue.push_back((id, ticket));
        }
    }

    fn retry(&mut self, id: u32) {
        let arrival = self.admission.retry(self.now, || id);
        assert!(!matches!(arrival, Arrival::Full));
        if let Some(ticket) = self.arrived(id, arrival) {
            self.queue.push_front((id, ticket));
        }
    }

    /// As if it came from another server, where it had waited.
    fn rejoin(&mut self, index: usize) {
        if self.queue.is_empty() {
            return;
        }
        let (id, ticket) = self.queue.remove(index % self.queue.len()).unwrap();
        assert_eq!(self.admission.leave(ticket), Some(id));
        let arrival = self.admission.rejoin(self.now, || id);
        assert!(!matches!(arrival, Arrival::Full));
        if let Some(ticket) = self.arrived(id, arrival) {
            self.queue.push_back((id, ticket));
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
            Arrival::Full => assert!(self.ended.insert(id)),
        }
        None
    }

    fn leave(&mut self, index: usize) {
        if self.queue.is_empty() {
            return;
        }
        let (id, ticket) = self.queue.remove(index % self.queue.len()).unwrap();
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
        slot.count_request();
        self.place(slot);
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

    fn place(&mut self, slot: Slot) {
        let Settings { turn, wear, .. } = self.settings;
        let overdue = self.now.duration_since(slot.acknowledged.unwrap()) >= turn
            || wear.max_requests.is_some_and(|most| slot.served >= most)
            || wear
                .max_age
                .is_some_and(|age| self.now.duration_since(slot.opened) >= age);
        match self.admission.finished(0, slot, self.now) {
            Placed::Grant(id, _, slot) => {
                assert!(
                    !overdue,
                    "a worker held beyond its turn, or a connection beyond its time"
                );
                assert_eq!(
                    self.queue.pop_front().map(|(first, _)| first),
                    Some(id),
                    "not the head of the queue"
                );
                self.held.push((slot, Some(id)));
            }
            Placed::Idle => assert!(!overdue && self.queue.is_empty()),
            Placed::Close(_) => {}
        }
    }

    fn check(&self) {
        let admission = &self.admission;
        assert_eq!(admission.waiting(), self.queue.len());
        assert_eq!(admission.busy(), self.held.len());
        assert!(
            admission.waiting() == 0 || admission.idle() == 0,
            "somebody waits beside an idle connection"
        );
        assert!(
            self.settings
                .capacity
                .is_none_or(|capacity| admission.busy() + admission.idle() <= capacity)
        );
        assert!(
            self.settings
                .wear
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
            admission.waiting() == 0 || unacknowledged > 0 || full,
            "somebody waits and nobody looks for a worker"
        );
    }

    /// Ends all that is left: every request must have ended exactly once, every slot be back.
    fn drain(mut self) {
        while !self.queue.is_empty() {
            self.leave(0);
        }
        while !self.held.is_empty() {
            self.fail(0, false);
        }
        self.admission.expire(self.now + Duration::from_secs(1));
        assert_eq!(self.admission.open, 0);
        assert_eq!(self.ended.len(), usize::try_from(self.next).unwrap());
    }
}

proptest! {
    #[test]
    fn the_promises_hold_under_any_sequence(
        events in proptest::collection::vec(event(), 0..200),
        capacity in proptest::option::of(1usize..5),
        queue_length in 0usize..8,
        scouts in 1usize..4,
        wear in wear(),
    ) {
        let mut shell = Shell::new(Settings { capacity, queue_length, scouts, wear, ..settings() });
        for event in &events {
            shell.step(event);
        }
        shell.drain();
    }
}
