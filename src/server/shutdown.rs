//! Shutdown: stop accepting, finish the requests in flight, within a deadline.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::exit_watchdog::StopSignals;
use super::shared::Shared;
use crate::line_log::Logs;
use crate::process::Processes;

/// Time limit for writing the last access log lines.
const FLUSH: Duration = Duration::from_secs(2);

/// Time limit for killed processes to exit.
const KILL: Duration = Duration::from_secs(1);

/// Drains for `server.drain_delay` and `server.drain`, then stops the child processes, which requests needed until then.
/// A second signal ends all of it at once.
pub(super) async fn shut_down(
    shared: &Shared,
    stop: &CancellationToken,
    stops: &mut StopSignals,
    processes: &mut Processes,
) {
    let orderly = async {
        drain(shared, stop).await;
        processes.stop().await;
    };
    let is_orderly = tokio::select! {
        () = orderly => true,
        () = stops.next() => false,
    };
    if !is_orderly {
        tracing::warn!("stopped at once by a second signal");
        // A process in uninterruptible sleep is left to the kernel.
        let _ = timeout(KILL, processes.kill()).await;
    }
    shared.live.load().close();
    let refused = shared.state.refused.get();
    if refused > 0 {
        tracing::info!(refused, "heads and connections refused before any rule");
    }
}

async fn drain(shared: &Shared, stop: &CancellationToken) {
    let (delay, limit) = {
        let snapshot = shared.live.load();
        (snapshot.server.drain_delay, snapshot.server.drain)
    };
    tracing::info!(
        ?delay,
        ?limit,
        "stopping: requests in flight are finished first"
    );
    sleep(delay).await;
    stop.cancel();
    shared.tasks.close();
    let background = shared.threads.background_tasks();
    background.close();
    let ended = async {
        shared.tasks.wait().await;
        background.wait().await;
    };
    match timeout(limit, ended).await {
        Ok(()) => tracing::info!("stopped"),
        Err(_) => {
            tracing::warn!(
                left = shared.tasks.len(),
                scripts = background.len(),
                "stopped: server.drain passed with connections in use, or scripts at work after their responses"
            );
        }
    }
}

/// The unwritten logs, to be written when no task is left that could log.
#[derive(Debug)]
#[must_use = "the last lines of the logs are lost without it"]
pub struct LastLines(pub(super) Arc<Logs>);

impl LastLines {
    /// Waits until the logs are written, two seconds at most. Blocks the thread.
    pub fn write(self) {
        self.0.close(FLUSH);
    }
}
