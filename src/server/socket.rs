//! Sockets to accept from: bound here, or passed to us.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::inherited::Inherited;
use super::start_error::StartError;
use crate::message::Wire;
use crate::site::{ListenAddress, Listener};
use crate::stream::{DetachedStream, listen_unix};

/// TCP keep-alive: after this much silence the kernel asks whether the client is still there, and
/// asks again; clients that vanished are given up after 2 minutes.
const PROBE_AFTER: Duration = Duration::from_secs(60);
const PROBE_AGAIN: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;

/// A socket that clients connect to.
#[derive(Debug)]
pub(super) enum Acceptor {
    /// With the address of our end of its connections, where that is the same for all.
    Tcp(AsyncFd<TcpListener>, Option<SocketAddr>),
    Unix(AsyncFd<UnixListener>, Arc<Wire>),
}

impl Acceptor {
    /// The sockets of a listener: one, but for those that systemd passes under one name.
    pub(super) fn open(
        listener: &Listener,
        inherited: &Inherited,
    ) -> Result<Vec<Self>, StartError> {
        let opened = inherited.find(&listener.address).and_then(|found| {
            if found.is_empty() {
                return Ok(vec![bind(listener)?]);
            }
            Ok(found)
        });
        opened.map_err(|error| start_error(&listener.address, error))
    }

    /// What `listener`, which was passed to us, accepts. It may be transparent (IP_TRANSPARENT), and
    /// its connections at any address.
    pub(super) fn passed(listener: TcpListener) -> io::Result<Self> {
        Ok(Self::Tcp(Self::listening(listener)?, None))
    }

    /// What `listener`, which was bound here, accepts.
    pub(super) fn tcp(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let one = !address.ip().is_unspecified();
        Ok(Self::Tcp(
            Self::listening(listener)?,
            one.then_some(address),
        ))
    }

    /// Linux hands options on to every connection, which saves those calls for each of them.
    fn listening(listener: TcpListener) -> io::Result<AsyncFd<TcpListener>> {
        let socket = SockRef::from(&listener);
        socket.set_tcp_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(PROBE_AFTER)
            .with_interval(PROBE_AGAIN)
            .with_retries(PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_nonblocking(true)?;
        watched(listener)
    }

    /// What `listener`, which is bound, accepts.
    pub(super) fn unix(listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let path = address.as_pathname().unwrap_or_else(|| Path::new(""));
        let wire = Arc::new(Wire::unix(&path.to_string_lossy()));
        Ok(Self::Unix(watched(listener)?, wire))
    }

    /// Returns when somebody may have connected.
    pub(super) async fn ready(&self) -> io::Result<()> {
        match self {
            Self::Tcp(listener, _) => listener.readable().await?.retain_ready(),
            Self::Unix(listener, _) => listener.readable().await?.retain_ready(),
        }
        Ok(())
    }

    /// Returns the next connection, or `WouldBlock` where there is none. Who serves it has its own runtime watch it.
    pub(super) fn try_accept(&self) -> io::Result<(DetachedStream, Arc<Wire>)> {
        let is_there = Interest::READABLE;
        match self {
            Self::Tcp(listener, local) => {
                listener.try_io(is_there, |listener| accept_tcp(listener, *local))
            }
            Self::Unix(listener, wire) => {
                listener.try_io(is_there, |listener| accept_unix(listener, wire))
            }
        }
    }

    /// Returns whether somebody has connected and is not accepted yet. Asks the kernel.
    pub(super) fn is_awaited(&self) -> bool {
        let is_there = Interest::READABLE;
        let asked = match self {
            Self::Tcp(listener, _) => listener.try_io(is_there, look),
            Self::Unix(listener, _) => listener.try_io(is_there, look),
        };
        asked.is_ok()
    }

    /// Closes the socket and returns what was connected to it and is not accepted yet. By system calls
    /// of our own: the runtime may not have heard of the last ones.
    pub(super) fn close(self) -> Vec<(DetachedStream, Arc<Wire>)> {
        // Until there are none more, or none that can be had.
        match self {
            Self::Tcp(listener, local) => {
                let listener = listener.into_inner();
                std::iter::from_fn(|| accept_tcp(&listener, local).ok()).collect()
            }
            Self::Unix(listener, wire) => {
                let listener = listener.into_inner();
                std::iter::from_fn(|| accept_unix(&listener, &wire).ok()).collect()
            }
        }
    }
}

impl AsFd for Acceptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener, _) => listener.as_fd(),
            Self::Unix(listener, _) => listener.as_fd(),
        }
    }
}

impl fmt::Display for Acceptor {
    /// Where it is bound, with its real port.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(listener, _) => match listener.get_ref().local_addr() {
                Ok(address) => address.fmt(f),
                Err(_) => f.write_str("unknown"),
            },
            Self::Unix(_, wire) => f.write_str(&wire.local_addr),
        }
    }
}

/// Tokio's own listeners watch each connection on the thread that accepts, and would be asked to stop
/// that for all that are served on another: two system calls more.
fn watched<L: AsRawFd>(listener: L) -> io::Result<AsyncFd<L>> {
    #[expect(
        deprecated,
        reason = "for types that change their descriptor; the new name is unsafe, and std's listeners keep theirs"
    )]
    AsyncFd::with_interest(listener, Interest::READABLE)
}

/// poll(2), which says of a listening socket whether accept(2) would return at once.
fn look(listener: &impl AsFd) -> io::Result<()> {
    let mut asked = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    match poll(&mut asked, PollTimeout::ZERO)? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

/// `local` is the address of our end, where it is known.
fn accept_tcp(
    listener: &TcpListener,
    local: Option<SocketAddr>,
) -> io::Result<(DetachedStream, Arc<Wire>)> {
    let (stream, remote) = listener.accept()?;
    stream.set_nonblocking(true)?;
    let local = local.map_or_else(|| stream.local_addr(), Ok)?;
    Ok((
        DetachedStream::Tcp(stream),
        Arc::new(Wire::tcp(remote, local)),
    ))
}

fn accept_unix(
    listener: &UnixListener,
    wire: &Arc<Wire>,
) -> io::Result<(DetachedStream, Arc<Wire>)> {
    let (stream, _) = listener.accept()?;
    stream.set_nonblocking(true)?;
    Ok((DetachedStream::Unix(stream), Arc::clone(wire)))
}

fn start_error(address: &ListenAddress, error: io::Error) -> StartError {
    let hint = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EADDRINUSE) => ": another process listens there (ss -ltnp shows which)",
        Some(Errno::EACCES) => ": ports below 1024 need the capability CAP_NET_BIND_SERVICE",
        Some(Errno::EADDRNOTAVAIL) => ": no interface of this machine has the address",
        Some(_) | None => "",
    };
    StartError::Bind {
        address: address.to_string(),
        error,
        hint,
    }
}

fn bind(listener: &Listener) -> io::Result<Acceptor> {
    match &listener.address {
        ListenAddress::Tcp(address) => Acceptor::tcp(bind_tcp(*address, listener.backlog)?),
        ListenAddress::Unix(path) => {
            Acceptor::unix(listen_unix(path, listener.mode, listener.backlog)?)
        }
        // Such a socket is passed, or it is not there.
        ListenAddress::Systemd(_) => Err(io::ErrorKind::NotFound.into()),
    }
}

fn bind_tcp(address: SocketAddr, backlog: i32) -> io::Result<TcpListener> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the TIME_WAIT of old connections.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&SockAddr::from(address))?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_have_the_options_of_their_listener() {
        let bound = bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0)), 1).unwrap();
        let address = bound.local_addr().unwrap();
        let acceptor = Acceptor::tcp(bound).unwrap();
        assert_eq!(acceptor.to_string(), address.to_string());
        let client = std::net::TcpStream::connect(address).unwrap();
        acceptor.ready().await.unwrap();
        assert!(acceptor.is_awaited());
        let (stream, wire) = acceptor.try_accept().unwrap();
        assert!(!acceptor.is_awaited());
        let DetachedStream::Tcp(stream) = stream else {
            panic!("not TCP")
        };
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), PROBE_AFTER);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), PROBE_AGAIN);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), PROBES);
        let port = client.local_addr().unwrap().port().to_string();
        assert_eq!(wire.remote_port, port);
        assert_eq!(wire.local_addr, "127.0.0.1");
        assert_eq!(wire.local_port, Some(address.port()));
    }
}
