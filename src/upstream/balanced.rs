//! What is balanced: one server, by whatever protocol it is asked.

use std::fmt::Debug;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Address;
use super::condition::Condition;
use super::demand::{Demand, LeaseError};
use super::flow::{Flow, Sharing};
use super::policy::Load;

/// One server of an upstream, as its members and its balancer see it.
pub(super) trait Balanced: Debug + Send + Sync + Sized + 'static {
    /// What the configuration says of each.
    type Settings: Copy + Debug + Send + Sync;

    /// The right to use one for a request.
    type Lease: Send;

    /// Builds one without connections; `changes` is notified when it fails and when it is well again.
    fn new(address: Address, settings: Self::Settings, changes: &Arc<Notify>) -> Arc<Self>;

    /// Returns how it is.
    fn condition(&self) -> &Condition;

    /// Returns what it has to do, its health, and whether a request of `flow` finds a place there.
    fn load(&self, now: Instant, flow: &Flow) -> Load;

    /// Takes other settings from now on, as after a reload. What runs and waits stays, in its order.
    fn adopt(&self, settings: Self::Settings);

    /// Shares it as `sharing` says from now on.
    fn share(&self, sharing: &Sharing);

    /// Closes what idles: it is no longer of the upstream. What runs ends as it would have.
    fn retire(&self);

    /// Connects once, to find out whether it is well again.
    fn knock(self: &Arc<Self>) -> impl Future<Output = ()> + Send;

    /// Returns a connection for a request, at once or after a wait.
    fn lease(
        self: &Arc<Self>,
        demand: Demand,
    ) -> impl Future<Output = Result<Self::Lease, LeaseError>> + Send;
}
