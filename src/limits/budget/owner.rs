//! The owners of shares.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::limits::rate::Client;

/// A client with a share of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Party {
    /// An IPv4 address or an IPv6 /64.
    Client(Client),
    /// A connection without a known address, as on a unix socket, by its number.
    Connection(u64),
}

/// A site's key, stable across reloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SiteKey(u64);

/// A client on a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The client.
    pub party: Party,
    /// The requested site.
    pub site: SiteKey,
}

impl SiteKey {
    /// Returns the key of the site of this name. Two names with one key would share their shares, and nothing else.
    pub fn of(name: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        Self(hasher.finish())
    }
}
