//! The members of an upstream: servers with a fixed address, and the current addresses of names. The set is replaced
//! as a whole; a removed member drains.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Address;
use super::balanced::Balanced;
use super::demand::LeaseError;
use super::dns::{LookupSchedule, Name, Resolve};
use super::flow::Sharing;
use super::health::Availability;

/// The members of an upstream, and their discovery.
#[derive(Debug)]
pub(super) struct Members<M: Balanced> {
    servers: Vec<Server<M>>,
    current: ArcSwap<Vec<Arc<M>>>,
    settings: M::Settings,
    /// The shares of sites and classes; known when the settings take effect.
    sharing: ArcSwap<Sharing>,
    schedule: LookupSchedule,
    resolver: Arc<dyn Resolve>,
    /// Notified when a member is added, removed, fails or recovers.
    pub(super) changes: Arc<Notify>,
    /// Set when another upstream of the name has taken effect, which decides on the members that both have.
    is_superseded: Arc<AtomicBool>,
    /// `is_superseded` of the upstream before this one.
    supersedes: Option<Arc<AtomicBool>>,
}

/// The name of a server without an address, and the error of its lookup.
pub type Unresolved = (String, Option<Arc<io::Error>>);

/// An entry of `servers`.
#[derive(Debug)]
enum Server<M> {
    Fixed(Arc<M>),
    Named(Name),
}

impl<M: Balanced> Members<M> {
    /// Builds the members at `addresses`; names are looked up at first use, and again when the answer is `resolve`
    /// old. A server that is a member of `previous` stays the same member.
    pub(super) fn new(
        addresses: &[Address],
        settings: M::Settings,
        resolve: Duration,
        resolver: Arc<dyn Resolve>,
        previous: Option<&Self>,
    ) -> Arc<Self> {
        let changes = previous.map_or_else(Arc::default, |members| Arc::clone(&members.changes));
        let known = previous.map(Self::current).unwrap_or_default();
        let member = |address: &Address| {
            let known = known
                .iter()
                .find(|member| member.condition().address() == address);
            let new = || M::new(address.clone(), settings, &changes);
            known.map_or_else(new, Arc::clone)
        };
        let server = |address: &Address| match Name::of(address) {
            Some(name) => Server::Named(name),
            None => Server::Fixed(member(address)),
        };
        let members = Self {
            servers: addresses.iter().map(server).collect(),
            current: ArcSwap::default(),
            settings,
            sharing: ArcSwap::default(),
            schedule: LookupSchedule::new(resolve, Instant::now()),
            resolver,
            changes,
            is_superseded: Arc::default(),
            supersedes: previous.map(|members| Arc::clone(&members.is_superseded)),
        };
        for before in previous.into_iter().flat_map(Self::names) {
            members.names().for_each(|name| name.take_known(before));
        }
        members.current.store(Arc::new(members.assemble(&known)));
        Arc::new(members)
    }

    /// Applies the settings, also to members of an earlier upstream.
    pub(super) fn take_effect(&self, sharing: Sharing) {
        if let Some(before) = &self.supersedes {
            before.store(true, Ordering::Relaxed);
        }
        let sharing = Arc::new(sharing);
        self.sharing.store(Arc::clone(&sharing));
        for member in self.current.load().iter() {
            member.adopt(self.settings);
            member.share(&sharing);
        }
    }

    /// Returns the only member of an upstream with one fixed server.
    pub(super) fn only(&self) -> Option<&Arc<M>> {
        match self.servers.as_slice() {
            [Server::Fixed(member)] => Some(member),
            [] | [Server::Named(_)] | [_, ..] => None,
        }
    }

    /// Returns the current members.
    pub(super) fn current(&self) -> Arc<Vec<Arc<M>>> {
        self.current.load_full()
    }

    /// Looks names up in the background if the last answer is old.
    pub(super) fn keep_fresh(self: &Arc<Self>) {
        let due = || {
            let is_failing = self.is_failing(&self.current.load());
            self.schedule.try_start(Instant::now(), is_failing)
        };
        if self.names().next().is_some() && due() {
            tokio::spawn(Arc::clone(self).refresh());
        }
    }

    /// Reports whether a request should leave `member`: it was removed, or fails while another is available.
    pub(super) fn should_leave(&self, member: &Arc<M>, now: Instant) -> bool {
        let members = self.current.load();
        let is_it = |other: &&Arc<M>| Arc::ptr_eq(other, member);
        if !members.iter().any(|other| is_it(&other)) {
            return true;
        }
        // A trial that is under way decides for all.
        matches!(
            member.condition().availability(now),
            Availability::Avoided(_)
        ) && members
            .iter()
            .filter(|other| !is_it(other))
            .any(|other| other.condition().availability(now).is_eligible())
    }

    /// Connects to each of several members if none is available: the waiting requests try only one of them, which is
    /// seldom the first to recover.
    pub(super) async fn check_health(&self) {
        let members = self.current.load_full();
        let now = Instant::now();
        let is_well = |member: &Arc<M>| member.condition().availability(now) == Availability::Well;
        if members.len() > 1 && !members.iter().any(is_well) {
            join_all(members.iter().map(M::check_health)).await;
        }
    }

    /// Returns the error of an upstream without a member.
    pub(super) fn no_member_error(&self) -> LeaseError {
        let failed = self.names().find(|name| name.error().is_some());
        let name = failed.or_else(|| self.names().next());
        let pending = || io::Error::new(io::ErrorKind::TimedOut, "the name is not resolved yet");
        LeaseError::Down {
            address: name.map(ToString::to_string).unwrap_or_default(),
            error: name
                .and_then(Name::error)
                .unwrap_or_else(|| Arc::new(pending())),
        }
    }

    /// Returns the names without an address, each with the error of its lookup, if there was one.
    pub(super) fn unresolved(&self) -> Vec<Unresolved> {
        let names = self.names().filter(|name| name.addresses().is_empty());
        names.map(|name| (name.to_string(), name.error())).collect()
    }

    fn is_failing(&self, members: &[Arc<M>]) -> bool {
        members.iter().any(|member| member.condition().is_failing())
            || self.names().any(|name| name.error().is_some())
    }

    async fn refresh(self: Arc<Self>) {
        join_all(self.names().map(|name| name.look_up(&*self.resolver))).await;
        let before = self.current.load_full();
        let after = Arc::new(self.assemble(&before));
        self.current.store(Arc::clone(&after));
        self.schedule.finish(Instant::now());
        let came = without(&after, &before);
        let went = without(&before, &after);
        for member in &came {
            tracing::info!(address = %member.condition().address(), "server added");
        }
        for member in &went {
            if self.is_superseded.load(Ordering::Relaxed) {
                continue;
            }
            tracing::info!(address = %member.condition().address(), "server no longer among the addresses of its name: draining");
            member.retire();
        }
        if !came.is_empty() || !went.is_empty() {
            self.changes.notify_waiters();
        }
    }

    /// Returns the members for the configured servers, in their order and each once; members of `before` keep their
    /// connections.
    fn assemble(&self, before: &[Arc<M>]) -> Vec<Arc<M>> {
        let mut members: Vec<Arc<M>> = Vec::new();
        for server in &self.servers {
            match server {
                Server::Fixed(member) => members.push(Arc::clone(member)),
                Server::Named(name) => {
                    for address in name.addresses() {
                        let has = |member: &&Arc<M>| *member.condition().address() == address;
                        if members.iter().any(|member| has(&member)) {
                            continue;
                        }
                        let known = before.iter().find(has).cloned();
                        members.push(known.unwrap_or_else(|| {
                            let member = M::new(address.clone(), self.settings, &self.changes);
                            member.share(&self.sharing.load());
                            member
                        }));
                    }
                }
            }
        }
        members
    }

    fn names(&self) -> impl Iterator<Item = &Name> {
        self.servers.iter().filter_map(|server| match server {
            Server::Named(name) => Some(name),
            Server::Fixed(_) => None,
        })
    }
}

/// Returns the members that are not among `others`.
fn without<M>(members: &[Arc<M>], others: &[Arc<M>]) -> Vec<Arc<M>> {
    let among = |member: &Arc<M>| others.iter().any(|other| Arc::ptr_eq(member, other));
    members
        .iter()
        .filter(|member| !among(member))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests;
