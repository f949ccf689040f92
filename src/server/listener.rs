//! Listening sockets and the loop that accepts from each.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use nix::errno::Errno;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::difficulty::Difficulty;
use super::inherited::Inherited;
use super::seldom::Seldom;
use super::shared::Shared;
use super::socket::Acceptor;
use super::start_error::StartError;
use super::{connection, descriptors, last_call, places, proxy_protocol};
use crate::limits::eviction::Evictable;
use crate::message::Wire;
use crate::site::Listener;
use crate::stream::Bare;
use crate::threads::Place;
use connection::Begun;

/// The pause after accepting failed for want of descriptors or memory: others may give some back.
const PAUSE: Duration = Duration::from_millis(100);

/// The listeners in use.
#[derive(Debug)]
pub(super) struct Listeners {
    shared: Arc<Shared>,
    inherited: Inherited,
    stop: CancellationToken,
    active: Vec<Active>,
}

/// One listener, and what ends it and its connections.
#[derive(Debug)]
struct Active {
    terms: Terms,
    stop: CancellationToken,
}

/// What holds for a listener: a reload changes it for connections to come, and keeps the sockets.
type Terms = Arc<ArcSwap<Listener>>;

/// Bound sockets that do not accept yet.
#[derive(Debug)]
struct Bound {
    listener: Listener,
    sockets: Vec<Acceptor>,
}

/// What a reload changes: sockets that are bound already, and listeners that end.
#[derive(Debug)]
pub(super) struct Change {
    added: Vec<Bound>,
    /// Each by its index among the active ones, with what holds for it from now on.
    kept: Vec<(usize, Listener)>,
}

impl Listeners {
    pub(super) fn new(shared: Arc<Shared>, inherited: Inherited, stop: CancellationToken) -> Self {
        Self {
            shared,
            inherited,
            stop,
            active: Vec::new(),
        }
    }

    /// Binds all of them or none, and accepts from them.
    pub(super) fn bind(&mut self, listeners: &[Listener]) -> Result<(), StartError> {
        self.rebind(listeners)?.apply(self);
        self.inherited.report_unused(listeners);
        Ok(())
    }

    /// Binds those of `listeners` that are new; nothing else changes yet.
    pub(super) fn rebind(&self, listeners: &[Listener]) -> Result<Change, StartError> {
        let terms = self.active.iter().map(|active| active.terms.load_full());
        let mut known: Vec<_> = terms.enumerate().collect();
        let mut change = Change {
            added: Vec::new(),
            kept: Vec::new(),
        };
        for listener in listeners.iter().cloned() {
            match position(&known, &listener) {
                Some(at) => {
                    let (index, _) = known.swap_remove(at);
                    change.kept.push((index, listener));
                }
                None => change.added.push(Bound {
                    sockets: Acceptor::open(&listener, &self.inherited)?,
                    listener,
                }),
            }
        }
        Ok(change)
    }

    fn accept_from(&mut self, bound: Bound) {
        let active = Active {
            terms: Arc::new(ArcSwap::from_pointee(bound.listener)),
            stop: self.stop.child_token(),
        };
        for socket in bound.sockets {
            tracing::info!(address = %socket, "listening");
            let terms = Arc::clone(&active.terms);
            let shared = Arc::clone(&self.shared);
            // Tracked: what it has accepted at the last moment is not there before.
            let accepting = accept(socket, terms, shared, active.stop.clone());
            self.shared.tasks.spawn(accepting);
        }
        self.active.push(active);
    }
}

impl Change {
    /// Begins with the new listeners and ends those that are not kept; their connections drain.
    pub(super) fn apply(mut self, listeners: &mut Listeners) {
        let mut indices = 0..;
        listeners.active.retain(|active| {
            let index = indices.next();
            match self.kept.iter().position(|(kept, _)| Some(*kept) == index) {
                Some(at) => {
                    let (_, listener) = self.kept.swap_remove(at);
                    active.terms.store(Arc::new(listener));
                    true
                }
                None => {
                    let address = &active.terms.load().address;
                    tracing::info!(%address, "no longer listening");
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
fn position(known: &[(usize, Arc<Listener>)], listener: &Listener) -> Option<usize> {
    let same = |other: &Listener| other.address == listener.address;
    let alike = |other: &Listener| other.tls.is_some() == listener.tls.is_some();
    known
        .iter()
        .position(|(_, other)| same(other) && alike(other))
        .or_else(|| known.iter().position(|(_, other)| same(other)))
}

/// Accepts until `stop`, and then once more what has connected by then.
async fn accept(socket: Acceptor, terms: Terms, shared: Arc<Shared>, stop: CancellationToken) {
    let told = Arc::new(Seldom::default());
    accept_until_stop(&socket, &terms, &told, &shared, &stop).await;
    for (stream, wire) in socket.close() {
        let Ok(permit) = Arc::clone(&shared.state.connections).try_acquire_owned() else {
            return;
        };
        let accepted = Accepted {
            stream,
            wire,
            permit,
            place: shared.threads.place(),
        };
        begin(accepted, &terms, &told, &shared, &stop);
    }
}

/// Every connection begins with the terms that hold at that moment.
async fn accept_until_stop(
    socket: &Acceptor,
    terms: &Terms,
    told: &Arc<Seldom>,
    shared: &Arc<Shared>,
    stop: &CancellationToken,
) {
    let mut difficulty = Difficulty::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            () = difficulty.ended() => {
                difficulty.end();
                continue;
            }
            accepted = next(socket, shared) => accepted,
        };
        match accepted {
            Ok(accepted) => {
                shared.state.accepted.add();
                let descriptor = accepted.stream.as_raw_fd();
                begin(accepted, terms, told, shared, stop);
                if descriptor >= shared.ceiling {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = descriptors::relieved(shared, socket) => {}
                    }
                }
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                difficulty.note(&error);
                shared.disk.make_room();
                shared.state.evictions.evict_one(Instant::now());
                sleep(PAUSE).await;
            }
        }
    }
}

/// Accepts the next connection when there is a place for it: what cannot be served waits in the kernel's backlog.
async fn next(socket: &Acceptor, shared: &Shared) -> io::Result<Accepted> {
    loop {
        socket.ready().await?;
        let Some(permit) = places::place(shared, socket).await else {
            continue;
        };
        match socket.try_accept() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            accepted => {
                let (stream, wire) = accepted?;
                return Ok(Accepted {
                    stream,
                    wire,
                    permit,
                    place: shared.threads.place(),
                });
            }
        }
    }
}

/// A connection, its part of `server.limits.connections`, and where it is served.
struct Accepted {
    stream: Bare,
    wire: Arc<Wire>,
    permit: OwnedSemaphorePermit,
    place: Place,
}

/// Serves it in a task of its own. What is spawned is `serve` and nothing around it, which would hold
/// another copy of it for as long as the connection is there.
fn begin(
    accepted: Accepted,
    terms: &Terms,
    told: &Arc<Seldom>,
    shared: &Arc<Shared>,
    stop: &CancellationToken,
) {
    let (terms, told) = (terms.load_full(), Arc::clone(told));
    let elsewhere = accepted.place.elsewhere().cloned();
    let served = serve(accepted, terms, told, Arc::clone(shared), stop.clone());
    match elsewhere {
        Some(runtime) => shared.tasks.spawn_on(served, &runtime),
        None => shared.tasks.spawn(served),
    };
}

/// Finds out who the client is, and serves it.
async fn serve(
    accepted: Accepted,
    terms: Arc<Listener>,
    told: Arc<Seldom>,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let Accepted {
        stream,
        mut wire,
        permit: _permit,
        place: _place,
    } = accepted;
    let mut stream = match stream.settle() {
        Ok(stream) => stream,
        Err(error) => return cannot_watch(&shared, &error),
    };
    let evictable = Evictable::new(&shared.state.evictions, Instant::now());
    if let Some(proxies) = &terms.proxies {
        let limit = shared.live.load().server.limits.header;
        let received = tokio::select! {
            received = proxy_protocol::receive(&mut stream, wire, proxies, limit, &told) => received,
            () = last_call::last_call(&stop) => return,
            () = evictable.wait_until_evicted() => return,
        };
        match received {
            Ok(client) => wire = client,
            Err(is_refused) => {
                if is_refused {
                    shared.state.refused.add();
                }
                return;
            }
        }
    }
    let Some(held) = places::hold(&shared, &wire, terms.proxies.as_ref()) else {
        return;
    };
    if let Some(held) = &held {
        evictable.shorten_grace(held.count());
    }
    let begun = Begun {
        stream,
        wire: wire.through(&terms.name),
        evictable,
    };
    connection::serve(begun, terms.tls.clone(), shared, stop).await;
}

/// epoll_ctl(2): no memory, or more than /proc/sys/fs/epoll/max_user_watches.
fn cannot_watch(shared: &Shared, error: &io::Error) {
    shared.state.refused.add();
    if let Some(left_out) = shared.crowded.is_due(Instant::now()) {
        tracing::warn!(%error, left_out, "connection closed: the kernel does not watch it (fs.epoll.max_user_watches)");
    }
}

/// accept(2): errors of a connection that went away before it was accepted, or that its network
/// had before; the next may be well.
fn is_about_one_connection(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw);
    code.is_some_and(|code| ABOUT_ONE_CONNECTION.contains(&code))
}

const ABOUT_ONE_CONNECTION: [Errno; 12] = [
    Errno::ECONNABORTED,
    Errno::ECONNRESET,
    Errno::EINTR,
    Errno::EPERM,
    Errno::EPROTO,
    Errno::ENOPROTOOPT,
    Errno::EOPNOTSUPP,
    Errno::ENETDOWN,
    Errno::ENETUNREACH,
    Errno::EHOSTDOWN,
    Errno::EHOSTUNREACH,
    Errno::ENONET,
];
