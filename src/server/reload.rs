//! A reload: load, bind what is new, swap; or change nothing and say why.

use std::path::Path;
use std::sync::Arc;

use super::listener::Listeners;
use super::shared::Shared;
use super::{descriptors, memory};
use crate::admin::Command;
use crate::config;
use crate::config::difference::difference;
use crate::site::Snapshot;

/// Why a reload changes nothing.
struct Refused {
    /// For the log: with the lines of the configuration.
    log: String,
    /// For who asks the admin listener: without values.
    shown: String,
}

impl Refused {
    /// What has no value of the configuration in it.
    fn openly(why: String) -> Self {
        Self {
            log: why.clone(),
            shown: why,
        }
    }
}

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
    let _ = answer.send(result.map_err(|refused| refused.shown));
}

/// Loads the configuration again; what changes, line by line, or why nothing does. Requests in flight
/// keep what they began with.
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
            tracing::error!("reload refused, nothing was changed: {log}");
        }
    }
    done
}

/// What a reload would change, and whether it would be refused.
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
        .map_err(|error| Refused::openly(error.to_string()))?;
    if !snapshot.warnings.is_empty() {
        tracing::warn!("the configuration has warnings\n{}", snapshot.warnings);
    }
    // Of upstreams that change, the numbers end here.
    shared.live.load().log_numbers();
    shared.disk.resize(snapshot.server.file_cache);
    let before = shared.live.replace(snapshot);
    change.apply(listeners);
    // A thousand sites are many blocks of memory, and this thread serves requests.
    tokio::task::spawn_blocking(move || drop(before));
    Ok(changes)
}

/// The configuration as it is now, and what it changes, line by line.
async fn load(path: &Path, shared: &Arc<Shared>) -> Result<(Snapshot, Vec<String>), Refused> {
    let current = shared.live.current();
    let file = path.to_owned();
    let load = move || {
        let mut snapshot = config::load(&file, Some(&current))?;
        memory::apply_limit(&mut snapshot.server);
        descriptors::apply_limit(&mut snapshot);
        let changes = difference(&current, &snapshot);
        Ok((snapshot, changes))
    };
    // Reading files blocks; the requests meanwhile do not wait for it.
    let loaded = tokio::task::spawn_blocking(load).await;
    let loaded = loaded.map_err(|error| Refused {
        log: format!("loading failed: {error}"),
        shown: "loading failed; the log says why".to_owned(),
    })?;
    loaded.map_err(|invalid: config::Invalid| Refused {
        log: format!("the configuration is invalid\n{invalid}"),
        shown: format!("the configuration is invalid\n{}", invalid.outline()),
    })
}
