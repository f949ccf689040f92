//! The PROXY header at the start of a connection. Only trusted proxies may connect, and each must send one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

use super::log_throttle::LogThrottle;
use crate::auth::TrustedProxies;
use crate::message::proxy_header::{MAX_LENGTH, Malformed};
use crate::message::{ProxyHeader, Wire};
use crate::stream::Stream;

/// Reason to close a connection.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("its peer is not in listen.proxy_protocol.from")]
    Untrusted,
    /// A health check of a load balancer.
    #[error("the peer closed it without a PROXY header")]
    Nothing,
    #[error("the peer closed it within its PROXY header")]
    Truncated,
    #[error("its PROXY header took longer than server.limits.header")]
    Late,
    #[error("it begins with {0}")]
    Malformed(#[from] Malformed),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Reads the header, and no byte behind it, within `limit`; returns the connection with the client's addresses. Logs a
/// connection to close; the error is `true` if it counts as refused.
pub(super) async fn receive(
    stream: &mut Stream,
    wire: Arc<Wire>,
    proxies: &TrustedProxies,
    limit: Duration,
    throttle: &LogThrottle,
) -> Result<Arc<Wire>, bool> {
    let received = if proxies.contains(wire.client) {
        timeout(limit, read(stream)).await
    } else {
        Ok(Err(Refused::Untrusted))
    };
    match received.unwrap_or(Err(Refused::Late)) {
        Ok(ProxyHeader::Local) => Ok(wire),
        Ok(ProxyHeader::Proxied {
            source,
            destination,
        }) => Ok(Arc::new(Wire::tcp(source, destination))),
        Err(refused) => {
            log_refusal(&refused, &wire, throttle);
            Err(!matches!(refused, Refused::Nothing))
        }
    }
}

fn log_refusal(refused: &Refused, wire: &Wire, throttle: &LogThrottle) {
    let peer = &wire.remote_addr;
    if matches!(refused, Refused::Nothing) {
        tracing::debug!(peer, "connection closed: {refused}");
    } else if let Some(left_out) = throttle.admit(Instant::now()) {
        tracing::warn!(peer, left_out, "connection refused: {refused}");
    }
}

/// Peeks before it reads, so that it reads no byte behind the header.
async fn read(stream: &mut Stream) -> Result<ProxyHeader, Refused> {
    let mut bytes = Vec::new();
    loop {
        let taken = bytes.len();
        let mut ahead = [0; 512];
        let room = ahead.len().min(MAX_LENGTH.saturating_sub(taken));
        let count = stream
            .peek(ahead.get_mut(..room).unwrap_or_default())
            .await?;
        bytes.extend_from_slice(ahead.get(..count).unwrap_or_default());
        let read = ProxyHeader::read(&bytes)?;
        let length = read.map_or(bytes.len(), |(_, length)| length);
        let own = ahead
            .get_mut(..length.saturating_sub(taken))
            .unwrap_or_default();
        stream.read_exact(own).await?;
        match read {
            Some((header, _)) => return Ok(header),
            None if count == 0 && taken == 0 => return Err(Refused::Nothing),
            None if count == 0 => return Err(Refused::Truncated),
            None => {}
        }
    }
}
