//! Reports to the parent that all threads serve, for the watchdog of the service manager and its status line.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::shared::Shared;
use crate::control::{Channel, ToParent};
use crate::service::{Load, Turned};

/// Reports at `interval`, as long as every thread turns its loop, until the parent has ended.
pub(super) async fn report(shared: Arc<Shared>, channel: Arc<Channel>, interval: Duration) {
    let mut turned = Turned::default();
    loop {
        let lags = shared.state.lags.get().into_iter().flatten();
        let is_alive = turned.all(lags.map(|lag| lag.count()));
        if is_alive && channel.send(&ToParent::Alive(load(&shared))).await.is_err() {
            return;
        }
        sleep(interval).await;
    }
}

fn load(shared: &Shared) -> Load {
    let state = &shared.state;
    let snapshot = shared.live.current();
    let free = state.connections.available_permits();
    let upstreams = snapshot.upstreams().into_iter();
    let queued = upstreams.map(|upstream| {
        let members = upstream.members();
        let waiting = members.iter().map(|member| member.snapshot().waiting);
        waiting.sum::<usize>()
    });
    let numbers = snapshot.sites().flat_map(|site| site.numbers.requests());
    Load {
        connections: count(state.most_connections.saturating_sub(free)),
        requests: numbers.map(|(_, _, requests)| requests).sum(),
        queued: count(queued.sum()),
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
