//! Whether the gateway can serve: not while it stops, and not while an upstream has no server that
//! can be connected to. Found out by connecting, at most once a second whoever asks.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::State;
use crate::config::Live;
use crate::upstream::{Address, Upstream};

/// How long what was found out is good.
const AGE: Duration = Duration::from_secs(1);

/// How long connecting may take: a probe has little more.
const CONNECT: Duration = Duration::from_millis(500);

/// What was found out last.
#[derive(Debug, Default)]
pub(super) struct Readiness(Mutex<Option<(Instant, Vec<String>)>>);

impl Readiness {
    /// Why it is not ready; empty where it is.
    pub(super) async fn reasons(&self, live: &Live, state: &State) -> Vec<String> {
        if state.is_draining() {
            return vec!["the server is stopping".to_owned()];
        }
        let mut known = self.0.lock().await;
        if let Some((since, reasons)) = known.as_ref()
            && since.elapsed() < AGE
        {
            return reasons.clone();
        }
        let mut reasons = Vec::new();
        for upstream in live.current().upstreams() {
            reasons.extend(unreachable(&upstream).await);
        }
        *known = Some((Instant::now(), reasons.clone()));
        reasons
    }
}

/// Why no server of `upstream` can be connected to; `None` where one can.
async fn unreachable(upstream: &Arc<Upstream>) -> Option<String> {
    let mut why = Vec::new();
    for address in upstream.servers() {
        match timeout(CONNECT, connect(address)).await {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => why.push(format!("{address}: {error}")),
            // Its backlog is full, as its workers are at work: to send clients elsewhere would only
            // move the load, and in the end to nobody.
            Err(_) if is_at_work(upstream) => return None,
            Err(_) => why.push(format!("{address}: no connection within 500ms")),
        }
    }
    Some(format!("upstream {}: {}", upstream.name, why.join(", ")))
}

fn is_at_work(upstream: &Upstream) -> bool {
    let members = upstream.members();
    members.iter().any(|member| member.picture().serving > 0)
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
