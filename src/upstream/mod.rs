//! Upstreams: named sets of FastCGI servers, and the leases by which requests use them.

pub mod address;
mod balancer;
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
pub use flow::{ClassKey, Flow, Sharing};
pub use fpm::connecting::is_passing;
pub use fpm::denied::explain as explain_denied;
pub use fpm::lease::Lease;
pub use fpm::member::{Member, MemberSettings, Order};
pub use fpm::waiting::{Deadline, Demand, LeaseError};

use balancer::Balancer;
use members::Members;
pub use members::Unresolved;
use policy::Policy;

/// A named set of servers that answer alike.
#[derive(Debug)]
pub struct Upstream {
    /// The name in the configuration, or the address where a site gave one.
    pub name: String,
    /// How long its requests may take.
    pub timeouts: Timeouts,
    servers: Vec<Address>,
    balancer: Balancer,
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

/// How the members of an upstream are found and chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balancing {
    /// Which member gets a request.
    pub policy: Policy,
    /// How long the addresses of a name are good.
    pub resolve: Duration,
}

/// What the configuration says of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long its requests may take.
    pub timeouts: Timeouts,
    /// How its members are found and chosen.
    pub balancing: Balancing,
    /// What holds for each of them.
    pub member: MemberSettings,
}

impl Upstream {
    /// An upstream of the servers at `addresses`; nothing is connected or looked up yet. Those that are members of
    /// `previous` stay what they are, with all that runs and waits there.
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

    /// Its settings hold from now on, for what its members have from an upstream before it too; `sharing` says who shares
    /// them.
    pub fn take_effect(&self, sharing: Sharing) {
        self.balancer.members().take_effect(sharing);
    }

    /// A connection for a request. `failed` is the member at which it has just failed: another is
    /// asked where one is well.
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

    /// One line for each member that did anything.
    pub fn log_numbers(&self) {
        for member in self.members().iter() {
            let numbers = member.numbers();
            if numbers.opened.get() + numbers.refused.get() > 0 {
                tracing::info!(upstream = self.name, address = %member.address(), "numbers: {numbers}");
            }
        }
    }

    /// Where its servers listen, as the configuration says.
    pub fn servers(&self) -> &[Address] {
        &self.servers
    }

    /// Returns the names of servers that stand for no address, each with why it could not be looked up,
    /// where that was tried.
    pub fn unresolved(&self) -> Vec<Unresolved> {
        self.balancer.members().unresolved()
    }

    /// The members that there are now.
    pub fn members(&self) -> Arc<Vec<Arc<Member>>> {
        self.balancer.members().current()
    }
}
