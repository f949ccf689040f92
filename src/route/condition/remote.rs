//! `remote`: the address of the client.

use crate::auth::TrustedProxies;
use crate::message::Request;
use crate::section::{At, Key, Kind, Problems};

/// The `remote` key.
pub const KEY: Key = Key::new("remote", Kind::Texts, "Where the client is: an address, a network, or \"unix\" for whoever comes through a unix socket; one or a list. Behind a trusted proxy it is the proxy's client.").example("[\"10.0.0.0/8\", \"2001:db8::/32\"]");

/// Networks of which one must have the client.
#[derive(Debug)]
pub struct Remote(pub(super) TrustedProxies);

impl Remote {
    /// What is neither a network nor a word for one is a problem.
    pub fn new(texts: &[At<String>], problems: &mut Problems) -> Self {
        Self(TrustedProxies::build(texts, problems))
    }

    /// Whether both name the same networks.
    pub fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    /// Whether the client is in one of them.
    pub fn holds(&self, request: &Request) -> bool {
        self.0.contains(request.wire.client)
    }
}
