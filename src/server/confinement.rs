//! The rights that a configuration needs, and the way into them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::memory;
use super::shared::Shared;
use crate::admin::Command;
use crate::handler::Handler;
use crate::message::Symlinks;
use crate::privilege::{
    ConfineError, Confinement, DropError, KernelError, Needs, Report, User, check_kernel, confine,
    drop_privileges,
};
use crate::site::{ServerSettings, Snapshot};
use crate::threads;
use crate::upstream::Address;

/// A server that cannot give up its rights.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The kernel lacks what serving takes.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A right of the user who started it is left.
    #[error(transparent)]
    Drop(#[from] DropError),
    /// A part of the sandbox is missing.
    #[error(transparent)]
    Confine(#[from] ConfineError),
}

/// Looks up the rights that serving `snapshot` takes. Listeners, logs, certificates, keys, users and the configuration take
/// none: the parent opens them.
pub fn confinement(snapshot: &Snapshot) -> Confinement {
    Confinement::resolve(&needs(snapshot))
}

/// Becomes `user`, and confines this process to `confinement`. Must be called before another thread starts; nothing of the
/// user who started it can be read or opened afterwards.
pub fn enter(
    user: &User,
    confinement: &Confinement,
    settings: &ServerSettings,
) -> Result<Report, EnterError> {
    check_kernel()?;
    // Facts that can be read for the last time.
    threads::processors();
    memory::limit_files();
    drop_privileges(user)?;
    Ok(confine(confinement, settings.sandbox)?)
}

/// Interval of the checks for folders without rights, where no request finds one.
const PERIOD: Duration = Duration::from_secs(2);

/// The shortest interval: files that this user may not read are for all to ask for.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks for a reload, which starts another server, when the configuration needs rights that this process, confined to
/// `in_force`, lacks: a root was made, or replaced by another folder of its name, or its link leads elsewhere.
pub(super) async fn watch(
    shared: Arc<Shared>,
    in_force: Confinement,
    commands: mpsc::Sender<Command>,
) {
    let mut tried = None;
    loop {
        sleep(PAUSE).await;
        // The time limit is the interval: both ends lead to a look.
        let _ = timeout(PERIOD, shared.disk.unreadable()).await;
        let snapshot = shared.live.current();
        let look_up = tokio::task::spawn_blocking(move || confinement(&snapshot));
        let Ok(needed) = look_up.await else {
            continue;
        };
        // A refused reload is not tried again before something changes.
        if needed.is_within(&in_force) || tried.as_ref() == Some(&needed) {
            continue;
        }
        tracing::info!(
            "a folder of the configuration was made or replaced: reloading, for rights to it"
        );
        tried = Some(needed);
        let (answer, result) = oneshot::channel();
        let command = Command::Reload {
            dry_run: false,
            answer,
        };
        if commands.send(command).await.is_err() {
            return;
        }
        // The reload logs its result.
        let _ = result.await;
    }
}

/// Returns the files, sockets and ports of the configuration.
fn needs(snapshot: &Snapshot) -> Needs {
    let mut needs = Needs {
        spool: snapshot.server.spool_directory.clone(),
        ..Needs::default()
    };
    for site in snapshot.sites() {
        let handlers = site
            .rules
            .iter()
            .filter_map(|rule| rule.then.handler.as_ref());
        handlers.for_each(|handler| add_files(&mut needs, handler));
    }
    for upstream in snapshot.upstreams() {
        let servers = snapshot.servers(&upstream).into_iter();
        servers.for_each(|server| add_server(&mut needs, server));
    }
    needs
}

/// Adds the folders whose files a handler sends. Looking for a script takes no right: its file is not opened.
fn add_files(needs: &mut Needs, handler: &Handler) {
    match handler {
        Handler::StaticFiles(files) => {
            needs.roots.insert(files.root().0.clone());
            needs.everything |= match files.symlinks() {
                Symlinks::Anywhere | Symlinks::SameOwner => true,
                Symlinks::WithinRoot | Symlinks::Never => false,
            };
        }
        Handler::Fastcgi(fastcgi) => {
            let folders = fastcgi.answers.send_file.folders();
            needs.roots.extend(folders.map(|root| root.0.clone()));
        }
        Handler::Redirect(_)
        | Handler::Rewrite(_)
        | Handler::Respond(_)
        | Handler::Deny(_)
        | Handler::ExcludeProxy => {}
    }
}

fn add_server(needs: &mut Needs, server: Address) {
    match server {
        Address::Unix(path) => {
            needs.sockets.insert(path);
        }
        Address::Tcp(host, port) => {
            needs.ports.insert(port);
            needs.names |= host.parse::<IpAddr>().is_err();
        }
    }
}
