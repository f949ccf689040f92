//! Listeners and their addresses.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::access_log::AccessLogs;
use crate::auth::TrustedProxies;
use crate::tls::Acceptor;

/// A listener.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The bound address.
    pub address: ListenAddress,
    /// The name; empty for none.
    pub name: Arc<str>,
    /// The TLS acceptor; `None` for plain HTTP.
    pub tls: Option<Arc<Acceptor>>,
    /// The length of the accept queue (listen(2)).
    pub backlog: i32,
    /// The file mode of a unix socket.
    pub mode: Option<u32>,
    /// The peers that must send a PROXY header; `None` without the PROXY protocol.
    pub proxies: Option<TrustedProxies>,
    /// Its own access logs, for sites without any.
    pub access_logs: Option<Arc<AccessLogs>>,
}

/// Settings of a listener, which a reload replaces.
pub type SharedListener = Arc<ArcSwap<Listener>>;

impl Listener {
    /// Returns the listener of a configuration without one.
    pub fn default_listener() -> Self {
        Self {
            address: ListenAddress::Tcp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8080))),
            name: Arc::default(),
            tls: None,
            backlog: BACKLOG,
            mode: None,
            proxies: None,
            access_logs: None,
        }
    }
}

/// Default of `backlog`.
pub(crate) const BACKLOG: i32 = 4096;

/// The address of a listener.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// An IPv4 or IPv6 address; the unspecified IPv6 address accepts IPv4 too.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
    /// The name of sockets passed by systemd (LISTEN_FDNAMES).
    Systemd(String),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}
