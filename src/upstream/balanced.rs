//! The interface between a server of an upstream and its balancer, independent of the server's protocol.

use std::fmt::Debug;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Address;
use super::condition::Condition;
use super::demand::{Demand, LeaseError};
use super::flow::{Flow, Sharing};
use super::policy::Load;

/// A server of an upstream, as its members and its balancer see it.
pub(super) trait Balanced: Debug + Send + Sync + Sized + 'static {
    /// The configured settings of each server.
    type Settings: Copy + Debug + Send + Sync;

    /// A connection leased to a request.
    type Lease: Send;

    /// Builds a server without connections; `changes` is notified when it fails and when it recovers.
    fn new(address: Address, settings: Self::Settings, changes: &Arc<Notify>) -> Arc<Self>;

    /// Returns the condition of the server.
    fn condition(&self) -> &Condition;

    /// Returns the server's load and health, and whether its queue has a place for a request of `flow`.
    fn load(&self, now: Instant, flow: &Flow) -> Load;

    /// Applies other settings, as after a reload. Running and waiting requests keep their order.
    fn adopt(&self, settings: Self::Settings);

    /// Applies other shares of sites and classes.
    fn share(&self, sharing: &Sharing);

    /// Closes the idle connections of a server that leaves the upstream. Running requests complete.
    fn retire(&self);

    /// Connects once, to find out whether the server has recovered.
    fn check_health(self: &Arc<Self>) -> impl Future<Output = ()> + Send;

    /// Returns a connection for a request, at once or after a wait.
    fn lease(
        self: &Arc<Self>,
        demand: Demand,
    ) -> impl Future<Output = Result<Self::Lease, LeaseError>> + Send;
}
