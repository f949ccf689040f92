//! The queue of passwords to check, as a state machine without threads. Clients take turns; of each client the requests
//! are served first in, first out, except those whose key has as many running checks as it may still fail: they wait
//! until one of these ends, and are refused when the failures reach the limit.
//!
//! Entering, leaving and being served cost the logarithm of the length; refusing costs one step for each request refused
//! or waiting with the same key.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::attempts::{AttemptKey, Attempts};
use crate::limits::budget::{Over, Party};

/// Key and limit of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    pub(super) key: AttemptKey,
    /// The most failures in a minute; 0 is no limit.
    pub(super) per_minute: usize,
}

/// A place in the queue; unique among all of all time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    key: AttemptKey,
    id: u64,
}

/// A running check, to be ended by [`Queue::finish`].
#[derive(Debug)]
pub(super) struct Running(Demand);

/// The reason of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The failures of the key have reached the limit; the time until it may try again.
    Attempts { per_minute: usize, wait: Duration },
    /// The client has its share of the places, or none is free.
    Full(Over),
}

/// The queue, with the failures of all keys.
#[derive(Debug)]
pub(super) struct Queue<W> {
    attempts: Attempts,
    clients: HashMap<Party, Client<W>>,
    /// Clients with a request that can run, by their turns.
    round: BTreeMap<u64, Party>,
    running: usize,
    waiting: usize,
    next_id: u64,
}

/// A client with running or waiting requests.
#[derive(Debug)]
struct Client<W> {
    lines: HashMap<AttemptKey, Line<W>>,
    /// The first request of each line that can run, by its id.
    heads: BTreeMap<u64, AttemptKey>,
    /// Its turn in the round; `None` without heads.
    turn: Option<u64>,
    waiting: usize,
}

/// The requests of one key.
#[derive(Debug)]
struct Line<W> {
    running: usize,
    /// Waiting requests by id, with the limit of each.
    waiting: BTreeMap<u64, (usize, W)>,
    /// Its entry in the heads.
    head: Option<u64>,
}

impl<W> Queue<W> {
    /// Builds an empty queue.
    pub(super) fn new() -> Self {
        Self {
            attempts: Attempts::new(),
            clients: HashMap::new(),
            round: BTreeMap::new(),
            running: 0,
            waiting: 0,
            next_id: 0,
        }
    }

    /// Returns the number of running checks.
    pub(super) fn running(&self) -> usize {
        self.running
    }

    /// Returns the number of waiting requests.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Reports whether a request could run now.
    pub(super) fn is_ready(&self) -> bool {
        !self.round.is_empty()
    }

    /// Fails if a request may not try, or finds no place in a queue of `length`: a client may have as many places as are
    /// free, so that it has half of them when it is alone, and a newcomer finds one.
    pub(super) fn check(
        &self,
        demand: &Demand,
        length: usize,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Demand { key, per_minute } = demand;
        if let Err(wait) = self.attempts.left(key, *per_minute, now) {
            let per_minute = *per_minute;
            return Err(Refusal::Attempts { per_minute, wait });
        }
        let free = length.saturating_sub(self.waiting);
        let own = self.clients.get(&key.party);
        if free == 0 {
            Err(Refusal::Full(Over::Total))
        } else if own.is_some_and(|client| client.waiting >= free) {
            Err(Refusal::Full(Over::Client))
        } else {
            Ok(())
        }
    }

    /// Enters a request at the end of its client's line.
    pub(super) fn push(&mut self, demand: &Demand, waiter: W, now: Instant) -> Ticket {
        let Demand { key, per_minute } = *demand;
        let id = self.draw();
        let client = self.clients.entry(key.party).or_default();
        client.waiting += 1;
        self.waiting += 1;
        let line = client.lines.entry(key).or_default();
        line.waiting.insert(id, (per_minute, waiter));
        self.update(&key, now);
        Ticket { key, id }
    }

    /// Removes a waiting request; `None` if it is not waiting any more.
    pub(super) fn leave(&mut self, ticket: Ticket, now: Instant) -> Option<W> {
        let Ticket { key, id } = ticket;
        let client = self.clients.get_mut(&key.party)?;
        let line = client.lines.get_mut(&key)?;
        let (_, waiter) = line.waiting.remove(&id)?;
        client.waiting -= 1;
        self.waiting -= 1;
        self.update(&key, now);
        Some(waiter)
    }

    /// Takes the request with the next turn, which runs until it is finished.
    pub(super) fn start(&mut self, now: Instant) -> Option<(Running, W)> {
        let (_, party) = self.round.pop_first()?;
        let client = self.clients.get_mut(&party)?;
        client.turn = None;
        let (_, key) = client.heads.pop_first()?;
        let line = client.lines.get_mut(&key)?;
        line.head = None;
        let (_, (per_minute, waiter)) = line.waiting.pop_first()?;
        line.running += 1;
        client.waiting -= 1;
        self.waiting -= 1;
        self.running += 1;
        self.update(&key, now);
        Some((Running(Demand { key, per_minute }), waiter))
    }

    /// Ends a running check, and returns the waiting requests that its failure refuses.
    pub(super) fn finish(
        &mut self,
        running: Running,
        is_failure: bool,
        now: Instant,
    ) -> Vec<(W, Refusal)> {
        let Running(Demand { key, per_minute }) = running;
        self.running -= 1;
        if let Some(line) = self.line(&key) {
            line.running -= 1;
        }
        let mut refused = Vec::new();
        if is_failure {
            self.attempts.add(key, per_minute, now);
            self.refuse(&key, now, &mut refused);
        }
        self.update(&key, now);
        refused
    }

    /// Removes the waiting requests of a key whose limit is reached.
    fn refuse(&mut self, key: &AttemptKey, now: Instant, refused: &mut Vec<(W, Refusal)>) {
        let Some(client) = self.clients.get_mut(&key.party) else {
            return;
        };
        let Some(line) = client.lines.get_mut(key) else {
            return;
        };
        let attempts = &self.attempts;
        let is_refused = |_: &u64, (per_minute, _): &mut (usize, W)| {
            attempts.left(key, *per_minute, now).is_err()
        };
        for (_, (per_minute, waiter)) in line.waiting.extract_if(.., is_refused) {
            let left = attempts.left(key, per_minute, now);
            let wait = left.err().unwrap_or_default();
            refused.push((waiter, Refusal::Attempts { per_minute, wait }));
        }
        client.waiting -= refused.len();
        self.waiting -= refused.len();
    }

    /// Gives the line of a key its entry in the heads, and its client a turn, or takes them away.
    fn update(&mut self, key: &AttemptKey, now: Instant) {
        let turn = self.draw();
        let Some(client) = self.clients.get_mut(&key.party) else {
            return;
        };
        if let Some(line) = client.lines.get_mut(key) {
            let head = line.next(key, &self.attempts, now);
            if line.head != head {
                line.head.map(|old| client.heads.remove(&old));
                head.map(|new| client.heads.insert(new, *key));
                line.head = head;
            }
            if line.is_empty() {
                client.lines.remove(key);
            }
        }
        if client.heads.is_empty() {
            client.turn.take().map(|turn| self.round.remove(&turn));
        } else if client.turn.is_none() {
            client.turn = Some(turn);
            self.round.insert(turn, key.party);
        }
        if client.lines.is_empty() {
            self.clients.remove(&key.party);
        }
    }

    fn line(&mut self, key: &AttemptKey) -> Option<&mut Line<W>> {
        self.clients.get_mut(&key.party)?.lines.get_mut(key)
    }

    /// Returns the next number, of a request or a turn.
    fn draw(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

impl<W> Line<W> {
    /// Returns the id of the first waiting request, if it can run: a failure of all running ones must leave it one.
    fn next(&self, key: &AttemptKey, attempts: &Attempts, now: Instant) -> Option<u64> {
        let (id, (per_minute, _)) = self.waiting.first_key_value()?;
        let left = attempts.left(key, *per_minute, now).unwrap_or(0);
        (self.running < left).then_some(*id)
    }

    fn is_empty(&self) -> bool {
        self.running == 0 && self.waiting.is_empty()
    }
}

impl<W> Default for Client<W> {
    fn default() -> Self {
        Self {
            lines: HashMap::new(),
            heads: BTreeMap::new(),
            turn: None,
            waiting: 0,
        }
    }
}

impl<W> Default for Line<W> {
    fn default() -> Self {
        Self {
            running: 0,
            waiting: BTreeMap::new(),
            head: None,
        }
    }
}

#[cfg(test)]
mod tests;
