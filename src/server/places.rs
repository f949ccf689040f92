//! The limits on connections: `server.limits.connections` in all, and `connections_per_client`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use super::shared::Shared;
use super::socket::Acceptor;
use crate::auth::TrustedProxies;
use crate::limits::connections::{Held, share};
use crate::limits::rate::Client;
use crate::message::Wire;

/// Time after which further connections are asked to close, twice as many each time: an HTTP/2 client takes a round trip,
/// and one that does not react has two seconds.
const RETRY: Duration = Duration::from_millis(100);
const MOST_ASKED: u32 = 64;

/// Waits for a permit for the next connection of `socket`; returns `None` if its backlog is empty.
pub(super) async fn acquire(shared: &Shared, socket: &Acceptor) -> Option<OwnedSemaphorePermit> {
    let state = &shared.state;
    if let Ok(permit) = Arc::clone(&state.connections).try_acquire_owned() {
        return Some(permit);
    }
    let mut asked = 1;
    while socket.is_awaited() {
        let now = Instant::now();
        (0..asked).for_each(|_| state.evictions.evict_one(now));
        asked = (asked * 2).min(MOST_ASKED);
        let free = Arc::clone(&state.connections).acquire_owned();
        if let Ok(permit) = timeout(RETRY, free).await {
            state.evictions.withdraw_request();
            return permit.ok();
        }
    }
    None
}

/// Counts the connection for its client; returns `None` if it exceeds the limit. Connections of `proxies`, which the
/// listener trusts, and of `server.trusted_proxies` carry many clients and are not counted.
pub(super) fn count_client(
    shared: &Shared,
    wire: &Wire,
    proxies: Option<&TrustedProxies>,
) -> Option<Option<Held>> {
    let live = shared.live.load();
    let server = &live.server;
    let given = server.limits.connections_per_client;
    let most = given.unwrap_or_else(|| share(shared.state.most_connections));
    let is_proxy = server.forwarding.trusts(wire.client)
        || proxies.is_some_and(|proxies| proxies.contains(wire.client));
    let Some(address) = wire.client.filter(|_| most > 0 && !is_proxy) else {
        return Some(None);
    };
    let held = shared.by_client.hold(Client::new(address), most);
    if held.is_none() {
        shared.state.refused.add();
        if let Some(left_out) = shared.throttle.admit(Instant::now()) {
            tracing::warn!(client = %address, left_out, "connection closed: its client has more than server.limits.connections_per_client = {most} (add a proxy to server.trusted_proxies)");
        }
    }
    held.map(Some)
}
