//! A reload: load, bind what is new, swap; or change nothing and say why.

use std::path::Path;
use std::sync::Arc;

use super::Shared;
use super::listener::Listeners;
use super::memory;
use crate::admin::Command;
use crate::config::difference::difference;
use crate::config::{self, Snapshot};

/// A reload that a signal asks for, or a `command`, which gets an answer.
pub(super) async fn serve(
    command: Option<Command>,
    path: &Path,
    shared: &Arc<Shared>,
    listeners: &mut Listeners,
) {
    let Some(Command::Reload { dry_run, answer }) = command else {
        // What came of it stands in the log.
        let _ = reload(path, shared, listeners).await;
        return;
    };
    let result = match dry_run {
        true => preview(path, shared).await,
        false => reload(path, shared, listeners).await,
    };
    // Who asked may have gone.
    let _ = answer.send(result);
}

/// Loads the configuration again; what changes, line by line, or why nothing does. Requests in flight
/// keep what they began with.
async fn reload(
    path: &Path,
    shared: &Arc<Shared>,
    listeners: &mut Listeners,
) -> Result<Vec<String>, String> {
    let done = try_reload(path, shared, listeners).await;
    match &done {
        Ok(changes) => {
            shared.state.reloads.add();
            for change in changes {
                tracing::info!("{change}");
            }
            tracing::info!(file = %path.display(), changes = changes.len(), "reloaded");
        }
        Err(why) => {
            shared.state.reloads_refused.add();
            tracing::error!("reload refused, nothing was changed: {why}");
        }
    }
    done
}

/// What a reload would change, and whether it would be refused.
async fn preview(path: &Path, shared: &Arc<Shared>) -> Result<Vec<String>, String> {
    let snapshot = load(path, shared).await?;
    Ok(difference(&shared.live.current(), &snapshot))
}

async fn try_reload(
    path: &Path,
    shared: &Arc<Shared>,
    listeners: &mut Listeners,
) -> Result<Vec<String>, String> {
    let snapshot = load(path, shared).await?;
    let change = listeners
        .rebind(&snapshot.listeners)
        .map_err(|error| error.to_string())?;
    if !snapshot.warnings.is_empty() {
        tracing::warn!("the configuration has warnings\n{}", snapshot.warnings);
    }
    let changes = difference(&shared.live.current(), &snapshot);
    // Of upstreams that change, the numbers end here.
    shared.live.load().log_numbers();
    shared.disk.resize(snapshot.server.file_cache);
    shared.live.replace(snapshot);
    change.apply(listeners);
    Ok(changes)
}

async fn load(path: &Path, shared: &Arc<Shared>) -> Result<Snapshot, String> {
    let current = shared.live.current();
    let file = path.to_owned();
    // Reading files blocks; the requests meanwhile do not wait for it.
    let loaded = tokio::task::spawn_blocking(move || config::load(&file, Some(&current))).await;
    let loaded = loaded.map_err(|error| format!("loading failed: {error}"))?;
    let mut snapshot =
        loaded.map_err(|invalid| format!("the configuration is invalid\n{invalid}"))?;
    memory::fit(&mut snapshot.server);
    Ok(snapshot)
}
