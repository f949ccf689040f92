//! The members of an upstream: those with an address of their own, and those that a name stands
//! for at the moment. The set is replaced as a whole; who is no longer in it drains.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::dns::{Name, Resolve, Timetable};
use super::fpm::member::{Member, MemberSettings};
use super::fpm::waiting::LeaseError;
use super::{Address, Sharing, health::Standing};

/// The members, and how they are found.
#[derive(Debug)]
pub(super) struct Members {
    servers: Vec<Server>,
    current: ArcSwap<Vec<Arc<Member>>>,
    settings: MemberSettings,
    /// Who shares them; known when the settings hold.
    sharing: ArcSwap<Sharing>,
    timetable: Timetable,
    resolver: Arc<dyn Resolve>,
    /// A member came, went, failed, or is well again.
    pub(super) changes: Arc<Notify>,
    /// Another upstream of the name has taken effect, and decides on the members that both have.
    is_superseded: Arc<AtomicBool>,
    /// The same of the upstream before this one.
    supersedes: Option<Arc<AtomicBool>>,
}

/// The name of a server that has no address, and why.
pub type Unresolved = (String, Option<Arc<io::Error>>);

/// One of `servers`.
#[derive(Debug)]
enum Server {
    Fixed(Arc<Member>),
    Named(Name),
}

impl Members {
    /// The members at `addresses`; names are looked up at first use, and again when the answer is
    /// `resolve` old. A server that is a member of `previous` is the same one here.
    pub(super) fn new(
        addresses: &[Address],
        settings: MemberSettings,
        resolve: Duration,
        resolver: Arc<dyn Resolve>,
        previous: Option<&Self>,
    ) -> Arc<Self> {
        let changes = previous.map_or_else(Arc::default, |members| Arc::clone(&members.changes));
        let known = previous.map(Self::current).unwrap_or_default();
        let member = |address: &Address| {
            let known = known.iter().find(|member| member.address() == address);
            let new = || Member::new(address.clone(), settings, &changes);
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
            timetable: Timetable::new(resolve, Instant::now()),
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

    /// The settings hold from now on, for members of an earlier upstream too.
    pub(super) fn take_effect(&self, sharing: Sharing) {
        if let Some(before) = &self.supersedes {
            before.store(true, Ordering::Relaxed);
        }
        let sharing = Arc::new(sharing);
        self.sharing.store(Arc::clone(&sharing));
        for member in self.current.load().iter() {
            member.adopt(self.settings);
            member.account().share(&sharing);
        }
    }

    /// The one that there always is, where no other can be.
    pub(super) fn only(&self) -> Option<&Arc<Member>> {
        match self.servers.as_slice() {
            [Server::Fixed(member)] => Some(member),
            [] | [Server::Named(_)] | [_, ..] => None,
        }
    }

    /// All that there are now.
    pub(super) fn current(&self) -> Arc<Vec<Arc<Member>>> {
        self.current.load_full()
    }

    /// Has names looked up, in the background, where the last answer is old.
    pub(super) fn keep_fresh(self: &Arc<Self>) {
        let due = || {
            let hurry = self.is_failing(&self.current.load());
            self.timetable.begin(Instant::now(), hurry)
        };
        if self.names().next().is_some() && due() {
            tokio::spawn(Arc::clone(self).refresh());
        }
    }

    /// Whether a request has no business at `member` any more: it is gone, or fails while another
    /// can be asked.
    pub(super) fn is_left(&self, member: &Arc<Member>, now: Instant) -> bool {
        let members = self.current.load();
        let is_it = |other: &&Arc<Member>| Arc::ptr_eq(other, member);
        if !members.iter().any(|other| is_it(&other)) {
            return true;
        }
        // Whoever tries it finds out for all.
        matches!(member.standing(now), Standing::Avoided(_))
            && members
                .iter()
                .filter(|other| !is_it(other))
                .any(|other| other.standing(now).is_eligible())
    }

    /// Tries to connect to each, where none of several is well: those who wait do so at one of
    /// them, and the first to come back is seldom that one.
    pub(super) async fn knock(&self) {
        let members = self.current.load_full();
        let now = Instant::now();
        let is_well = |member: &Arc<Member>| member.standing(now) == Standing::Well;
        if members.len() > 1 && !members.iter().any(is_well) {
            join_all(members.iter().map(Member::try_connect)).await;
        }
    }

    /// Why there is no member.
    pub(super) fn missing(&self) -> LeaseError {
        let name = self.names().find(|name| name.error().is_some());
        let name = name.or_else(|| self.names().next());
        let pending = || io::Error::new(io::ErrorKind::TimedOut, "the name is not resolved yet");
        LeaseError::Down {
            address: name.map(ToString::to_string).unwrap_or_default(),
            error: name
                .and_then(Name::error)
                .unwrap_or_else(|| Arc::new(pending())),
        }
    }

    /// Returns the names that stand for no address, each with why it could not be looked up, where that
    /// was tried.
    pub(super) fn unresolved(&self) -> Vec<Unresolved> {
        let names = self.names().filter(|name| name.addresses().is_empty());
        names.map(|name| (name.to_string(), name.error())).collect()
    }

    fn is_failing(&self, members: &[Arc<Member>]) -> bool {
        members.iter().any(|member| member.is_failing())
            || self.names().any(|name| name.error().is_some())
    }

    async fn refresh(self: Arc<Self>) {
        join_all(self.names().map(|name| name.look_up(&*self.resolver))).await;
        let before = self.current.load_full();
        let after = Arc::new(self.assemble(&before));
        self.current.store(Arc::clone(&after));
        self.timetable.end(Instant::now());
        let came = without(&after, &before);
        let went = without(&before, &after);
        for member in &came {
            tracing::info!(address = %member.address(), "a server was added");
        }
        for member in &went {
            if self.is_superseded.load(Ordering::Relaxed) {
                continue;
            }
            tracing::info!(address = %member.address(), "a server is gone from its name: it drains");
            member.retire();
        }
        if !came.is_empty() || !went.is_empty() {
            self.changes.notify_waiters();
        }
    }

    /// The members that the servers stand for, in their order and each once; who was one `before`
    /// still is, with all its connections.
    fn assemble(&self, before: &[Arc<Member>]) -> Vec<Arc<Member>> {
        let mut members: Vec<Arc<Member>> = Vec::new();
        for server in &self.servers {
            match server {
                Server::Fixed(member) => members.push(Arc::clone(member)),
                Server::Named(name) => {
                    for address in name.addresses() {
                        let has = |member: &&Arc<Member>| *member.address() == address;
                        if members.iter().any(|member| has(&member)) {
                            continue;
                        }
                        let known = before.iter().find(has).cloned();
                        members.push(known.unwrap_or_else(|| {
                            let member = Member::new(address.clone(), self.settings, &self.changes);
                            member.account().share(&self.sharing.load());
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

/// Those of `members` that are not among `others`.
fn without(members: &[Arc<Member>], others: &[Arc<Member>]) -> Vec<Arc<Member>> {
    let among = |member: &Arc<Member>| others.iter().any(|other| Arc::ptr_eq(member, other));
    members
        .iter()
        .filter(|member| !among(member))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests;
