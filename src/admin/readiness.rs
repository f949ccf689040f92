//! Readiness of the gateway: not while it drains, and not while an upstream has no server that accepts connections.
//! Determined by connecting, at most once a second for any number of probes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::Admin;
use super::reserve::{Reserve, is_shortage};
use crate::upstream::{Address, Upstream};

/// Validity of a result.
const AGE: Duration = Duration::from_secs(1);

/// Time limit for connecting: a probe's own is little longer.
const CONNECT: Duration = Duration::from_millis(500);

/// Upstreams probed concurrently: those that do not answer must not use up the time limit of the probe.
const AT_ONCE: usize = 16;

/// The last result.
#[derive(Debug, Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, Vec<String>)>>);

impl Admin {
    /// Returns the reasons not to be ready; none if it is.
    pub(super) async fn not_ready(&self) -> Vec<String> {
        if self.state.is_draining() {
            return vec!["the server is stopping".to_owned()];
        }
        let mut known = self.readiness.0.lock().await;
        if let Some((since, reasons)) = known.as_ref()
            && since.elapsed() < AGE
        {
            return reasons.clone();
        }
        let upstreams = stream::iter(self.live.current().upstreams());
        let tried: Vec<_> = upstreams
            .map(|upstream| unreachable(upstream, &self.reserve))
            .buffered(AT_ONCE)
            .collect()
            .await;
        let reasons: Vec<_> = tried.into_iter().flatten().collect();
        self.reserve.refill();
        *known = Some((Instant::now(), reasons.clone()));
        reasons
    }
}

/// Returns the errors of all servers of `upstream`; `None` if one accepts connections.
async fn unreachable(upstream: Arc<Upstream>, reserve: &Reserve) -> Option<String> {
    let mut why = Vec::new();
    for address in upstream.servers() {
        match timeout(CONNECT, connect_by(reserve, address)).await {
            Ok(Ok(())) => return None,
            // A shortage of descriptors here is no failure of PHP.
            Ok(Err(error)) if is_shortage(&error) => return None,
            Ok(Err(error)) => why.push(format!("{address}: {error}")),
            // The backlog is full because the workers are busy: an unready gateway would only move the load, in
            // the end to no gateway.
            Err(_) if is_at_work(&upstream) => return None,
            Err(_) => why.push(format!("{address}: no connection within 500ms")),
        }
    }
    Some(format!("upstream {}: {}", upstream.name, why.join(", ")))
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
