//! Whose share something is taken from.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::limits::rate::Client;

/// One who is given a share of his own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// An IPv4 address or an IPv6 /64.
    Client(Client),
    /// A connection of which no address is known, as on a unix socket, by its number.
    Connection(u64),
}

/// A site, the same one after a reload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SiteKey(u64);

/// A client on a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The client.
    pub party: Party,
    /// The site that it asks.
    pub site: SiteKey,
}

impl SiteKey {
    /// The site of this name. Two names with one key would share what belongs to each, and nothing else.
    pub fn of(name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Self(hasher.finish())
    }
}
