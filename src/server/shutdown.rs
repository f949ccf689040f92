//! The end: stop accepting, let finish what is in flight, within a deadline.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Event, Shared, Signals};
use crate::access_log::AccessLog;

/// How long the last access log lines may take to be written.
const FLUSH: Duration = Duration::from_secs(2);

/// Drains as `server.drain_delay` and `server.drain` say; a second signal ends at once.
pub(super) async fn drain(shared: &Shared, stop: &CancellationToken, signals: &mut Signals) {
    let (delay, limit) = {
        let snapshot = shared.live.load();
        (snapshot.server.drain_delay, snapshot.server.drain)
    };
    tracing::info!(
        ?delay,
        ?limit,
        "stopping: requests in flight are finished first"
    );
    let drained = async {
        sleep(delay).await;
        stop.cancel();
        shared.tasks.close();
        let afterwards = shared.threads.afterwards();
        afterwards.close();
        let ended = async {
            shared.tasks.wait().await;
            afterwards.wait().await;
        };
        timeout(limit, ended).await.is_ok()
    };
    tokio::select! {
        whole = drained => match whole {
            true => tracing::info!("stopped"),
            false => tracing::warn!(left = shared.tasks.len(), scripts = shared.threads.afterwards().len(), "stopped: server.drain passed with connections still in use, or scripts that work behind their answers"),
        },
        () = second(signals) => tracing::warn!("stopped at once by a second signal"),
    }
    shared.live.load().close();
    let refused = shared.state.refused.get();
    if refused > 0 {
        tracing::info!(
            refused,
            "heads and connections that were refused before any rule"
        );
    }
}

/// What is still to be done when no task is left that could log anything.
#[derive(Debug)]
#[must_use = "the last lines of the access log are lost without it"]
pub struct LastLines(pub(super) AccessLog);

impl LastLines {
    /// Waits until they are written, two seconds at most. Blocks the thread.
    pub fn write(self) {
        self.0.close(FLUSH);
    }
}

async fn second(signals: &mut Signals) {
    while signals.next().await != Event::Stop {}
}
