//! Upstreams: named sets of servers, and the leases by which requests use them. Discovery, health and choice of
//! members know no protocol; each protocol has a folder of its own, as [`fpm`].

pub mod address;
mod balanced;
mod balancer;
mod condition;
pub mod demand;
mod dns;
pub mod flow;
pub mod fpm;
pub mod health;
mod members;
pub mod numbers;
pub mod policy;
mod pool;
pub mod section;

use std::sync::Arc;
use std::time::Duration;

pub use address::Address;
pub use condition::is_passing;
pub use demand::{Deadline, Demand, LeaseError, Order};
pub use flow::{ClassKey, Flow, Sharing};
pub use fpm::denied::explain as explain_denied;
pub use fpm::lease::Lease;
pub use fpm::member::{Member, MemberSettings};

use balanced::Balanced;
use balancer::Balancer;
use members::Members;
pub use members::Unresolved;
use policy::Policy;

/// A named set of equivalent servers.
#[derive(Debug)]
pub struct Upstream {
    /// The name in the configuration, or the address if a site gave one.
    pub name: String,
    /// Time limits of its requests.
    pub timeouts: Timeouts,
    servers: Vec<Address>,
    balancer: Balancer<Member>,
}

/// `timeouts` of an upstream; zero is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Of one attempt to connect.
    pub connect: Duration,
    /// From the request's arrival until a worker takes it.
    pub queue: Duration,
    /// From then until the first byte of the answer.
    pub first_byte: Duration,
    /// Between two pieces of the answer.
    pub idle: Duration,
    /// From the request's arrival to the last byte of the answer.
    pub total: Duration,
}

/// Discovery and choice of the members of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balancing {
    /// The load balancing method.
    pub policy: Policy,
    /// Validity of the addresses of a name.
    pub resolve: Duration,
}

/// The configured settings of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Time limits of its requests.
    pub timeouts: Timeouts,
    /// Discovery and choice of its members.
    pub balancing: Balancing,
    /// Settings of each member.
    pub member: MemberSettings,
}

impl Upstream {
    /// Builds an upstream of the servers at `addresses`, without connecting or lookups. Servers that are members of
    /// `previous` keep their state, with running and waiting requests.
    pub fn new(
        name: String,
        addresses: &[Address],
        settings: Settings,
        previous: Option<&Self>,
    ) -> Self {
        let resolver = Arc::new(dns::SystemResolver);
        let Settings {
            timeouts,
            balancing,
            member,
        } = settings;
        let previous = previous.map(|previous| &**previous.balancer.members());
        let members = Members::new(addresses, member, balancing.resolve, resolver, previous);
        Self {
            name,
            timeouts,
            servers: addresses.to_vec(),
            balancer: Balancer::new(members, balancing.policy),
        }
    }

    /// Applies the settings, also to members of an earlier upstream; `sharing` has the shares of sites and classes.
    pub fn take_effect(&self, sharing: Sharing) {
        self.balancer.members().take_effect(sharing);
    }

    /// Returns a connection for a request. `failed` is the member at which the request has just failed: another is
    /// chosen if one is available.
    pub async fn lease(
        &self,
        demand: Demand,
        failed: Option<&Arc<Member>>,
    ) -> Result<Lease, LeaseError> {
        match self.balancer.members().only() {
            Some(member) => member.lease(demand).await,
            None => self.balancer.lease(demand, failed).await,
        }
    }

    /// Logs one line for each member with any activity.
    pub fn log_numbers(&self) {
        for member in self.members().iter() {
            let numbers = member.numbers();
            if numbers.opened.get() + numbers.refused.get() > 0 {
                tracing::info!(upstream = self.name, address = %member.address(), "numbers: {numbers}");
            }
        }
    }

    /// Returns the configured addresses of its servers.
    pub fn servers(&self) -> &[Address] {
        &self.servers
    }

    /// Returns the names of servers without an address, each with the error of its lookup, if there was one.
    pub fn unresolved(&self) -> Vec<Unresolved> {
        self.balancer.members().unresolved()
    }

    /// Returns the current members.
    pub fn members(&self) -> Arc<Vec<Arc<Member>>> {
        self.balancer.members().current()
    }
}
