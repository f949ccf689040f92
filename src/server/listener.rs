//! Listening sockets and the loop that accepts from each.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use nix::errno::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{Shared, StartError, connection};
use crate::config::{ListenAddress, Listener};
use crate::limits::connections::Held;
use crate::limits::rate::Client;
use crate::message::Wire;
use crate::stream::Stream;
use crate::tls;

/// Connections that the kernel keeps for us while we do not accept: what it allows at most by
/// default (net.core.somaxconn).
const BACKLOG: i32 = 4096;

/// The pause after accepting failed for want of descriptors or memory: others may give some back.
const PAUSE: Duration = Duration::from_millis(100);

/// The listeners in use.
#[derive(Debug)]
pub(super) struct Listeners {
    shared: Arc<Shared>,
    stop: CancellationToken,
    active: Vec<Active>,
}

/// One listener: its address in the configuration, and what ends it and its connections.
#[derive(Debug)]
struct Active {
    address: ListenAddress,
    terms: Terms,
    stop: CancellationToken,
}

/// The TLS of a listener: a reload changes it for connections to come, and keeps the socket.
type Terms = Arc<ArcSwapOption<tls::Acceptor>>;

/// A bound socket that does not accept yet.
#[derive(Debug)]
struct Bound {
    listener: Listener,
    socket: Acceptor,
}

#[derive(Debug)]
enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener, Arc<Wire>),
}

/// What a reload changes: sockets that are bound already, and listeners that end.
#[derive(Debug)]
pub(super) struct Change {
    added: Vec<Bound>,
    /// Each by its index among the active ones, with the TLS that it has from now on.
    kept: Vec<(usize, Option<Arc<tls::Acceptor>>)>,
}

impl Listeners {
    pub(super) fn new(shared: Arc<Shared>, stop: CancellationToken) -> Self {
        Self {
            shared,
            stop,
            active: Vec::new(),
        }
    }

    /// Binds all of them or none, and accepts from them.
    pub(super) fn bind(&mut self, listeners: &[Listener]) -> Result<(), StartError> {
        self.rebind(listeners)?.apply(self);
        Ok(())
    }

    /// Binds those of `listeners` that are new; nothing else changes yet.
    pub(super) fn rebind(&self, listeners: &[Listener]) -> Result<Change, StartError> {
        let mut known: Vec<_> = self.active.iter().enumerate().collect();
        let mut change = Change {
            added: Vec::new(),
            kept: Vec::new(),
        };
        for listener in listeners {
            match position(&known, listener) {
                Some(at) => {
                    let (index, _) = known.swap_remove(at);
                    change.kept.push((index, listener.tls.clone()));
                }
                None => change.added.push(Bound {
                    socket: bind(&listener.address)?,
                    listener: listener.clone(),
                }),
            }
        }
        Ok(change)
    }

    fn accept_from(&mut self, bound: Bound) {
        let stop = self.stop.child_token();
        let shared = Arc::clone(&self.shared);
        match &bound.socket {
            Acceptor::Tcp(listener) => match listener.local_addr() {
                Ok(address) => tracing::info!(%address, "listening"),
                Err(error) => tracing::warn!(%error, "listening on an unknown address"),
            },
            Acceptor::Unix(..) => tracing::info!(address = %bound.listener.address, "listening"),
        }
        let terms = Arc::new(ArcSwapOption::new(bound.listener.tls));
        self.active.push(Active {
            address: bound.listener.address,
            terms: Arc::clone(&terms),
            stop: stop.clone(),
        });
        tokio::spawn(accept(bound.socket, terms, shared, stop));
    }
}

impl Change {
    /// Begins with the new listeners and ends those that are not kept; their connections drain.
    pub(super) fn apply(self, listeners: &mut Listeners) {
        let mut indices = 0..;
        listeners.active.retain(|active| {
            let index = indices.next();
            match self.kept.iter().find(|(kept, _)| Some(*kept) == index) {
                Some((_, tls)) => {
                    active.terms.store(tls.clone());
                    true
                }
                None => {
                    tracing::info!(address = %active.address, "no longer listening");
                    active.stop.cancel();
                    false
                }
            }
        });
        for bound in self.added {
            listeners.accept_from(bound);
        }
    }
}

/// Which of the `known` ones a listener is: of several with port 0 rather the one that speaks TLS
/// as it does.
fn position(known: &[(usize, &Active)], listener: &Listener) -> Option<usize> {
    let same = |active: &Active| active.address == listener.address;
    let alike = |active: &Active| active.terms.load().is_some() == listener.tls.is_some();
    known
        .iter()
        .position(|(_, active)| same(active) && alike(active))
        .or_else(|| known.iter().position(|(_, active)| same(active)))
}

async fn accept(listener: Acceptor, terms: Terms, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        // The permit comes first: what cannot be served waits in the kernel's backlog.
        let permit = tokio::select! {
            () = stop.cancelled() => return,
            permit = Arc::clone(&shared.connections).acquire_owned() => permit,
        };
        let Ok(permit) = permit else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, wire)) => {
                let Some(held) = hold(&shared, &wire) else {
                    continue;
                };
                let (tls, shared) = (terms.load_full(), Arc::clone(&shared));
                let tasks = shared.tasks.clone();
                let served = connection::serve(stream, wire, tls, shared, stop.clone());
                tasks.spawn(async move {
                    served.await;
                    drop((permit, held));
                });
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept a connection: out of descriptors or memory? (ulimit -n, server.limits.connections)");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Counts the connection as its client's; `None` where it is one too many.
fn hold(shared: &Shared, wire: &Wire) -> Option<Option<Held>> {
    let most = shared.live.load().server.limits.connections_per_client;
    let Some(address) = wire.client.filter(|_| most > 0) else {
        return Some(None);
    };
    let held = shared.by_client.hold(Client::new(address), most);
    if held.is_none() {
        tracing::debug!(client = %address, "closed: more than limits.connections_per_client = {most}");
    }
    held.map(Some)
}

impl Acceptor {
    async fn accept(&self) -> io::Result<(Stream, Arc<Wire>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, remote) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let wire = Wire::tcp(remote, stream.local_addr()?);
                Ok((Stream::Tcp(stream), Arc::new(wire)))
            }
            Self::Unix(listener, wire) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), Arc::clone(wire)))
            }
        }
    }
}

/// accept(2): errors of a connection that went away before it was accepted.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, InvalidInput, NotConnected};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | NotConnected | InvalidInput
    )
}

fn bind(address: &ListenAddress) -> Result<Acceptor, StartError> {
    let bound = match address {
        ListenAddress::Tcp(address) => bind_tcp(*address).map(Acceptor::Tcp),
        ListenAddress::Unix(path) => bind_unix(path).map(|listener| {
            Acceptor::Unix(listener, Arc::new(Wire::unix(&path.to_string_lossy())))
        }),
    };
    bound.map_err(|error| {
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
    })
}

fn bind_tcp(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for the TIME_WAIT of old connections.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A socket file that nobody listens on is what a killed process left; one that answers is in use.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        result => result,
    }
}

fn is_abandoned(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    is_socket
        && std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
