//! Upstreams: named sets of FastCGI servers, and the leases by which requests use them.

pub mod address;
pub mod admission;
mod denied;
pub mod lease;
pub mod member;
pub mod numbers;
pub mod policy;
mod pool;
mod scout;
pub mod section;

use std::sync::Arc;
use std::time::Duration;

pub use address::Address;
pub use lease::{Lease, LeaseError};
pub use member::{Member, MemberSettings, Order};

/// A named set of servers that answer alike.
#[derive(Debug)]
pub struct Upstream {
    /// The name in the configuration, or the address where a site gave one.
    pub name: String,
    /// How long its requests may take.
    pub timeouts: Timeouts,
    members: Vec<Arc<Member>>,
}

/// `timeouts` of an upstream; zero is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For one attempt to connect.
    pub connect: Duration,
    /// From the request's arrival until a worker takes it.
    pub queue: Duration,
    /// From then until the first byte of the answer.
    pub first_byte: Duration,
    /// Between two pieces of the answer.
    pub idle: Duration,
}

impl Upstream {
    /// An upstream of the servers at `addresses`; nothing is connected yet.
    pub fn new(
        name: String,
        addresses: Vec<Address>,
        timeouts: Timeouts,
        settings: MemberSettings,
    ) -> Self {
        let members = addresses
            .into_iter()
            .map(|address| Member::new(address, settings))
            .collect();
        Self {
            name,
            timeouts,
            members,
        }
    }

    /// The member that has the least to do.
    pub fn pick(&self) -> Option<&Arc<Member>> {
        match self.members.as_slice() {
            [only] => Some(only),
            members => {
                let loads: Vec<_> = members.iter().map(|member| member.load()).collect();
                policy::least_busy::pick(&loads).and_then(|index| members.get(index))
            }
        }
    }

    /// All members.
    pub fn members(&self) -> &[Arc<Member>] {
        &self.members
    }
}
