//! `[[listen]]`: where clients connect.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use crate::section::{At, Key, Kind, Lowered, Problem, Problems, Section};
use crate::tls::{Acceptor, Certificates, LISTEN_TLS};

/// The `[[listen]]` section.
pub static LISTEN: Section = Section {
    title: "[[listen]]",
    doc: "Where clients connect: HTTP/1.1 and HTTP/2, in clear text (HTTP/2 with prior knowledge) or with `tls`. Without any: \":8080\".",
    keys: &[
        Key::new("address", Kind::Text, "\":8080\" for IPv6 and IPv4 alike, \"127.0.0.1:8080\", \"[::1]:8080\", or \"unix:/path\". Port 0 is any free one.").shown("\":8080\""),
        Key::new("tls", Kind::FlagOr(&LISTEN_TLS), "Whether clients speak TLS."),
    ],
};

/// A listener.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Where it is bound.
    pub address: ListenAddress,
    /// What does the handshakes; none in clear text.
    pub tls: Option<Arc<Acceptor>>,
}

impl Listener {
    /// Where fcgate listens when nothing says otherwise.
    pub fn default_listener() -> Self {
        Self {
            address: ListenAddress::Tcp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8080))),
            tls: None,
        }
    }

    /// From the section. With `tls` there must be certificates.
    pub fn build(
        section: &Lowered,
        certificates: Option<&Arc<Certificates>>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let address = ListenAddress::build(section, problems);
        let tls = match (section.given_table("tls"), certificates) {
            (Some(table), Some(certificates)) => {
                Acceptor::build(table, Arc::clone(certificates), problems).map(Arc::new)
            }
            (None, _) | (_, None) => None,
        };
        address.map(|address| Self { address, tls })
    }
}

/// Where a listener is bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// IPv4 or IPv6; the unspecified IPv6 address takes IPv4 too.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

impl ListenAddress {
    fn build(section: &Lowered, problems: &mut Problems) -> Option<Self> {
        let Some(text) = section.text("address") else {
            problems.push(
                Problem::new(section.place(), "a listener needs an `address`")
                    .help("address = \":8080\""),
            );
            return None;
        };
        let parsed = parse(&text);
        if parsed.is_none() {
            problems.push(Problem::new(text.place.clone(), format!("`{}` is not an address to listen on", text.value)).help("write \":8080\", \"127.0.0.1:8080\", \"[::1]:8080\" or \"unix:/run/fcgate.sock\""));
        }
        parsed
    }
}

fn parse(text: &At<String>) -> Option<ListenAddress> {
    if let Some(path) = text.value.strip_prefix("unix:") {
        return path
            .starts_with('/')
            .then(|| ListenAddress::Unix(path.into()));
    }
    if let Some(port) = text.value.strip_prefix(':') {
        return port
            .parse()
            .ok()
            .map(|port: u16| ListenAddress::Tcp(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))));
    }
    text.value.parse().ok().map(ListenAddress::Tcp)
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
