//! The socket that the admin listener accepts from.

use std::io;
use std::net::{IpAddr, Ipv6Addr};

use tokio::net::{TcpListener, UnixListener};

use crate::site::AdminAddress;
use crate::stream::{Stream, listen_unix};

/// Connections that the kernel keeps until they are accepted, which is at once.
const BACKLOG: i32 = 64;

/// A bound admin listener.
#[derive(Debug)]
pub enum AdminListener {
    /// A unix socket.
    Unix(UnixListener),
    /// A port of this machine.
    Tcp(TcpListener),
}

/// Who has a connection, as far as that can be known before it says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// A user of this machine.
    User(u32),
    /// An address.
    Address(IpAddr),
}

impl AdminListener {
    /// Binds `address`. A socket that nobody listens on any more is replaced; any other file is not.
    pub async fn bind(address: &AdminAddress) -> io::Result<Self> {
        match address {
            AdminAddress::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            AdminAddress::Unix { path, mode } => {
                let listener = listen_unix(path, Some(*mode), BACKLOG)?;
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener).map(Self::Unix)
            }
        }
    }

    /// Where it really is, as a log shows it.
    pub fn address(&self) -> String {
        match self {
            Self::Unix(listener) => {
                let address = listener.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                path.map_or_else(String::new, |path| format!("unix:{}", path.display()))
            }
            Self::Tcp(listener) => {
                let address = listener.local_addr();
                address.map_or_else(|_| String::new(), |address| address.to_string())
            }
        }
    }

    /// Reports whether a web browser can connect to it.
    pub(super) fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    pub(super) async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                // One that has gone already is nobody in particular.
                let user = stream.peer_cred().map_or(u32::MAX, |peer| peer.uid());
                Ok((Stream::Unix(stream), Peer::User(user)))
            }
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Stream::Tcp(stream), Peer::of(address.ip())))
            }
        }
    }
}

impl Peer {
    /// Of IPv6 the network, as a host has all of its addresses.
    fn of(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            address @ IpAddr::V4(_) => address,
        })
    }
}
