//! The servers of all upstreams in one scrape: those with an address, and names without one, so that failed
//! resolutions are visible.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::site::Snapshot;
use crate::upstream::fpm::admission::Class;
use crate::upstream::fpm::snapshot::MemberSnapshot;
use crate::upstream::numbers::Numbers;
use crate::upstream::{Member, Unresolved};

/// Mean number of concurrent requests at PHP since the previous scrape: rate times service time, and so the number of
/// workers that the load needs.
#[derive(Debug, Default)]
pub(in crate::admin) struct Concurrency(Mutex<HashMap<String, (Instant, Duration, f64)>>);

impl Concurrency {
    /// Least age of a value: earlier scrapes get the same one.
    const AGE: Duration = Duration::from_secs(1);

    /// Returns the mean for `member`, whose service time sums up to `busy`.
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

/// One server in a scrape.
#[derive(Debug)]
pub(super) struct MemberScrape {
    upstream: String,
    address: String,
    member: Option<Arc<Member>>,
    /// Zeros, for a name without an address.
    none: Numbers,
    pub(super) state: MemberSnapshot,
    pub(super) workers_needed: f64,
}

/// Returns the servers of all upstreams, in their order.
pub(super) fn scrape(snapshot: &Snapshot, concurrency: &Concurrency) -> Vec<MemberScrape> {
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
            state: member.snapshot(),
            workers_needed: 0.0,
        };
        let busy = member.numbers().service.sum();
        scrape.workers_needed = concurrency.of(&scrape.key(), busy);
        scrape
    }

    /// Builds the entry of a name without an address; it counts as up until its resolution fails.
    fn unresolved(upstream: &str, (name, error): Unresolved) -> Self {
        Self {
            upstream: upstream.to_owned(),
            address: name,
            member: None,
            none: Numbers::default(),
            state: MemberSnapshot {
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

    /// Returns the counters of the server.
    pub(super) fn numbers(&self) -> &Numbers {
        self.member
            .as_ref()
            .map_or(&self.none, |member| member.numbers())
    }

    /// Returns the labels of its series.
    pub(super) fn labels(&self) -> [(&str, &str); 2] {
        [("upstream", &self.upstream), ("server", &self.address)]
    }
}
