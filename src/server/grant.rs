//! The grant of a configuration.

use std::path::Path;

use super::confinement::confinement;
use crate::control::file_access::Names;
use crate::control::{Address, AdminPlan, Grant, ListenerPlan};
use crate::privilege::Sandbox;
use crate::site::{AdminAddress, AdminSettings, ListenAddress, Listener, Snapshot};

/// Returns what the parent does for a server with this configuration.
pub(super) fn grant(snapshot: &Snapshot) -> Grant {
    let server = &snapshot.server;
    Grant {
        listeners: snapshot.listeners.iter().map(listener).collect(),
        admin: admin(&snapshot.admin),
        programs: snapshot.processes.clone(),
        confinement: (server.sandbox != Sandbox::Off).then(|| confinement(snapshot)),
        fixed: fixed(snapshot),
        log: snapshot.logs.settings.clone(),
        drain: server.drain_delay + server.drain,
        watched: server.watch.then(|| snapshot.watched.clone()),
        files: Vec::new(),
        logs: snapshot.logs.files().map(Path::to_owned).collect(),
    }
}

/// Returns the names of the files of the configuration that the parent has granted under a number.
pub(super) fn names(snapshot: &Snapshot, number: u32) -> Names {
    let Grant { files, logs, .. } = grant(snapshot);
    Names {
        grant: number,
        files,
        logs,
    }
}

/// Returns the settings that a running server cannot change.
fn fixed(snapshot: &Snapshot) -> Vec<(String, String)> {
    let server = &snapshot.server;
    let settings = [
        ("server.user", format!("{:?}", server.user)),
        ("server.sandbox", format!("{:?}", server.sandbox)),
        ("server.workers", server.workers.to_string()),
        (
            "server.limits.connections",
            server.limits.connections.to_string(),
        ),
        ("admin", format!("{:?}", snapshot.admin)),
    ];
    settings
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec()
}

fn listener(listener: &Listener) -> ListenerPlan {
    ListenerPlan {
        address: match &listener.address {
            ListenAddress::Tcp(address) => Address::Tcp(*address),
            ListenAddress::Unix(path) => Address::Unix(path.clone()),
            ListenAddress::Systemd(name) => Address::Systemd(name.clone()),
        },
        has_tls: listener.tls.is_some(),
        mode: listener.mode,
        backlog: listener.backlog,
    }
}

fn admin(settings: &AdminSettings) -> Option<AdminPlan> {
    let (address, mode) = match settings.address.as_ref()? {
        AdminAddress::Unix { path, mode } => (Address::Unix(path.clone()), Some(*mode)),
        AdminAddress::Tcp(address) => (Address::Tcp(*address), None),
    };
    Some(AdminPlan {
        address,
        mode,
        is_given: settings.is_given,
    })
}
