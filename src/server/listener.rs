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

use super::accept_failures::AcceptFailures;
use super::inherited::Inherited;
use super::log_throttle::LogThrottle;
use super::shared::Shared;
use super::socket::Acceptor;
use super::start_error::StartError;
use super::{connection, descriptors, places, proxy_protocol, shutdown_grace};
use crate::limits::room::Seat;
use crate::message::Wire;
use crate::site::Listener;
use crate::stream::Bare;
use crate::threads::Place;
use connection::AdmittedConnection;

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
    settings: SharedSettings,
    stop: CancellationToken,
}

/// What holds for a listener: a reload changes it for connections to come, and keeps the sockets.
type SharedSettings = Arc<ArcSwap<Listener>>;

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
        let settings = self.active.iter().map(|active| active.settings.load_full());
        let mut known: Vec<_> = settings.enumerate().collect();
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
            settings: Arc::new(ArcSwap::from_pointee(bound.listener)),
            stop: self.stop.child_token(),
        };
        for socket in bound.sockets {
            tracing::info!(address = %socket, "listening");
            let settings = Arc::clone(&active.settings);
            let shared = Arc::clone(&self.shared);
            // Tracked: what it has accepted at the last moment is not there before.
            let accepting = accept(socket, settings, shared, active.stop.clone());
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
                    active.settings.store(Arc::new(listener));
                    true
                }
                None => {
                    let address = &active.settings.load().address;
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
async fn accept(
    socket: Acceptor,
    settings: SharedSettings,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let throttle = Arc::new(LogThrottle::default());
    accept_until_stop(&socket, &settings, &throttle, &shared, &stop).await;
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
        spawn_connection(accepted, &settings, &throttle, &shared, &stop);
    }
}

/// Every connection begins with the settings that hold at that moment.
async fn accept_until_stop(
    socket: &Acceptor,
    settings: &SharedSettings,
    throttle: &Arc<LogThrottle>,
    shared: &Arc<Shared>,
    stop: &CancellationToken,
) {
    let mut failures = AcceptFailures::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            () = failures.recovered() => {
                failures.log_recovery();
                continue;
            }
            accepted = accept_next(socket, shared) => accepted,
        };
        match accepted {
            Ok(accepted) => {
                shared.state.accepted.add();
                let descriptor = accepted.stream.as_raw_fd();
                spawn_connection(accepted, settings, throttle, shared, stop);
                if descriptor >= shared.ceiling {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = descriptors::wait_below_ceiling(shared, socket) => {}
                    }
                }
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                failures.record(&error);
                shared.disk.make_room();
                shared.state.room.make(Instant::now());
                sleep(PAUSE).await;
            }
        }
    }
}

/// Accepts the next connection when there is a place for it: what cannot be served waits in the kernel's backlog.
async fn accept_next(socket: &Acceptor, shared: &Shared) -> io::Result<Accepted> {
    loop {
        socket.ready().await?;
        let Some(permit) = places::acquire(shared, socket).await else {
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
fn spawn_connection(
    accepted: Accepted,
    settings: &SharedSettings,
    throttle: &Arc<LogThrottle>,
    shared: &Arc<Shared>,
    stop: &CancellationToken,
) {
    let (settings, throttle) = (settings.load_full(), Arc::clone(throttle));
    let elsewhere = accepted.place.elsewhere().cloned();
    let served = serve(
        accepted,
        settings,
        throttle,
        Arc::clone(shared),
        stop.clone(),
    );
    match elsewhere {
        Some(runtime) => shared.tasks.spawn_on(served, &runtime),
        None => shared.tasks.spawn(served),
    };
}

/// Finds out who the client is, and serves it.
async fn serve(
    accepted: Accepted,
    settings: Arc<Listener>,
    throttle: Arc<LogThrottle>,
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
        Err(error) => return log_epoll_failure(&shared, &error),
    };
    let seat = Seat::new(&shared.state.room, Instant::now());
    if let Some(proxies) = &settings.proxies {
        let limit = shared.live.load().server.limits.header;
        let received = tokio::select! {
            received = proxy_protocol::receive(&mut stream, wire, proxies, limit, &throttle) => received,
            () = shutdown_grace::wait(&stop) => return,
            () = seat.given_up() => return,
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
    let Some(held) = places::count_client(&shared, &wire, settings.proxies.as_ref()) else {
        return;
    };
    if let Some(held) = &held {
        seat.hasten(held.count());
    }
    let admitted = AdmittedConnection {
        stream,
        wire: wire.through(&settings.name),
        seat,
    };
    connection::serve(admitted, settings.tls.clone(), shared, stop).await;
}

/// epoll_ctl(2): no memory, or more than /proc/sys/fs/epoll/max_user_watches.
fn log_epoll_failure(shared: &Shared, error: &io::Error) {
    shared.state.refused.add();
    if let Some(left_out) = shared.throttle.admit(Instant::now()) {
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
