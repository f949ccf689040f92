//! Where clients connect.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use crate::auth::TrustedProxies;
use crate::tls::Acceptor;

/// A listener.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Where it is bound.
    pub address: ListenAddress,
    /// Its name; empty for none.
    pub name: Arc<str>,
    /// What does the handshakes; none in clear text.
    pub tls: Option<Arc<Acceptor>>,
    /// Connections that the kernel keeps while they are not accepted.
    pub backlog: i32,
    /// The permissions of a unix socket.
    pub mode: Option<u32>,
    /// Who must send a PROXY header; none where there are no such headers.
    pub proxies: Option<TrustedProxies>,
}

impl Listener {
    /// Where fcgate listens when nothing says otherwise.
    pub fn default_listener() -> Self {
        Self {
            address: ListenAddress::Tcp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8080))),
            name: Arc::default(),
            tls: None,
            backlog: BACKLOG,
            mode: None,
            proxies: None,
        }
    }
}

/// `backlog` where none is given.
pub(crate) const BACKLOG: i32 = 4096;

/// Where a listener is bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// IPv4 or IPv6; the unspecified IPv6 address takes IPv4 too.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
    /// The name of sockets that systemd bound and passed.
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
