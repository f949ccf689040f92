//! Reload: load, bind new listeners, swap; or change nothing and log the reason.

use std::path::Path;
use std::sync::Arc;

use super::listener::Listeners;
use super::shared::Shared;
use super::{descriptors, memory};
use crate::admin::Command;
use crate::config;
use crate::config::difference::difference;
use crate::files::Files;
use crate::site::Snapshot;

/// Reason of a refused reload.
struct Refused {
    /// Text for the log, with lines of the configuration.
    log: String,
    /// Text for the client of the admin listener, without values.
    shown: String,
}

impl Refused {
    /// Builds a refusal whose text has no value of the configuration.
    fn without_values(why: String) -> Self {
        Self {
            log: why.clone(),
            shown: why,
        }
    }
}

/// Executes the reload of a signal, or of a `command`, and answers the latter.
pub(super) async fn serve(
    command: Option<Command>,
    path: &Path,
    shared: &Arc<Shared>,
    listeners: &mut Listeners,
) {
    let Some(Command::Reload { dry_run, answer }) = command else {
        // The reload logs its result.
        let _ = reload(path, shared, listeners).await;
        return;
    };
    let result = if dry_run {
        preview(path, shared).await
    } else {
        reload(path, shared, listeners).await
    };
    // The client may have disconnected.
    let _ = answer.send(result.map_err(|refused| refused.shown));
}

/// Loads the configuration again; returns the changes, line by line, or the refusal. Requests in flight keep their
/// snapshot.
async fn reload(
    path: &Path,
    shared: &Arc<Shared>,
    listeners: &mut Listeners,
) -> Result<Vec<String>, Refused> {
    let done = try_reload(path, shared, listeners).await;
    match &done {
        Ok(changes) => {
            shared.state.reloads.add();
            for change in changes {
                tracing::info!("{change}");
            }
            tracing::info!(file = %path.display(), changes = changes.len(), "reloaded");
        }
        Err(Refused { log, .. }) => {
            shared.state.reloads_refused.add();
            tracing::error!("reload refused, configuration unchanged: {log}");
        }
    }
    done
}

/// Returns the changes of a reload, or its refusal, without applying it.
async fn preview(path: &Path, shared: &Arc<Shared>) -> Result<Vec<String>, Refused> {
    load(path, shared).await.map(|(_, changes)| changes)
}

async fn try_reload(
    path: &Path,
    shared: &Arc<Shared>,
    listeners: &mut Listeners,
) -> Result<Vec<String>, Refused> {
    let (snapshot, changes) = load(path, shared).await?;
    let change = listeners
        .rebind(&snapshot.listeners)
        .map_err(|error| Refused::without_values(error.to_string()))?;
    if !snapshot.warnings.is_empty() {
        tracing::warn!("the configuration has warnings\n{}", snapshot.warnings);
    }
    // The numbers of changed upstreams end here.
    shared.live.load().log_numbers();
    shared.disk.resize(snapshot.server.file_cache);
    let before = shared.live.replace(snapshot);
    change.apply(listeners);
    // Freeing a thousand sites takes long, and this thread serves requests.
    tokio::task::spawn_blocking(move || drop(before));
    Ok(changes)
}

/// Loads the configuration; returns it, and its changes line by line.
async fn load(path: &Path, shared: &Arc<Shared>) -> Result<(Snapshot, Vec<String>), Refused> {
    let current = shared.live.current();
    let file = path.to_owned();
    let load = move || {
        let mut snapshot = config::load(&file, Some(&current), &Files::own())?;
        memory::apply_limit(&mut snapshot.server);
        descriptors::apply_limit(&mut snapshot);
        let changes = difference(&current, &snapshot);
        Ok((snapshot, changes))
    };
    // Reading files blocks: not on this thread, which serves requests.
    let loaded = tokio::task::spawn_blocking(load).await;
    let checked = loaded.map_err(|error| Refused {
        log: format!("loading failed: {error}"),
        shown: "loading failed; see the log".to_owned(),
    })?;
    checked.map_err(|invalid: config::Invalid| Refused {
        log: format!("the configuration is invalid\n{invalid}"),
        shown: format!("the configuration is invalid\n{}", invalid.outline()),
    })
}
