//! A lease from one of several members: which one is asked, and when a request that waits goes to
//! another. With a single fixed member there is nothing to choose, and nothing of this runs.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::select;
use tokio::sync::Mutex;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, sleep, timeout_at};

use super::flow::Flow;
use super::fpm::connecting::LONGEST_PAUSE;
use super::fpm::lease::Lease;
use super::fpm::member::{Member, Order};
use super::fpm::waiting::{Demand, LeaseError};
use super::health::Standing;
use super::members::Members;
use super::policy::{Load, Policy};

/// What chooses among members.
#[derive(Debug)]
pub(super) struct Balancer {
    members: Arc<Members>,
    policy: Policy,
    /// Requests so far.
    turn: AtomicUsize,
    /// Held by the one of those who wait that looks around for all.
    lookout: Mutex<()>,
}

impl Balancer {
    pub(super) fn new(members: Arc<Members>, policy: Policy) -> Self {
        Self {
            members,
            policy,
            turn: AtomicUsize::new(0),
            lookout: Mutex::new(()),
        }
    }

    pub(super) fn members(&self) -> &Arc<Members> {
        &self.members
    }

    /// A connection to one of the members; `failed` is where the request has just failed, and is
    /// asked again only where no other is well.
    pub(super) async fn lease(
        &self,
        mut demand: Demand,
        failed: Option<&Arc<Member>>,
    ) -> Result<Lease, LeaseError> {
        loop {
            // From before the look at the members, so that no change in between is missed.
            let changed = self.members.changes.notified();
            let Some(member) = self.pick(&demand.flow, failed) else {
                let waited = timeout_at(demand.deadline.at(), self.until(changed)).await;
                waited.map_err(|_| self.members.missing())?;
                continue;
            };
            if let Some(settled) = self.lease_from(&member, demand, changed).await {
                return settled;
            }
            tracing::debug!(address = %member.address(), "a request goes to another server");
            if demand.order == Order::Last {
                demand.order = Order::Moved;
            }
        }
    }

    /// The member that gets the next request.
    fn pick(&self, flow: &Flow, failed: Option<&Arc<Member>>) -> Option<Arc<Member>> {
        self.members.keep_fresh();
        let members = self.members.current();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        loop {
            let now = Instant::now();
            let load = |member: &Arc<Member>| Load {
                failed: failed.is_some_and(|failed| Arc::ptr_eq(failed, member)),
                ..member.load(now, flow)
            };
            let loads: Vec<_> = members.iter().map(load).collect();
            let index = self.policy.pick(&loads, turn)?;
            let member = members.get(index)?;
            let is_due = loads.get(index)?.standing == Standing::Due;
            // Where another request was quicker to try it, it is no longer due.
            if !is_due || member.try_again(now) {
                return Some(Arc::clone(member));
            }
        }
    }

    /// A lease from `member`; `None` where the request should go to another instead.
    async fn lease_from(
        &self,
        member: &Arc<Member>,
        demand: Demand,
        changed: Notified<'_>,
    ) -> Option<Result<Lease, LeaseError>> {
        let mut leasing = pin!(member.lease(demand));
        let mut changed = pin!(changed);
        loop {
            select! {
                biased;
                leased = &mut leasing => {
                    let failed = matches!(leased, Err(LeaseError::Down { .. } | LeaseError::Refused { .. } | LeaseError::Denied { .. }));
                    let elsewhere = failed && Instant::now() < demand.deadline.at()
                        && self.members.is_left(member, Instant::now());
                    return (!elsewhere).then_some(leased);
                }
                () = self.until(changed.as_mut()) => {}
            }
            changed.set(self.members.changes.notified());
            if self.members.is_left(member, Instant::now()) {
                return None;
            }
        }
    }

    /// Waits for a change of the members. One of those who wait sees to it that names are looked up
    /// again and that who came back is found; when it goes, another takes its place.
    async fn until(&self, changed: impl Future<Output = ()>) {
        let look_around = async {
            let _lookout = self.lookout.lock().await;
            loop {
                self.members.keep_fresh();
                self.members.knock().await;
                sleep(LONGEST_PAUSE).await;
            }
        };
        select! {
            () = changed => {}
            () = look_around => {}
        }
    }
}
