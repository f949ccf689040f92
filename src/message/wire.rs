//! Properties of a connection, common to all of its requests: addresses, scheme and TLS parameters.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::limits::budget::Party;
use crate::limits::rate::Client;

/// Scheme of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// Returns `http` or `https`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Returns the default port of the scheme.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A connection. Addresses are kept as text: PARAMS and log lines need them for each request, so
/// they are formatted once.
#[derive(Clone, Debug)]
pub struct Wire {
    /// The client's IP address; none on a unix socket.
    pub client: Option<IpAddr>,
    /// Clients cannot be told apart: they come through a unix socket, or a proxy that is not trusted.
    pub is_client_unknown: bool,
    /// The connection's number among those on unix sockets.
    pub number: u64,
    /// The client's IP address, or `unix:` on a unix socket.
    pub remote_addr: String,
    /// The client's port; empty on a unix socket.
    pub remote_port: String,
    /// The server's IP address, or the path of the unix socket.
    pub local_addr: String,
    /// The server's port; none on a unix socket.
    pub local_port: Option<u16>,
    /// The port that the client connected to, by a trusted proxy.
    pub forwarded_port: Option<u16>,
    /// The name of the listener; empty without one.
    pub listener: Arc<str>,
    /// The scheme.
    pub scheme: Scheme,
    /// Result of the TLS handshake, if any.
    pub tls: Option<Box<TlsFacts>>,
    /// CGI variables of the connection.
    pub params: ConnectionParams,
}

/// CGI variables of the connection, encoded at first use. A cloned connection is about to be changed, so its clone is
/// empty.
#[derive(Debug, Default)]
pub struct ConnectionParams(OnceLock<Box<[u8]>>);

impl ConnectionParams {
    /// Returns the variables, which `encode` writes at first use.
    pub fn get_or_encode(&self, encode: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        self.0.get_or_init(|| {
            let mut encoded = Vec::new();
            encode(&mut encoded);
            encoded.into()
        })
    }
}

impl Clone for ConnectionParams {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Result of a TLS handshake, in the terms of Apache's mod_ssl and as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.3`.
    pub protocol: &'static str,
    /// OpenSSL's name of the cipher suite.
    pub cipher: &'static str,
    /// Length of the cipher's key in bits.
    pub key_bits: &'static str,
    /// True for a resumed session.
    pub resumed: bool,
    /// The server name that the client sent (RFC 6066 §3).
    pub server_name: Option<String>,
    /// The client's certificate, verified.
    pub client: Option<ClientCertificate>,
}

/// Identity of a client by its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject's distinguished name (RFC 4514).
    pub subject: String,
    /// The issuer's distinguished name.
    pub issuer: String,
    /// The serial number in hexadecimal.
    pub serial: String,
    /// Further variables of mod_ssl by name: the parts of both names, and the validity.
    pub details: Vec<(String, String)>,
}

impl Wire {
    /// Creates a TCP connection between `remote` and `local`. IPv4-mapped IPv6 addresses (of a
    /// dual-stack listener) become IPv4, as PHP applications expect.
    pub fn tcp(remote: SocketAddr, local: SocketAddr) -> Self {
        Self {
            client: Some(remote.ip().to_canonical()),
            is_client_unknown: false,
            number: 0,
            remote_addr: remote.ip().to_canonical().to_string(),
            remote_port: remote.port().to_string(),
            local_addr: local.ip().to_canonical().to_string(),
            local_port: Some(local.port()),
            forwarded_port: None,
            listener: Arc::default(),
            scheme: Scheme::Http,
            tls: None,
            params: ConnectionParams::default(),
        }
    }

    /// Creates a connection through the unix socket at `path`.
    pub fn unix(path: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            client: None,
            is_client_unknown: true,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            remote_addr: "unix:".to_owned(),
            remote_port: String::new(),
            local_addr: format!("unix:{path}"),
            local_port: None,
            forwarded_port: None,
            listener: Arc::default(),
            scheme: Scheme::Http,
            tls: None,
            params: ConnectionParams::default(),
        }
    }

    /// Returns the party whose share is charged for requests on the connection.
    pub fn party(&self) -> Party {
        match self.client {
            Some(address) => Party::Client(Client::new(address)),
            None => Party::Connection(self.number),
        }
    }

    /// Returns the connection with this name of its listener.
    #[must_use]
    pub fn with_listener(self: Arc<Self>, listener: &Arc<str>) -> Arc<Self> {
        if self.listener == *listener {
            return self;
        }
        Arc::new(Self {
            listener: Arc::clone(listener),
            ..Arc::unwrap_or_clone(self)
        })
    }

    /// Returns the connection after a TLS handshake.
    #[must_use]
    pub fn with_tls(self, facts: TlsFacts) -> Self {
        Self {
            scheme: Scheme::Https,
            tls: Some(Box::new(facts)),
            params: ConnectionParams::default(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_encodes_its_variables_anew() {
        let wire = Wire::unix("/run/a");
        let encode = |wire: &Wire, text: &[u8]| {
            let params = wire
                .params
                .get_or_encode(|encoded| encoded.extend_from_slice(text));
            params.to_vec()
        };
        assert_eq!(encode(&wire, b"first"), b"first");
        assert_eq!(encode(&wire, b"second"), b"first");
        assert_eq!(encode(&wire.clone(), b"third"), b"third");
    }
}
