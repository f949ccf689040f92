//! What is true of a connection for all of its requests: its two ends, its scheme, and what TLS
//! settled.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::limits::budget::Party;
use crate::limits::rate::Client;

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
    /// The connection's number among those on unix sockets.
    pub number: u64,
    /// The client's IP address, or `unix:` on a unix socket.
    pub remote_addr: String,
    /// The client's port; empty on a unix socket.
    pub remote_port: String,
    /// Our own IP address, or the path of the unix socket.
    pub local_addr: String,
    /// Our own port; none on a unix socket.
    pub local_port: Option<u16>,
    /// The port that a trusted proxy says the client connected to.
    pub forwarded_port: Option<u16>,
    /// The name of the listener; empty for one without.
    pub listener: Arc<str>,
    /// Clear text or TLS.
    pub scheme: Scheme,
    /// What the handshake settled, where there was one.
    pub tls: Option<Box<TlsFacts>>,
    /// What scripts are told of all this.
    pub told: Told,
}

/// What a script is told of the connection, encoded for the first request that runs one. A copy of a connection is
/// made to be changed, and begins without.
#[derive(Debug, Default)]
pub struct Told(OnceLock<Box<[u8]>>);

impl Told {
    /// What `encode` writes, or wrote the first time.
    pub fn or_encode(&self, encode: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        self.0.get_or_init(|| {
            let mut encoded = Vec::new();
            encode(&mut encoded);
            encoded.into()
        })
    }
}

impl Clone for Told {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// What a TLS handshake settled, in the words of Apache's mod_ssl, for the same reason as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.3`.
    pub protocol: &'static str,
    /// The cipher suite as OpenSSL calls it.
    pub cipher: &'static str,
    /// Bits of the cipher's key.
    pub key_bits: &'static str,
    /// Whether the session was resumed.
    pub resumed: bool,
    /// The name that the client asked for (RFC 6066 §3).
    pub server_name: Option<String>,
    /// The client's certificate; one that is here was verified.
    pub client: Option<ClientCertificate>,
}

/// Who a client is, by its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject's distinguished name (RFC 4514).
    pub subject: String,
    /// The distinguished name of who issued it.
    pub issuer: String,
    /// The serial number in hexadecimal.
    pub serial: String,
    /// Further variables of mod_ssl by their names: the parts of both names, and the validity.
    pub details: Vec<(String, String)>,
}

impl Wire {
    /// A TCP connection between `remote` and `local`. IPv4 addresses that the kernel shows mapped
    /// into IPv6 (a dual-stack listener) are shown as IPv4, as PHP applications expect.
    pub fn tcp(remote: SocketAddr, local: SocketAddr) -> Self {
        Self {
            client: Some(remote.ip().to_canonical()),
            number: 0,
            remote_addr: remote.ip().to_canonical().to_string(),
            remote_port: remote.port().to_string(),
            local_addr: local.ip().to_canonical().to_string(),
            local_port: Some(local.port()),
            forwarded_port: None,
            listener: Arc::default(),
            scheme: Scheme::Http,
            tls: None,
            told: Told::default(),
        }
    }

    /// A connection through the unix socket at `path`.
    pub fn unix(path: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            client: None,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            remote_addr: "unix:".to_owned(),
            remote_port: String::new(),
            local_addr: format!("unix:{path}"),
            local_port: None,
            forwarded_port: None,
            listener: Arc::default(),
            scheme: Scheme::Http,
            tls: None,
            told: Told::default(),
        }
    }

    /// Returns the server's port as the client knows it: the one that a trusted proxy tells, else the one `named` in
    /// Host, else the scheme's (RFC 9110 §4.2). It is SERVER_PORT, `$port` and `%p`.
    pub fn server_port(&self, named: Option<u16>) -> u16 {
        let known = self.forwarded_port.or(named);
        known.unwrap_or_else(|| self.scheme.default_port())
    }

    /// Returns whose share a request on it is taken from.
    pub fn party(&self) -> Party {
        match self.client {
            Some(address) => Party::Client(Client::new(address)),
            None => Party::Connection(self.number),
        }
    }

    /// The same connection, to a listener of this name.
    #[must_use]
    pub fn through(self: Arc<Self>, listener: &Arc<str>) -> Arc<Self> {
        if self.listener == *listener {
            return self;
        }
        Arc::new(Self {
            listener: Arc::clone(listener),
            ..Arc::unwrap_or_clone(self)
        })
    }

    /// The same connection after a TLS handshake.
    #[must_use]
    pub fn secured(self, facts: TlsFacts) -> Self {
        Self {
            scheme: Scheme::Https,
            tls: Some(Box::new(facts)),
            told: Told::default(),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_the_server_is_what_the_client_knows() {
        for (forwarded, named, scheme, expected) in [
            (None, None, Scheme::Http, 80),
            (None, None, Scheme::Https, 443),
            (None, Some(8080), Scheme::Https, 8080),
            (Some(8443), None, Scheme::Http, 8443),
            (Some(8443), Some(8080), Scheme::Http, 8443),
        ] {
            let wire = Wire {
                forwarded_port: forwarded,
                scheme,
                ..Wire::unix("/run/a")
            };
            assert_eq!(wire.server_port(named), expected, "{forwarded:?} {named:?}");
        }
    }

    #[test]
    fn a_copy_is_told_of_anew() {
        let wire = Wire::unix("/run/a");
        let encode = |wire: &Wire, text: &[u8]| {
            let told = wire
                .told
                .or_encode(|encoded| encoded.extend_from_slice(text));
            told.to_vec()
        };
        assert_eq!(encode(&wire, b"first"), b"first");
        assert_eq!(encode(&wire, b"second"), b"first");
        assert_eq!(encode(&wire.clone(), b"third"), b"third");
    }
}
