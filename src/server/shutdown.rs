//! Shutdown: stop accepting, finish the requests in flight, within a deadline.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::exit_watchdog::StopSignals;
use super::parent::ParentLink;
use super::shared::Shared;
use crate::line_log::{LineLog, close};
use crate::site::ServerSettings;

/// Time limit for writing the last access log lines.
const FLUSH: Duration = Duration::from_secs(2);

/// Time limit for the last answers of the admin listener.
const ANSWERS: Duration = Duration::from_secs(1);

/// Time limit of a drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// The process is to end: `server.drain_delay` and `server.drain`.
    Stop,
    /// Another server has taken over: `server.drain_replaced`.
    Replaced,
}

/// Drains within `limit`. A signal or the end of the parent shortens the drain of a replaced server, and the next signal
/// ends it at once.
pub(super) async fn shut_down(
    shared: &Shared,
    stop: &CancellationToken,
    (stops, link): (&mut StopSignals, &mut ParentLink),
    limit: Limit,
) {
    log_start(&shared.live.load().server, limit);
    let is_shortened = limit == Limit::Replaced
        && tokio::select! {
            () = leave_to_other(shared, stop) => false,
            () = stops.next() => true,
            () = link.tend(shared) => true,
        };
    if is_shortened || limit == Limit::Stop {
        tokio::select! {
            () = stop_in_order(shared, stop, link) => {}
            () = stops.next() => tracing::warn!("stopped at once by a second signal"),
        }
    }
    let answering = &shared.state.answering;
    answering.close();
    // A client that has asked for the reload that ends this server gets its answer.
    let _ = timeout(ANSWERS, answering.wait()).await;
    shared.live.load().close();
    let refused = shared.state.refused.get();
    if refused > 0 {
        tracing::info!(refused, "heads and connections refused before any rule");
    }
}

fn log_start(server: &ServerSettings, limit: Limit) {
    let (delay, limit) = match limit {
        Limit::Stop => (server.drain_delay, server.drain),
        Limit::Replaced => (Duration::ZERO, server.drain_replaced),
    };
    tracing::info!(
        ?delay,
        ?limit,
        "stopping: requests in flight are finished first"
    );
}

/// Time for which the connections of a replaced server stay open. A server cannot close an idle HTTP/1 connection without
/// a risk to the request that may be under way (RFC 9112 §9.6); the next answer says `Connection: close`, and an idle
/// HTTP/2 connection gets GOAWAY. What is still open then is closed as in any drain.
const OPEN: Duration = Duration::from_secs(10);

/// Leaves new connections to another server, and drains.
async fn leave_to_other(shared: &Shared, stop: &CancellationToken) {
    shared.replaced.cancel();
    shared.tasks.close();
    let _ = timeout(OPEN, shared.tasks.wait()).await;
    drain(shared, stop, Limit::Replaced).await;
}

/// Accepts for `server.drain_delay`, closes the listeners, and drains.
async fn stop_in_order(shared: &Shared, stop: &CancellationToken, link: &mut ParentLink) {
    shared.state.drain();
    let delay = shared.live.load().server.drain_delay;
    let _ = timeout(delay, link.tend(shared)).await;
    link.close_listeners(shared).await;
    let tended = async {
        link.tend(shared).await;
        // The end of the parent changes nothing any more.
        std::future::pending().await
    };
    tokio::select! {
        () = drain(shared, stop, Limit::Stop) => {}
        () = tended => {}
    }
}

async fn drain(shared: &Shared, stop: &CancellationToken, limit: Limit) {
    let (key, limit) = {
        let server = &shared.live.load().server;
        match limit {
            Limit::Stop => ("drain", server.drain),
            Limit::Replaced => ("drain_replaced", server.drain_replaced),
        }
    };
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
                "stopped: server.{key} passed with connections in use, or scripts at work after their responses"
            );
        }
    }
}

/// The unwritten logs, to be written when no task is left that could log.
#[derive(Debug)]
#[must_use = "the last lines of the logs are lost without it"]
pub struct LastLines(pub(super) Vec<LineLog>);

impl LastLines {
    /// Waits until the logs are written, two seconds at most. Blocks the thread.
    pub fn write(self) {
        close(&self.0, FLUSH);
    }
}
