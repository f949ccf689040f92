//! The queue of waiting requests. Sites take turns, and of each site its clients: a client with a hundred waiting
//! requests delays another by one grant and no more. Within a client the order is first in, first out. A class with a
//! reserve ([`classes`]) is served apart when it is owed a grant.
//!
//! Arriving, leaving and being served touch one node on each level ([`rounds`]), for any length of the queue.
//!
//! A free connection is worth more on its own thread: there its next request neither wakes another thread nor moves
//! it to that. So, of the client whose turn it is, a request on that thread goes first if it came no more than
//! [`LEAD`] after the head. No other client is delayed by that, and compared with the run time of scripts it is
//! negligible.

mod classes;
mod rounds;

use std::collections::HashMap;
use std::time::Duration;

use slab::Slab;
use tokio::time::Instant;

use crate::limits::budget::{Over, Party};
use crate::threads::Home;
use crate::upstream::flow::{Flow, Sharing};
use classes::Classes;
use rounds::{BranchKey, End, NodeId, Rounds};

/// The most by which the order of arrival within a client may be violated.
const LEAD: Duration = Duration::from_millis(1);

/// The most requests examined for one on the right thread.
const LOOK: usize = 32;

/// A site's share of the places as a multiple of the free ones; a client's is one.
const SITE: usize = 3;

/// A place in the queue; unique among all waiters of all time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    place: NodeId,
    id: u64,
}

/// A waiting request.
#[derive(Debug)]
struct Place<W> {
    id: u64,
    since: Instant,
    /// Set for a request before all others of its client, which none of them replaces.
    is_first: bool,
    home: Home,
    client: NodeId,
    /// Its leaf in the common round.
    leaf: NodeId,
    /// Root and leaf in the round of its class.
    class: Option<(NodeId, NodeId)>,
    waiter: W,
}

/// A client with waiting requests.
#[derive(Debug)]
struct Client {
    party: Party,
    /// Number of its places, on all sites.
    places: usize,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue<W> {
    places: Slab<Place<W>>,
    rounds: Rounds,
    /// The root of the round of all requests.
    common: NodeId,
    classes: Classes,
    clients: Slab<Client>,
    /// The number of each client.
    numbers: HashMap<Party, NodeId>,
    has_several_sites: bool,
    next_id: u64,
}

impl<W> Queue<W> {
    pub(super) fn new() -> Self {
        let mut rounds = Rounds::default();
        Self {
            places: Slab::new(),
            common: rounds.add_root(),
            rounds,
            classes: Classes::default(),
            clients: Slab::new(),
            numbers: HashMap::new(),
            has_several_sites: false,
            next_id: 0,
        }
    }

    /// Applies the reserves of another configuration. A request that waits in a removed class waits as all others.
    pub(super) fn share(&mut self, sharing: &Sharing) {
        self.has_several_sites = sharing.has_several_sites;
        let gone = self.classes.adopt(&sharing.reserves, &mut self.rounds);
        for (_, place) in &mut self.places {
            let left = place.class.take_if(|(root, _)| gone.contains(root));
            if let Some((_, leaf)) = left {
                self.rounds.remove(leaf, false);
            }
        }
        for root in gone {
            self.rounds.remove_root(root);
        }
    }

    /// Returns the number of waiting requests.
    pub(super) fn waiting(&self) -> usize {
        self.places.len()
    }

    /// Returns the number of waiting clients.
    pub(super) fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Returns the arrival of the oldest waiting request. Examines all of them.
    pub(super) fn longest(&self) -> Option<Instant> {
        self.places.iter().map(|(_, place)| place.since).min()
    }

    /// Fails if a request of `flow` finds no place in a queue of `length`: a client may have as many as are free, so
    /// that it has half when it is alone, and a site three times as many if there are others. While a class has
    /// places of its own left, that holds among those of the class.
    pub(super) fn check(&self, flow: &Flow, length: usize) -> Result<(), Over> {
        let number = self.numbers.get(&flow.owner.party).copied();
        if let Some(class) = self.classes.get(flow.class) {
            let own = number.map_or(0, |client| {
                self.rounds.count(class.root, &[BranchKey::Client(client)])
            });
            if own < class.kept(length, &self.rounds) {
                return Ok(());
            }
        }
        let kept = self.classes.kept_from(flow.class, length, &self.rounds);
        let free = length.saturating_sub(self.waiting().saturating_add(kept));
        if free == 0 {
            return Err(Over::Total);
        }
        let client = number.and_then(|client| self.clients.get(client));
        if client.is_some_and(|client| client.places >= free) {
            return Err(Over::Client);
        }
        let site = [BranchKey::Site(flow.owner.site)];
        let most = free.saturating_mul(SITE);
        if self.has_several_sites && self.rounds.count(self.common, &site) >= most {
            return Err(Over::Site);
        }
        Ok(())
    }

    pub(super) fn push_back(&mut self, flow: &Flow, waiter: W, now: Instant, home: Home) -> Ticket {
        self.push(flow, End::Last, waiter, (now, home))
    }

    /// Enters a request at the head of its client's line, and the client at the head of its rounds.
    pub(super) fn push_front(
        &mut self,
        flow: &Flow,
        waiter: W,
        now: Instant,
        home: Home,
    ) -> Ticket {
        self.push(flow, End::First, waiter, (now, home))
    }

    /// Removes and returns the request with the next turn, or one of the same client on the thread `home`.
    pub(super) fn pop(&mut self, home: Option<Home>) -> Option<W> {
        if self.places.is_empty() {
            return None;
        }
        let owed = self.classes.count_grant(&self.rounds);
        let head = self.rounds.head(owed.unwrap_or(self.common))?;
        let leaf = home
            .and_then(|home| self.find_on_thread(head, home))
            .unwrap_or(head);
        let place = self.places.try_remove(self.rounds.content(leaf)?)?;
        if let Some((root, leaf)) = place.class {
            self.classes.charge(root);
            self.rounds.remove(leaf, owed.is_some());
        }
        self.rounds.remove(place.leaf, owed.is_none());
        self.uncount(place.client);
        Some(place.waiter)
    }

    /// Removes a waiter; `None` if it left before. Its place may be another's by now.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<W> {
        self.places
            .get(ticket.place)
            .filter(|place| place.id == ticket.id)?;
        let place = self.places.try_remove(ticket.place)?;
        if let Some((_, leaf)) = place.class {
            self.rounds.remove(leaf, false);
        }
        self.rounds.remove(place.leaf, false);
        self.uncount(place.client);
        Some(place.waiter)
    }

    fn push(&mut self, flow: &Flow, end: End, waiter: W, (since, home): (Instant, Home)) -> Ticket {
        let place = self.places.vacant_key();
        let client = self.count(flow.owner.party);
        let path = [BranchKey::Site(flow.owner.site), BranchKey::Client(client)];
        let leaf = self.rounds.enter(self.common, &path, end, place);
        let root = self.classes.get(flow.class).map(|class| class.root);
        let class = root.map(|root| {
            let leaf = self
                .rounds
                .enter(root, &[BranchKey::Client(client)], end, place);
            (root, leaf)
        });
        self.next_id += 1;
        let id = self.next_id;
        self.places.insert(Place {
            id,
            since,
            is_first: end == End::First,
            home,
            client,
            leaf,
            class,
            waiter,
        });
        Ticket { place, id }
    }

    /// Finds a request on the thread `home` in the line of `head`.
    fn find_on_thread(&self, head: NodeId, home: Home) -> Option<NodeId> {
        let of = |leaf| self.places.get(self.rounds.content(leaf)?);
        let first = of(head).filter(|place| !place.is_first)?;
        let latest = first.since + LEAD;
        let is_near = |leaf: &NodeId| {
            of(*leaf).is_some_and(|place| place.home == home && place.since <= latest)
        };
        self.rounds.line(head).take(LOOK).find(is_near)
    }

    /// Counts a place of a client, and returns the client's number.
    fn count(&mut self, party: Party) -> NodeId {
        let new = || self.clients.insert(Client { party, places: 0 });
        let number = *self.numbers.entry(party).or_insert_with(new);
        if let Some(client) = self.clients.get_mut(number) {
            client.places += 1;
        }
        number
    }

    fn uncount(&mut self, number: NodeId) {
        let Some(client) = self.clients.get_mut(number) else {
            return;
        };
        client.places -= 1;
        if client.places == 0 {
            self.numbers.remove(&client.party);
            self.clients.try_remove(number);
        }
    }
}

#[cfg(test)]
mod tests;
