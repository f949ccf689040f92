//! Automatic reload of certificates that change on disk: a renewal needs no signal.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use crate::tls::PemError;

/// Interval between checks of the files, one stat(2) each.
const PERIOD: Duration = Duration::from_secs(3);

/// Reloads changed certificates until `stop`.
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
            log_reload(file);
        }
    }
}

fn log_reload(refreshed: Result<PathBuf, PemError>) {
    match refreshed {
        Ok(file) => tracing::info!(file = %file.display(), "certificate reloaded"),
        Err(error) => tracing::error!(
            %error,
            "certificate not reloaded: the previous one stays in use"
        ),
    }
}
