//! Listening sockets, which the parent has bound.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::message::Wire;
use crate::stream::DetachedStream;

/// TCP keep-alive (tcp(7)): idle time before the first probe, interval and number of probes. A connection whose client
/// has vanished ends after 2 minutes.
const PROBE_AFTER: Duration = Duration::from_secs(60);
const PROBE_AGAIN: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;

/// A listening socket.
#[derive(Debug)]
pub(super) enum Acceptor {
    /// With the local address of its connections, if all have the same.
    Tcp(AsyncFd<TcpListener>, Option<SocketAddr>),
    Unix(AsyncFd<UnixListener>, Arc<Wire>),
}

impl Acceptor {
    /// Builds an acceptor for a listening socket of either kind. One that was passed to the parent may be transparent
    /// (IP_TRANSPARENT), with connections to any local address.
    pub(super) fn new(socket: OwnedFd, is_passed: bool) -> io::Result<Self> {
        if SockRef::from(&socket).local_addr()?.is_unix() {
            Self::unix(UnixListener::from(socket))
        } else if is_passed {
            let listener = Self::with_options(TcpListener::from(socket))?;
            Ok(Self::Tcp(listener, None))
        } else {
            Self::tcp(TcpListener::from(socket))
        }
    }

    /// Builds an acceptor for `listener`, which was bound for its address.
    fn tcp(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let one = !address.ip().is_unspecified();
        Ok(Self::Tcp(
            Self::with_options(listener)?,
            one.then_some(address),
        ))
    }

    /// Sets the options of the listening socket. Linux copies them to every connection, which saves the calls for each.
    fn with_options(listener: TcpListener) -> io::Result<AsyncFd<TcpListener>> {
        let socket = SockRef::from(&listener);
        socket.set_tcp_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(PROBE_AFTER)
            .with_interval(PROBE_AGAIN)
            .with_retries(PROBES);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_nonblocking(true)?;
        register(listener)
    }

    /// Builds an acceptor for the unix socket `listener`.
    fn unix(listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let path = address.as_pathname().unwrap_or_else(|| Path::new(""));
        let wire = Arc::new(Wire::unix(&path.to_string_lossy()));
        Ok(Self::Unix(register(listener)?, wire))
    }

    /// Waits until the backlog may have a connection.
    pub(super) async fn ready(&self) -> io::Result<()> {
        match self {
            Self::Tcp(listener, _) => listener.readable().await?.retain_ready(),
            Self::Unix(listener, _) => listener.readable().await?.retain_ready(),
        }
        Ok(())
    }

    /// Returns the next connection, or `WouldBlock` if there is none. It is not registered with a runtime yet.
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

    /// Reports whether the backlog has a connection, by poll(2).
    pub(super) fn is_awaited(&self) -> bool {
        let is_there = Interest::READABLE;
        let asked = match self {
            Self::Tcp(listener, _) => listener.try_io(is_there, poll_readable),
            Self::Unix(listener, _) => listener.try_io(is_there, poll_readable),
        };
        asked.is_ok()
    }

    /// Closes the socket and returns the connections of its backlog. Calls accept(2) directly, as the runtime may not
    /// know of the last ones.
    pub(super) fn close(self) -> Vec<(DetachedStream, Arc<Wire>)> {
        // Until the backlog is empty or accept(2) fails.
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
    /// Writes the bound address, with its actual port.
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

/// Registers a listener for readiness alone. Tokio's own listeners would register each connection on the accepting
/// thread, and deregister those served on another: two more system calls.
fn register<L: AsRawFd>(listener: L) -> io::Result<AsyncFd<L>> {
    #[expect(
        deprecated,
        reason = "for types that change their descriptor; the new name is unsafe, and std's listeners keep theirs"
    )]
    AsyncFd::with_interest(listener, Interest::READABLE)
}

/// Polls a listening socket: `WouldBlock` if accept(2) would block (poll(2)).
fn poll_readable(listener: &impl AsFd) -> io::Result<()> {
    let mut asked = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    match poll(&mut asked, PollTimeout::ZERO)? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

/// Accepts a TCP connection; `local` is its local address, if known.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_have_the_options_of_their_listener() {
        let bound = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = bound.local_addr().unwrap();
        let acceptor = Acceptor::new(bound.into(), false).unwrap();
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
