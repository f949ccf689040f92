//! Turns, limits of attempts under concurrency, and that nothing is lost.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::auth::verifier::attempts::WINDOW;

const MS: Duration = Duration::from_millis(1);

fn demand(client: u64, per_minute: usize) -> Demand {
    demand_of(client, None, per_minute)
}

fn demand_of(client: u64, user: Option<u64>, per_minute: usize) -> Demand {
    let key = AttemptKey {
        party: Party::Connection(client),
        file: 1,
        user,
    };
    Demand { key, per_minute }
}

/// Starts the next request and returns its name.
fn start(queue: &mut Queue<&'static str>, now: Instant) -> Option<(Running, &'static str)> {
    queue.start(now)
}

#[test]
fn clients_take_turns_and_each_is_served_in_order() {
    let (mut queue, now) = (Queue::new(), Instant::now());
    for (client, name) in [(1, "a"), (1, "b"), (1, "c"), (2, "d"), (2, "e"), (3, "f")] {
        queue.push(&demand(client, 0), name, now);
    }
    let served = std::iter::from_fn(|| start(&mut queue, now)).map(|(_, name)| name);
    assert_eq!(served.collect::<Vec<_>>(), ["a", "d", "f", "b", "e", "c"]);
}

#[test]
fn no_more_run_at_once_than_may_still_fail() {
    let (mut queue, now) = (Queue::new(), Instant::now());
    let one = demand(1, 2);
    for name in ["a", "b", "c", "d"] {
        queue.push(&one, name, now);
    }
    let (first, _) = start(&mut queue, now).unwrap();
    let (second, _) = start(&mut queue, now).unwrap();
    assert!(start(&mut queue, now).is_none());
    // Another client is not held up by that.
    queue.push(&demand(2, 2), "x", now);
    assert_eq!(start(&mut queue, now).unwrap().1, "x");
    // A success makes room for the next, a failure does not.
    assert!(queue.finish(first, false, now).is_empty());
    let (third, name) = start(&mut queue, now).unwrap();
    assert_eq!(name, "c");
    assert!(queue.finish(second, true, now).is_empty());
    assert!(start(&mut queue, now).is_none());
    let refused = queue.finish(third, true, now);
    let (per_minute, wait) = (2, WINDOW);
    assert_eq!(refused, [("d", Refusal::Attempts { per_minute, wait })]);
    let checked = queue.check(&one, 10, now + MS);
    let wait = WINDOW - MS;
    assert_eq!(checked, Err(Refusal::Attempts { per_minute, wait }));
    assert_eq!(queue.check(&one, 10, now + WINDOW), Ok(()));
}

#[test]
fn users_behind_one_address_have_limits_of_their_own() {
    let (mut queue, now) = (Queue::new(), Instant::now());
    let [admin, alice] = [1, 2].map(|user| demand_of(1, Some(user), 1));
    queue.push(&admin, "a", now);
    queue.push(&admin, "b", now);
    queue.push(&alice, "c", now);
    let (first, _) = start(&mut queue, now).unwrap();
    // The line of `admin` waits for its result, and the next of the client is served.
    assert_eq!(start(&mut queue, now).unwrap().1, "c");
    assert_eq!(queue.finish(first, true, now).len(), 1);
    assert!(queue.check(&admin, 10, now).is_err() && queue.check(&alice, 10, now).is_ok());
}

#[test]
fn whoever_leaves_gives_up_its_place() {
    let (mut queue, now) = (Queue::new(), Instant::now());
    let first = queue.push(&demand(1, 0), "a", now);
    queue.push(&demand(1, 0), "b", now);
    assert_eq!(queue.leave(first, now), Some("a"));
    assert_eq!(queue.leave(first, now), None);
    let (running, name) = start(&mut queue, now).unwrap();
    assert_eq!((name, queue.waiting(), queue.is_ready()), ("b", 0, false));
    queue.finish(running, false, now);
    assert!(queue.clients.is_empty());
}

#[test]
fn one_client_gets_half_of_the_places() {
    let (mut queue, now) = (Queue::new(), Instant::now());
    let fill = |queue: &mut Queue<()>, client| {
        let demand = demand(client, 0);
        let mut count = 0;
        while queue.check(&demand, 12, now).is_ok() {
            queue.push(&demand, (), now);
            count += 1;
        }
        (count, queue.check(&demand, 12, now))
    };
    let share = Err(Refusal::Full(Over::Client));
    assert_eq!(fill(&mut queue, 1), (6, share));
    assert_eq!(fill(&mut queue, 2), (3, share));
    assert_eq!(fill(&mut queue, 3), (2, share));
    assert_eq!(fill(&mut queue, 4).0, 1);
    assert_eq!(fill(&mut queue, 5), (0, Err(Refusal::Full(Over::Total))));
}

/// The time of a hash in the simulation, as bcrypt with cost 10 has it.
const HASH: Duration = Duration::from_millis(50);

/// Simulates two threads that hash, with 50 clients that log in within a second, beside one that sends 300 wrong
/// passwords a second. Returns the longest wait of the 50, and the most hashes of the other that one of them waited for.
fn simulate(attempts: Option<usize>) -> (Duration, usize) {
    const ATTACKER: u64 = 0;
    let (mut queue, start) = (Queue::new(), Instant::now());
    let wrong = attempts
        .into_iter()
        .flat_map(|limit| (0..600_u64).map(move |number| (number * 10 / 3, ATTACKER, limit)));
    let others = (1..=50_u64).map(|client| (client * 20, client, 10));
    let mut arrivals: Vec<_> = wrong.chain(others).collect();
    arrivals.sort_unstable();
    let mut arrivals = arrivals.into_iter().peekable();
    let mut running: Vec<(u64, Running, u64)> = Vec::new();
    let (mut longest, mut most, mut attacks) = (0, 0, 0);
    for ms in 0..60_000 {
        let now = start + MS * u32::try_from(ms).unwrap();
        for (_, it, client) in running.extract_if(.., |(end, ..)| *end == ms) {
            queue.finish(it, client == ATTACKER, now);
        }
        while let Some((_, client, limit)) = arrivals.next_if(|(time, ..)| *time == ms) {
            let demand = demand(client, limit);
            let checked = queue.check(&demand, 1024, now);
            assert!(checked.is_ok() || client == ATTACKER, "{checked:?}");
            if checked.is_ok() {
                queue.push(&demand, (ms, client, attacks), now);
            }
        }
        while running.len() < 2 {
            let Some((it, (came, client, before))) = queue.start(now) else {
                break;
            };
            if client == ATTACKER {
                attacks += 1;
            } else {
                longest = longest.max(ms - came);
                most = most.max(attacks - before);
            }
            running.push((ms + u64::try_from(HASH.as_millis()).unwrap(), it, client));
        }
    }
    assert!(running.is_empty() && queue.waiting() == 0);
    (Duration::from_millis(longest), most)
}

#[test]
fn wrong_passwords_of_one_client_hardly_delay_fifty_others() {
    let (alone, _) = simulate(None);
    let (beside, ten) = simulate(Some(10));
    let (unlimited, hashes) = simulate(Some(0));
    // Each waits for one turn of the other at most.
    assert!(ten <= 1 && hashes <= 1, "{ten} {hashes}");
    // Ten hashes by two threads.
    assert!(beside <= alone + HASH * 5, "{beside:?} {alone:?}");
    assert!(unlimited <= alone * 2 + HASH * 2, "{unlimited:?} {alone:?}");
}

/// An event; the numbers choose among the candidates.
#[derive(Clone, Debug)]
enum Event {
    Arrive {
        client: u64,
        user: Option<u64>,
        limit: usize,
        is_wrong: bool,
    },
    Leave(usize),
    Finish(usize),
    Pass(u32),
}

fn event() -> impl Strategy<Value = Event> {
    let arrival = (
        0_u64..3,
        prop::option::of(0_u64..2),
        0_usize..4,
        any::<bool>(),
    );
    let arrive = arrival.prop_map(|(client, user, limit, is_wrong)| Event::Arrive {
        client,
        user,
        limit,
        is_wrong,
    });
    prop_oneof![
        6 => arrive,
        1 => any::<usize>().prop_map(Event::Leave),
        5 => any::<usize>().prop_map(Event::Finish),
        1 => (0_u32..40_000).prop_map(Event::Pass),
    ]
}

/// A request: its number and key, and the result of its check.
#[derive(Clone, Copy, Debug)]
struct Asked {
    number: usize,
    demand: Demand,
    is_wrong: bool,
}

/// A queue with its threads, and what must hold of both.
struct Model {
    queue: Queue<Asked>,
    now: Instant,
    at_once: usize,
    length: usize,
    asked: usize,
    /// Requests that were served, refused, or left.
    ended: Vec<usize>,
    waiting: Vec<(Asked, Ticket)>,
    running: Vec<(Asked, Running)>,
    failures: HashMap<AttemptKey, Vec<Instant>>,
    /// The largest limit of each key.
    limits: HashMap<AttemptKey, usize>,
}

impl Model {
    fn new(at_once: usize, length: usize) -> Self {
        Self {
            queue: Queue::new(),
            now: Instant::now(),
            at_once,
            length,
            asked: 0,
            ended: Vec::new(),
            waiting: Vec::new(),
            running: Vec::new(),
            failures: HashMap::new(),
            limits: HashMap::new(),
        }
    }

    /// Returns the number of failures of a key in the last minute.
    fn recent(&self, key: &AttemptKey) -> usize {
        let times = self.failures.get(key).into_iter().flatten();
        times.filter(|time| self.now < **time + WINDOW).count()
    }

    fn is_refused(&self, demand: &Demand) -> bool {
        demand.per_minute > 0 && self.recent(&demand.key) >= demand.per_minute
    }

    fn arrive(&mut self, demand: Demand, is_wrong: bool) {
        let number = self.asked;
        self.asked += 1;
        let limit = self.limits.entry(demand.key).or_default();
        *limit = demand.per_minute.max(*limit);
        let asked = Asked {
            number,
            demand,
            is_wrong,
        };
        match self.queue.check(&demand, self.length, self.now) {
            Ok(()) => {
                assert!(!self.is_refused(&demand));
                let ticket = self.queue.push(&demand, asked, self.now);
                self.waiting.push((asked, ticket));
                assert!(self.waiting.len() <= self.length);
            }
            Err(Refusal::Attempts { wait, .. }) => {
                assert!(self.is_refused(&demand) && wait > Duration::ZERO && wait <= WINDOW);
                self.ended.push(number);
            }
            Err(Refusal::Full(_)) => {
                let is_own = |(it, _): &&(Asked, Ticket)| it.demand.key.party == demand.key.party;
                let own = self.waiting.iter().filter(is_own).count();
                assert!(own >= self.length - self.waiting.len());
                self.ended.push(number);
            }
        }
    }

    fn leave(&mut self, index: usize) {
        if let Some(index) = index.checked_rem(self.waiting.len()) {
            let (asked, ticket) = self.waiting.swap_remove(index);
            let left = self.queue.leave(ticket, self.now).unwrap();
            assert_eq!(left.number, asked.number);
            self.ended.push(asked.number);
        }
    }

    fn finish(&mut self, index: usize) {
        let Some(index) = index.checked_rem(self.running.len()) else {
            return;
        };
        let (asked, running) = self.running.swap_remove(index);
        let Demand { key, per_minute } = asked.demand;
        self.ended.push(asked.number);
        if asked.is_wrong && per_minute > 0 {
            self.failures.entry(key).or_default().push(self.now);
            assert!(self.recent(&key) <= self.limits[&key]);
        }
        for (refused, _) in self.queue.finish(running, asked.is_wrong, self.now) {
            assert!(
                asked.is_wrong && refused.demand.key == key && self.is_refused(&refused.demand)
            );
            self.forget(refused.number);
            self.ended.push(refused.number);
        }
        // Whoever may not fail any more does not wait.
        assert!(
            self.waiting
                .iter()
                .all(|(it, _)| !self.is_refused(&it.demand))
        );
    }

    fn forget(&mut self, number: usize) {
        let index = self.waiting.iter().position(|(it, _)| it.number == number);
        self.waiting.swap_remove(index.unwrap());
    }

    /// Starts as many as may run.
    fn start(&mut self) {
        while self.running.len() < self.at_once {
            let Some((running, asked)) = self.queue.start(self.now) else {
                break;
            };
            self.forget(asked.number);
            let Demand { key, per_minute } = asked.demand;
            if per_minute > 0 {
                assert!(self.recent(&key) + self.running_with(&key) < per_minute);
            }
            self.running.push((asked, running));
        }
        assert_eq!(self.queue.running(), self.running.len());
        assert_eq!(self.queue.waiting(), self.waiting.len());
        if self.running.len() < self.at_once {
            // Only those wait for whose key a running check decides.
            assert!(
                self.waiting
                    .iter()
                    .all(|(it, _)| self.running_with(&it.demand.key) > 0)
            );
        }
    }

    fn running_with(&self, key: &AttemptKey) -> usize {
        let same = |(it, _): &&(Asked, Running)| it.demand.key == *key;
        self.running.iter().filter(same).count()
    }
}

proptest! {
    /// Never more than `at_once` run, never more than the limit fails in a minute, nobody is refused for the failures of
    /// another key, and each request ends once.
    #[test]
    fn any_sequence_keeps_the_limits(
        at_once in 1_usize..4,
        length in 1_usize..12,
        events in prop::collection::vec(event(), 1..300),
    ) {
        let mut model = Model::new(at_once, length);
        for event in events {
            match event {
                Event::Arrive { client, user, limit, is_wrong } => {
                    model.arrive(demand_of(client, user, limit), is_wrong);
                }
                Event::Leave(index) => model.leave(index),
                Event::Finish(index) => model.finish(index),
                Event::Pass(ms) => model.now += MS * ms,
            }
            model.start();
        }
        while !model.running.is_empty() {
            model.finish(0);
            model.start();
        }
        prop_assert!(model.waiting.is_empty() && model.queue.clients.is_empty());
        prop_assert!(model.queue.round.is_empty());
        model.ended.sort_unstable();
        prop_assert_eq!(model.ended, (0..model.asked).collect::<Vec<_>>());
    }
}
