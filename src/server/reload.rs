//! Reload: build the configuration that the parent sent, and swap; or change nothing and log the reason.

use std::sync::Arc;

use super::grant::names;
use super::listener::Listeners;
use super::parent::{ParentLink, Swap};
use super::shared::Shared;
use super::{descriptors, memory};
use crate::config;
use crate::config::difference::difference;
use crate::control::Outcome;
use crate::files::{Files, Opener};
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

/// Returns the changes of a configuration, line by line, after it has taken effect, unless it is a preview; or the
/// refusal. Requests in flight keep their snapshot.
pub(super) async fn swap(
    swap: Swap,
    link: &ParentLink,
    shared: &Arc<Shared>,
    listeners: &mut Listeners,
) -> Outcome {
    let is_preview = swap.is_preview;
    let done = try_swap(swap, link, shared, listeners).await;
    match &done {
        Ok(changes) if !is_preview => {
            shared.state.reloads.add();
            for change in changes {
                tracing::info!("{change}");
            }
            tracing::info!(file = %link.path.display(), changes = changes.len(), "reloaded");
        }
        Err(Refused { log, .. }) if !is_preview => {
            shared.state.reloads_refused.add();
            tracing::error!("reload refused, configuration unchanged: {log}");
        }
        Ok(_) | Err(_) => {}
    }
    done.map(|changes| changes.join("\n"))
        .map_err(|refused| refused.shown)
}

async fn try_swap(
    swap: Swap,
    link: &ParentLink,
    shared: &Arc<Shared>,
    listeners: &mut Listeners,
) -> Result<Vec<String>, Refused> {
    let (snapshot, changes) = load(link, shared).await?;
    if swap.is_preview {
        return Ok(changes);
    }
    let snapshot = open_logs(snapshot, swap.grant, link).await?;
    let change = listeners
        .prepare(&snapshot.listeners, swap.listeners)
        .map_err(|error| Refused::without_values(error.to_string()))?;
    // The numbers of changed upstreams end here.
    shared.live.load().log_numbers();
    shared.disk.resize(snapshot.server.file_cache);
    snapshot.logs.apply(&shared.error_log);
    let before = shared.live.replace(snapshot);
    change.apply(listeners);
    // Freeing a thousand sites takes long, and this thread serves requests.
    tokio::task::spawn_blocking(move || drop(before));
    Ok(changes)
}

/// Opens the logs that are new, before the configuration is in force; the parent permits those of `grant`.
async fn open_logs(snapshot: Snapshot, grant: u32, link: &ParentLink) -> Result<Snapshot, Refused> {
    let files = Arc::clone(&link.files);
    let open = move || {
        files.set_names(names(&snapshot, grant));
        let opener: Arc<dyn Opener> = files;
        let opened = snapshot.logs.open(&Files::through(opener));
        opened.map(|()| snapshot)
    };
    let refused = |error: String| Refused::without_values(error);
    let opened = tokio::task::spawn_blocking(open).await;
    let opened = opened.map_err(|error| refused(format!("opening the logs failed: {error}")))?;
    opened.map_err(|error| refused(error.to_string()))
}

/// Loads the configuration; returns it, and its changes line by line.
async fn load(link: &ParentLink, shared: &Arc<Shared>) -> Result<(Snapshot, Vec<String>), Refused> {
    let current = shared.live.current();
    let file = link.path.clone();
    let load = move || {
        let mut snapshot = config::load(&file, Some(&current))?;
        memory::apply_limit(&mut snapshot.server);
        descriptors::apply_limit(&mut snapshot);
        let changes = difference(&current, &snapshot);
        Ok((snapshot, changes))
    };
    // Building blocks: not on this thread, which serves requests.
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
