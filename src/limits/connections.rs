//! Limit of the connections of one client, which keeps one from taking all of `limits.connections`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::rate::Client;

/// The number of connections of each client; there are no more entries than connections.
#[derive(Debug, Default)]
pub struct Connections(Mutex<HashMap<Client, usize>>);

/// The default share of all connections for one client, and its minimum: some browsers behind one address.
const PART: usize = 8;
const LEAST: usize = 64;

/// Returns the number of `all` connections that one client may hold.
pub fn share(all: usize) -> usize {
    (all / PART).max(LEAST)
}

/// A connection, counted until dropped.
#[derive(Debug)]
pub struct Held {
    connections: Arc<Connections>,
    client: Client,
    count: usize,
}

impl Held {
    /// Returns the number of its client's connections, this one included.
    pub fn count(&self) -> usize {
        self.count
    }
}

impl Connections {
    /// Counts one more connection of `client`; `None` if it holds `most` already. 0 is no limit.
    pub fn hold(self: &Arc<Self>, client: Client, most: usize) -> Option<Held> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(client).or_insert(0);
        if most > 0 && *count >= most {
            return None;
        }
        *count += 1;
        Some(Held {
            connections: Arc::clone(self),
            client,
            count: *count,
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut counts = self
            .connections
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_holds_so_many_and_no_more() {
        let connections = Arc::new(Connections::default());
        let client = Client::new("192.0.2.1".parse().unwrap());
        let first = connections.hold(client, 2);
        let second = connections.hold(client, 2);
        let counts = [&first, &second].map(|held| held.as_ref().map(Held::count));
        assert_eq!(counts, [Some(1), Some(2)]);
        assert!(connections.hold(client, 2).is_none());
        assert!(connections.hold(client, 0).is_some());
        drop(first);
        assert!(connections.hold(client, 2).is_some());
        drop(second);
        assert!(connections.0.lock().unwrap().is_empty());
    }
}
