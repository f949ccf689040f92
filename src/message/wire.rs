//! What is true of a connection for all of its requests: its two ends and its scheme.

use std::net::{IpAddr, SocketAddr};

/// How the client reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Clear text.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URL of this scheme leaves out.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The two ends of a connection, as text: PARAMS and log lines need them for each request, so
/// they are rendered once.
#[derive(Clone, Debug)]
pub struct Wire {
    /// Who the client is; none on a unix socket.
    pub client: Option<IpAddr>,
    /// The client's IP address, or `unix:` on a unix socket.
    pub remote_addr: String,
    /// The client's port; empty on a unix socket.
    pub remote_port: String,
    /// Our own IP address, or the path of the unix socket.
    pub local_addr: String,
    /// Our own port; none on a unix socket.
    pub local_port: Option<u16>,
    /// Clear text or TLS.
    pub scheme: Scheme,
}

impl Wire {
    /// A TCP connection between `remote` and `local`. IPv4 addresses that the kernel shows mapped
    /// into IPv6 (a dual-stack listener) are shown as IPv4, as PHP applications expect.
    pub fn tcp(remote: SocketAddr, local: SocketAddr) -> Self {
        Self {
            client: Some(remote.ip().to_canonical()),
            remote_addr: remote.ip().to_canonical().to_string(),
            remote_port: remote.port().to_string(),
            local_addr: local.ip().to_canonical().to_string(),
            local_port: Some(local.port()),
            scheme: Scheme::Http,
        }
    }

    /// A connection through the unix socket at `path`.
    pub fn unix(path: &str) -> Self {
        Self {
            client: None,
            remote_addr: "unix:".to_owned(),
            remote_port: String::new(),
            local_addr: format!("unix:{path}"),
            local_port: None,
            scheme: Scheme::Http,
        }
    }
}
