//! SIGHUP: load, bind what is new, swap; or change nothing and say why.

use std::path::Path;
use std::sync::Arc;

use super::Shared;
use super::listener::Listeners;
use crate::config;

/// Loads the configuration again. Requests in flight keep what they began with.
pub(super) async fn reload(path: &Path, shared: &Arc<Shared>, listeners: &mut Listeners) {
    let current = shared.live.current();
    let file = path.to_owned();
    // Reading files blocks; the requests meanwhile do not wait for it.
    let loaded = tokio::task::spawn_blocking(move || config::load(&file, Some(&current))).await;
    let snapshot = match loaded {
        Ok(Ok(snapshot)) => snapshot,
        Ok(Err(invalid)) => {
            tracing::error!(
                "reload refused: the configuration is invalid and nothing was changed\n{invalid}"
            );
            return;
        }
        Err(error) => {
            tracing::error!(%error, "reload refused: loading failed and nothing was changed");
            return;
        }
    };
    match listeners.rebind(&snapshot.listeners) {
        Ok(change) => {
            if !snapshot.warnings.is_empty() {
                tracing::warn!("the configuration has warnings\n{}", snapshot.warnings);
            }
            // Of upstreams that change, the numbers end here.
            shared.live.load().log_numbers();
            shared.live.replace(snapshot);
            change.apply(listeners);
            tracing::info!(file = %path.display(), "reloaded");
        }
        Err(error) => tracing::error!(%error, "reload refused: nothing was changed"),
    }
}
