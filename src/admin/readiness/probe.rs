//! The probe of an upstream: a connect, at most once a second for any number of questions.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use crate::admin::reserve::{Reserve, is_shortage};
use crate::site::Snapshot;
use crate::upstream::{Address, Upstream};

/// Validity of a result.
const AGE: Duration = Duration::from_secs(1);

/// Time limit for connecting: a probe's own is little longer.
const CONNECT: Duration = Duration::from_millis(500);

/// Time limit for all upstreams together, below that of `fcgate health` and of usual probes.
const TOTAL: Duration = Duration::from_millis(1500);

/// Upstreams probed concurrently, and servers of one: those that do not answer must not use up the time limit of the
/// probe.
const AT_ONCE: usize = 16;

/// Results by upstream; no more of them than the configuration in force has upstreams.
#[derive(Debug, Default)]
pub(in crate::admin) struct Probes(std::sync::Mutex<HashMap<String, Arc<Known>>>);

/// The last result: the errors of a dead upstream. Locked while one is found out, so that others wait for it.
type Known = Mutex<Option<(Instant, Option<String>)>>;

impl Probes {
    /// Returns the dead ones among `upstreams`, each with the errors of its servers. One that is not known within the time
    /// limit counts as alive.
    pub(in crate::admin) async fn find_dead(
        &self,
        upstreams: Vec<Arc<Upstream>>,
        snapshot: &Snapshot,
        reserve: &Reserve,
    ) -> BTreeMap<String, String> {
        let probed = stream::iter(upstreams).map(move |upstream| async move {
            let errors = self.errors_of(&upstream, snapshot, reserve).await;
            errors.map(|errors| (upstream.name.clone(), errors))
        });
        let results: Vec<_> = probed
            .buffer_unordered(AT_ONCE)
            .take_until(sleep(TOTAL))
            .collect()
            .await;
        results.into_iter().flatten().collect()
    }

    /// Returns the errors of all servers of `upstream`; `None` if one accepts connections.
    async fn errors_of(
        &self,
        upstream: &Upstream,
        snapshot: &Snapshot,
        reserve: &Reserve,
    ) -> Option<String> {
        let place = self.place_of(&upstream.name, snapshot);
        let mut known = place.lock().await;
        if let Some((since, errors)) = known.as_ref()
            && since.elapsed() < AGE
        {
            return errors.clone();
        }
        let errors = connect_to_any(upstream, reserve).await;
        reserve.refill();
        *known = Some((Instant::now(), errors.clone()));
        errors
    }

    /// Returns the place of the result about an upstream of `snapshot`, and forgets those about upstreams of former
    /// configurations.
    fn place_of(&self, name: &str, snapshot: &Snapshot) -> Arc<Known> {
        // A poisoned lock is harmless: the map is consistent at every moment.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(name) {
            return Arc::clone(known);
        }
        known.retain(|name, _| snapshot.upstream(name).is_some());
        Arc::clone(known.entry(name.to_owned()).or_default())
    }
}

/// Returns the errors of all servers of `upstream`; `None` if one accepts connections. The first is tried alone: usually it
/// is enough.
async fn connect_to_any(upstream: &Upstream, reserve: &Reserve) -> Option<String> {
    let (first, others) = upstream.servers().split_first()?;
    let mut errors = vec![error_of(first, upstream, reserve).await?];
    let probes = stream::iter(others.to_vec())
        .map(move |address| async move { error_of(&address, upstream, reserve).await });
    let mut tried = std::pin::pin!(probes.buffer_unordered(AT_ONCE));
    while let Some(error) = tried.next().await {
        errors.push(error?);
    }
    errors.sort();
    Some(errors.join(", "))
}

/// Returns the error of a server; `None` if it accepts connections, or would if it were not at work.
async fn error_of(address: &Address, upstream: &Upstream, reserve: &Reserve) -> Option<String> {
    match timeout(CONNECT, connect_by(reserve, address)).await {
        Ok(Ok(())) => None,
        // A shortage of descriptors here is no failure of PHP.
        Ok(Err(error)) if is_shortage(&error) => None,
        Ok(Err(error)) => Some(format!("{address}: {error}")),
        // The backlog is full because the workers are busy: an unready gateway would only move the load, in
        // the end to no gateway.
        Err(_) if is_at_work(upstream) => None,
        Err(_) => Some(format!("{address}: no connection within 500ms")),
    }
}

fn is_at_work(upstream: &Upstream) -> bool {
    let members = upstream.members();
    members.iter().any(|member| member.snapshot().serving > 0)
}

/// Connects, with a reserved descriptor if no other is free.
async fn connect_by(reserve: &Reserve, address: &Address) -> std::io::Result<()> {
    match connect(address).await {
        Err(error) if reserve.release_one(&error) => connect(address).await,
        connected => connected,
    }
}

async fn connect(address: &Address) -> std::io::Result<()> {
    match address {
        Address::Unix(path) => match UnixStream::connect(path).await {
            // A full backlog has a busy server.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            connected => connected.map(drop),
        },
        Address::Tcp(host, port) => TcpStream::connect((host.as_str(), *port)).await.map(drop),
    }
}
