//! Reload: build the configuration that the parent sent, and swap; or change nothing and log the reason.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::listener::Listeners;
use super::parent::{ParentLink, Swap};
use super::shared::Shared;
use super::{descriptors, memory};
use crate::config;
use crate::config::difference::difference;
use crate::control::Outcome;
use crate::control::file_access::Names;
use crate::files::{Bundle, Files, Opener};
use crate::site::Snapshot;

/// Reason of a refused reload.
struct Refused {
    /// Text for the log, with lines of the configuration.
    log: String,
    /// Text for the client of the admin listener, without values.
    shown: String,
}

impl Refused {
    /// Builds a refusal of an error that has no value of the configuration.
    fn of(error: impl std::fmt::Display) -> Self {
        Self::without_values(error.to_string())
    }

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
    let bundle = swap
        .bundle
        .ok_or_else(|| Refused::without_values("the parent sent no configuration".to_owned()))?;
    let is_preview = swap.is_preview;
    let (snapshot, changes) = load(bundle, swap.grant, link, shared, is_preview).await?;
    if is_preview {
        return Ok(changes);
    }
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

/// Loads the configuration from the files of grant `number`; returns it, and its changes line by line. Opens the new logs,
/// unless it is a preview.
async fn load(
    bundle: OwnedFd,
    number: u32,
    link: &ParentLink,
    shared: &Arc<Shared>,
    is_preview: bool,
) -> Result<(Snapshot, Vec<String>), Refused> {
    let current = shared.live.current();
    let (file, opener) = (link.path.clone(), Arc::clone(&link.opener));
    let load = move || {
        let bundle = Bundle::from_memfd(bundle).map_err(Refused::of)?;
        let files = Files::of_bundle(bundle, Arc::clone(&opener) as Arc<dyn Opener>);
        let mut snapshot = config::load(&file, Some(&current), &files)?;
        memory::apply_limit(&mut snapshot.server);
        descriptors::apply_limit(&mut snapshot);
        let changes = difference(&current, &snapshot);
        if !is_preview {
            let granted = files.granted().map_err(Refused::of)?;
            opener.set_names(Names::of(number, &granted));
            snapshot
                .logs
                .open(&files.after_load())
                .map_err(Refused::of)?;
        }
        Ok((snapshot, changes))
    };
    // Building blocks: not on this thread, which serves requests.
    let loaded = tokio::task::spawn_blocking(load).await;
    loaded.map_err(|error| Refused {
        log: format!("loading failed: {error}"),
        shown: "loading failed; see the log".to_owned(),
    })?
}

impl From<config::Invalid> for Refused {
    fn from(invalid: config::Invalid) -> Self {
        Self {
            log: format!("the configuration is invalid\n{invalid}"),
            shown: format!("the configuration is invalid\n{}", invalid.outline()),
        }
    }
}
