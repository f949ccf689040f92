//! `[server]` and `[admin]`: what holds for the whole process.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::access_log::{Destination, Format};
use crate::auth::Forwarding;
use crate::limits::Limits;
use crate::limits::budget::Totals;

/// `[server]`, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Threads; 0 is one for each core.
    pub workers: usize,
    /// `error`, `warn`, `info` or `debug`.
    pub log: String,
    /// Where access log lines go.
    pub access_log: Destination,
    /// How they look.
    pub access_format: Format,
    /// For requests in flight after SIGTERM.
    pub drain: Duration,
    /// Before accepting ends after SIGTERM.
    pub drain_delay: Duration,
    /// The folder of spooled bodies.
    pub spool_directory: PathBuf,
    /// What all requests share.
    pub shared: Totals,
    /// Bytes of files that stay open.
    pub file_cache: u64,
    /// Whether files that change are read anew.
    pub watch: bool,
    /// Whose word about a client counts.
    pub forwarding: Forwarding,
    /// Bounds on clients.
    pub limits: Limits,
}

/// `[admin]`, understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where; `None`: nowhere.
    pub address: Option<AdminAddress>,
    /// Names that it may be asked by through TCP.
    pub hosts: Vec<String>,
    /// Whether somebody has written it, so that it must work.
    pub is_given: bool,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// A unix socket, and its permissions.
    Unix {
        /// Its path.
        path: PathBuf,
        /// In octal.
        mode: u32,
    },
    /// A port.
    Tcp(SocketAddr),
}

impl fmt::Display for AdminAddress {
    /// As it is written in the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}
