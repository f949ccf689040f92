//! `remote`: the address of the client.

use std::fmt;

use super::set::Builder;
use super::{Condition, Cost, Criterion, Exhausted, listed};
use crate::auth::TrustedProxies;
use crate::message::{Disk, Request};
use crate::route::Captures;
use crate::section::{At, Key, Lowered, Problems};

/// The `remote` key.
pub(super) static KEY: Key<Vec<At<String>>> = Key::texts("remote", "Where the client is: an address, a network, or \"unix\" for whoever comes through a unix socket; one or a list. Behind a trusted proxy it is the proxy's client.").example("[\"10.0.0.0/8\", \"2001:db8::/32\"]");

/// Networks of which one must have the client.
#[derive(Debug)]
pub struct Remote(TrustedProxies);

impl Remote {
    /// What is neither a network nor a word for one is a problem.
    pub fn new(texts: &[At<String>], problems: &mut Problems) -> Self {
        Self(TrustedProxies::build(texts, problems))
    }
}

pub(super) fn build(section: &Lowered, builder: &mut Builder<'_>) -> Option<Remote> {
    let texts = listed(section, &KEY, builder.problems)?;
    Some(Remote::new(&texts, builder.problems))
}

impl Criterion for Remote {
    fn cost(&self) -> Cost {
        Cost::Client
    }

    fn holds(&self, request: &Request, _: &dyn Disk, _: &mut Captures) -> Result<bool, Exhausted> {
        Ok(self.0.contains(request.wire.client))
    }

    fn covers(&self, other: &Condition) -> bool {
        matches!(other, Condition::Remote(other) if self.0 == other.0)
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "remote {}", self.0)
    }
}
