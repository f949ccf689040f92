//! Certificates that change on disk are put in force by themselves: a renewal needs no signal.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use crate::tls::PemError;

/// How often the files are looked at: one stat(2) each.
const PERIOD: Duration = Duration::from_secs(3);

/// Looks until `stop`.
pub(super) async fn keep_fresh(shared: Arc<Shared>, stop: CancellationToken) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        let snapshot = shared.live.current();
        let refreshed = tokio::task::spawn_blocking(move || snapshot.refresh_certificates());
        for file in refreshed.await.unwrap_or_default() {
            log(file);
        }
    }
}

fn log(refreshed: Result<PathBuf, PemError>) {
    match refreshed {
        Ok(file) => tracing::info!(file = %file.display(), "certificate reloaded"),
        Err(error) => tracing::error!(
            %error,
            "certificate not reloaded: the one before stays in use"
        ),
    }
}
