//! Whether the gateway can serve: not while it stops, and not while an upstream has no server that
//! can be connected to. Found out by connecting, at most once a second whoever asks.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::Admin;
use super::reserve::{Reserve, is_shortage};
use crate::upstream::{Address, Upstream};

/// How long what was found out is good.
const AGE: Duration = Duration::from_secs(1);

/// How long connecting may take: a probe has little more.
const CONNECT: Duration = Duration::from_millis(500);

/// How many upstreams are tried at once: those that do not answer must not take the patience of who asks.
const AT_ONCE: usize = 16;

/// What was found out last.
#[derive(Debug, Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, Vec<String>)>>);

impl Admin {
    /// Why it is not ready; empty where it is.
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
        let tried = upstreams.map(|upstream| unreachable(upstream, &self.reserve));
        let tried: Vec<_> = tried.buffered(AT_ONCE).collect().await;
        let reasons: Vec<_> = tried.into_iter().flatten().collect();
        self.reserve.refill();
        *known = Some((Instant::now(), reasons.clone()));
        reasons
    }
}

/// Why no server of `upstream` can be connected to; `None` where one can.
async fn unreachable(upstream: Arc<Upstream>, reserve: &Reserve) -> Option<String> {
    let mut why = Vec::new();
    for address in upstream.servers() {
        match timeout(CONNECT, connect_by(reserve, address)).await {
            Ok(Ok(())) => return None,
            // That nothing can be opened here says nothing of PHP.
            Ok(Err(error)) if is_shortage(&error) => return None,
            Ok(Err(error)) => why.push(format!("{address}: {error}")),
            // Its backlog is full, as its workers are at work: to send clients elsewhere would only
            // move the load, and in the end to nobody.
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

/// Connects with a descriptor that was kept back where there is no other.
async fn connect_by(reserve: &Reserve, address: &Address) -> std::io::Result<()> {
    match connect(address).await {
        Err(error) if reserve.relieves(&error) => connect(address).await,
        connected => connected,
    }
}

async fn connect(address: &Address) -> std::io::Result<()> {
    match address {
        Address::Unix(path) => match UnixStream::connect(path).await {
            // A full backlog is somebody at work.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            connected => connected.map(drop),
        },
        Address::Tcp(host, port) => TcpStream::connect((host.as_str(), *port)).await.map(drop),
    }
}
