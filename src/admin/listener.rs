//! The socket that the admin listener accepts from.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::OwnedFd;

use socket2::SockRef;
use tokio::net::{TcpListener, UnixListener};

use crate::stream::Stream;

/// A bound admin listener.
#[derive(Debug)]
pub enum AdminListener {
    /// A unix socket.
    Unix(UnixListener),
    /// A port of this machine.
    Tcp(TcpListener),
}

/// The peer of a connection, known before its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// The user ID of a unix socket's peer.
    User(u32),
    /// An address, in IPv6 its network.
    Address(IpAddr),
}

impl AdminListener {
    /// Takes a listening socket.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        let is_unix = SockRef::from(&socket).local_addr()?.is_unix();
        SockRef::from(&socket).set_nonblocking(true)?;
        if is_unix {
            UnixListener::from_std(socket.into()).map(Self::Unix)
        } else {
            TcpListener::from_std(socket.into()).map(Self::Tcp)
        }
    }

    /// Returns the bound address, as logs show it.
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
                // A peer that has already left has no credentials.
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
    /// Returns the peer at `address`; in IPv6 its /64 network, as a host has all of its addresses.
    fn of(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            address @ IpAddr::V4(_) => address,
        })
    }
}
