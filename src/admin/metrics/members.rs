//! The servers of all upstreams, as one scrape finds them: those with an address, and names that stand
//! for none, so that what cannot be resolved is seen too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::site::Snapshot;
use crate::upstream::fpm::admission::Class;
use crate::upstream::fpm::snapshot::MemberSnapshot;
use crate::upstream::numbers::Numbers;
use crate::upstream::{Member, Unresolved};

/// How many requests were at PHP at once, on the mean since the scrape before: its rate times its
/// service time, and so the workers that the load needs.
#[derive(Debug, Default)]
pub(in crate::admin) struct Concurrency(Mutex<HashMap<String, (Instant, Duration, f64)>>);

impl Concurrency {
    /// Scrapes that follow each other sooner are told the same.
    const AGE: Duration = Duration::from_secs(1);

    pub(super) fn of(&self, member: &str, busy: Duration) -> f64 {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let Some((since, before, last)) = known.get(member).copied() else {
            known.insert(member.to_owned(), (now, busy, 0.0));
            return 0.0;
        };
        let passed = now.duration_since(since);
        if passed < Self::AGE {
            return last;
        }
        let mean = busy.saturating_sub(before).as_secs_f64() / passed.as_secs_f64();
        known.insert(member.to_owned(), (now, busy, mean));
        mean
    }

    fn forget_all_but(&self, members: &[String]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name, _| members.contains(name));
    }
}

/// One server.
#[derive(Debug)]
pub(super) struct MemberScrape {
    upstream: String,
    address: String,
    member: Option<Arc<Member>>,
    /// Of a name that stands for no address: nothing.
    none: Numbers,
    pub(super) picture: MemberSnapshot,
    pub(super) workers_needed: f64,
}

/// Returns all of them, in the order of the upstreams.
pub(super) fn all(snapshot: &Snapshot, concurrency: &Concurrency) -> Vec<MemberScrape> {
    let mut members = Vec::new();
    for upstream in snapshot.upstreams() {
        let name = upstream.name.as_str();
        let known = upstream.members();
        members.extend(
            known
                .iter()
                .map(|member| MemberScrape::of(name, member, concurrency)),
        );
        let unresolved = upstream.unresolved().into_iter();
        members.extend(unresolved.map(|server| MemberScrape::unresolved(name, server)));
    }
    let keys: Vec<_> = members.iter().map(MemberScrape::key).collect();
    concurrency.forget_all_but(&keys);
    members
}

impl MemberScrape {
    fn of(upstream: &str, member: &Arc<Member>, concurrency: &Concurrency) -> Self {
        let mut scrape = Self {
            upstream: upstream.to_owned(),
            address: member.address().to_string(),
            member: Some(Arc::clone(member)),
            none: Numbers::default(),
            picture: member.snapshot(),
            workers_needed: 0.0,
        };
        let busy = member.numbers().service.sum();
        scrape.workers_needed = concurrency.of(&scrape.key(), busy);
        scrape
    }

    /// A name that stands for no address: it is up for as long as nobody has found that out.
    fn unresolved(upstream: &str, (name, error): Unresolved) -> Self {
        Self {
            upstream: upstream.to_owned(),
            address: name,
            member: None,
            none: Numbers::default(),
            picture: MemberSnapshot {
                class: Class::Unknown,
                failing: error.is_some(),
                busy: 0,
                serving: 0,
                cooling: 0,
                idle: 0,
                waiting: 0,
                waiting_clients: 0,
                longest_wait: Duration::ZERO,
                saturation: 0.0,
            },
            workers_needed: 0.0,
        }
    }

    fn key(&self) -> String {
        format!("{} {}", self.upstream, self.address)
    }

    /// What it did so far.
    pub(super) fn numbers(&self) -> &Numbers {
        self.member
            .as_ref()
            .map_or(&self.none, |member| member.numbers())
    }

    /// What its series are told apart by.
    pub(super) fn labels(&self) -> [(&str, &str); 2] {
        [("upstream", &self.upstream), ("server", &self.address)]
    }
}
