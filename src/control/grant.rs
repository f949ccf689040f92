//! The grant: all that the parent needs to know of a configuration. It is taken while the server has the parent's rights
//! and no client, and never changes afterwards.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::files::Granted;
use crate::files::WatchedFiles;
use crate::line_log::section::ErrorLogSettings;
use crate::privilege::Confinement;
use crate::process::Program;

/// The needs of a configuration, for the parent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The listeners, in the order of the configuration.
    pub listeners: Vec<ListenerPlan>,
    /// The admin listener.
    pub admin: Option<AdminPlan>,
    /// The programs to run.
    pub programs: Vec<Program>,
    /// Settings that a running server cannot change, each with its key.
    pub fixed: Vec<(String, String)>,
    /// The rights that its sandbox leaves it; none are compared without a sandbox.
    pub confinement: Option<Confinement>,
    /// Levels and style of the parent's own log lines, which are on stderr.
    pub log: ErrorLogSettings,
    /// Time from SIGTERM to the end of the drain.
    pub drain: Duration,
    /// The files of the configuration, if a change of them is a reload (`server.watch`).
    pub watched: Option<WatchedFiles>,
    /// The files that the server may ask for, by index.
    pub files: Granted,
}

/// A listener to bind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerPlan {
    /// Its address.
    pub address: Address,
    /// It serves TLS, which tells listeners on any port apart.
    pub has_tls: bool,
    /// Mode of a unix socket.
    pub mode: Option<u32>,
    /// Length of its queue (listen(2)).
    pub backlog: i32,
}

/// The admin listener to bind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminPlan {
    /// Its address.
    pub address: Address,
    /// Mode of a unix socket.
    pub mode: Option<u32>,
    /// The configuration has the address, so that a failure to listen is an error.
    pub is_given: bool,
}

/// Address of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Address {
    /// An IP address and port; port 0 is any.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
    /// Sockets with this name, passed by systemd.
    Systemd(String),
}

impl fmt::Display for Address {
    /// Writes the address in the syntax of the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}

impl Grant {
    /// Returns the reasons for another server: a server with this grant cannot serve the configuration of `next`.
    pub fn changes_beyond(&self, next: &Self) -> Vec<String> {
        let is_changed = |pair: &&(String, String)| !self.fixed.contains(pair);
        let changed = next.fixed.iter().filter(is_changed);
        let keys = changed.map(|(key, _)| key.clone());
        let lacks_rights = match (&self.confinement, &next.confinement) {
            (Some(own), Some(next)) => !next.is_within(own),
            // `server.sandbox` has changed.
            (Some(_), None) | (None, _) => false,
        };
        keys.chain(lacks_rights.then(|| RIGHTS.to_owned()))
            .collect()
    }
}

/// The reason of a configuration with another root, or an upstream at another port or in another folder.
const RIGHTS: &str = "files or upstreams outside of the sandbox";
