//! Settings of the process: `[server]` and `[admin]`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::auth::Forwarding;
use crate::auth::verifier::Hashing;
use crate::limits::Limits;
use crate::limits::budget::Totals;
use crate::privilege::{Asked, Sandbox};

/// Settings of `[server]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// The user and the group of the process that serves.
    pub user: Asked,
    /// Its sandbox.
    pub sandbox: Sandbox,
    /// Number of threads; 0 is one for each core.
    pub workers: usize,
    /// Time after which a script is slow.
    pub slow: Option<Duration>,
    /// Time limit of requests in flight after SIGTERM.
    pub drain: Duration,
    /// Time limit of requests in flight when another server has taken over.
    pub drain_replaced: Duration,
    /// Delay between SIGTERM and the close of the listeners.
    pub drain_delay: Duration,
    /// Folder of spooled bodies.
    pub spool_directory: PathBuf,
    /// Totals shared by all requests.
    pub shared: Totals,
    /// Size of the cache of open files, in bytes.
    pub file_cache: u64,
    /// Reloads the configuration when its files change.
    pub watch: bool,
    /// Trusted proxies and their forwarding fields.
    pub forwarding: Forwarding,
    /// Hashing of passwords.
    pub hashing: Hashing,
    /// Limits of clients.
    pub limits: Limits,
}

/// Settings of `[admin]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdminSettings {
    /// The address; `None` without an admin listener.
    pub address: Option<AdminAddress>,
    /// Hosts accepted in requests over TCP.
    pub hosts: Vec<String>,
    /// The configuration has the section, so that a failure to listen is an error.
    pub is_given: bool,
}

/// Address of the admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// A unix socket.
    Unix {
        /// The path.
        path: PathBuf,
        /// The file mode.
        mode: u32,
    },
    /// An IP address and port.
    Tcp(SocketAddr),
}

impl fmt::Display for AdminAddress {
    /// Writes the address in the syntax of the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}
