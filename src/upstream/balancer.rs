//! Leases from several members: the choice of a member, and the move of a waiting request to another. Unused with a
//! single fixed member.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::select;
use tokio::sync::Mutex;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, sleep, timeout_at};

use super::balanced::Balanced;
use super::condition::LONGEST_PAUSE;
use super::demand::{Demand, LeaseError, Order};
use super::flow::Flow;
use super::health::Availability;
use super::members::Members;
use super::policy::{Load, Policy};

/// The load balancer of an upstream.
#[derive(Debug)]
pub(super) struct Balancer<M: Balanced> {
    members: Arc<Members<M>>,
    policy: Policy,
    /// Number of requests so far.
    turn: AtomicUsize,
    /// Held by the one waiting request that looks names up and tries members for all.
    lookout: Mutex<()>,
}

impl<M: Balanced> Balancer<M> {
    pub(super) fn new(members: Arc<Members<M>>, policy: Policy) -> Self {
        Self {
            members,
            policy,
            turn: AtomicUsize::new(0),
            lookout: Mutex::new(()),
        }
    }

    pub(super) fn members(&self) -> &Arc<Members<M>> {
        &self.members
    }

    /// Leases a connection of a member; `failed` is the member at which the request has just failed, which is chosen
    /// again only if no other is available.
    pub(super) async fn lease(
        &self,
        mut demand: Demand,
        failed: Option<&Arc<M>>,
    ) -> Result<M::Lease, LeaseError> {
        loop {
            // Registered before the members are examined, so that no change in between is missed.
            let changed = self.members.changes.notified();
            let Some(member) = self.pick(&demand.flow, failed) else {
                let waited = timeout_at(demand.deadline.at(), self.wait_for_change(changed)).await;
                waited.map_err(|_| self.members.no_member_error())?;
                continue;
            };
            if let Some(settled) = self.lease_from(&member, demand, changed).await {
                return settled;
            }
            tracing::debug!(address = %member.condition().address(), "the request moves to another server");
            if demand.order == Order::Last {
                demand.order = Order::Moved;
            }
        }
    }

    /// Picks the member for the next request.
    fn pick(&self, flow: &Flow, failed: Option<&Arc<M>>) -> Option<Arc<M>> {
        self.members.keep_fresh();
        let members = self.members.current();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        loop {
            let now = Instant::now();
            let load = |member: &Arc<M>| Load {
                has_failed: failed.is_some_and(|failed| Arc::ptr_eq(failed, member)),
                ..member.load(now, flow)
            };
            let loads: Vec<_> = members.iter().map(load).collect();
            let index = self.policy.pick(&loads, turn)?;
            let member = members.get(index)?;
            let is_due = loads.get(index)?.availability == Availability::Due;
            // If another request was quicker to claim the trial, the member is no longer due.
            if !is_due || member.condition().claim_trial(now) {
                return Some(Arc::clone(member));
            }
        }
    }

    /// Leases from `member`; `None` if the request should go to another member instead.
    async fn lease_from(
        &self,
        member: &Arc<M>,
        demand: Demand,
        changed: Notified<'_>,
    ) -> Option<Result<M::Lease, LeaseError>> {
        let mut leasing = pin!(member.lease(demand));
        let mut changed = pin!(changed);
        loop {
            select! {
                biased;
                leased = &mut leasing => {
                    let failed = matches!(leased, Err(LeaseError::Down { .. } | LeaseError::Refused { .. } | LeaseError::Denied { .. }));
                    let elsewhere = failed && Instant::now() < demand.deadline.at()
                        && self.members.should_leave(member, Instant::now());
                    return (!elsewhere).then_some(leased);
                }
                () = self.wait_for_change(changed.as_mut()) => {}
            }
            changed.set(self.members.changes.notified());
            if self.members.should_leave(member, Instant::now()) {
                return None;
            }
        }
    }

    /// Waits for a change of the members. Meanwhile one of the waiting requests looks names up again and tries
    /// failing members; when it ends, another takes over.
    async fn wait_for_change(&self, changed: impl Future<Output = ()>) {
        let check_members = async {
            let _lookout = self.lookout.lock().await;
            loop {
                self.members.keep_fresh();
                self.members.check_health().await;
                sleep(LONGEST_PAUSE).await;
            }
        };
        select! {
            () = changed => {}
            () = check_members => {}
        }
    }
}
