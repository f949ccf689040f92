//! Listening sockets and their accept loops.

use std::io;
use std::mem::take;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use nix::errno::Errno;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::accept_failures::AcceptFailures;
use super::log_throttle::LogThrottle;
use super::shared::Shared;
use super::socket::Acceptor;
use super::{connection, descriptors, places, proxy_protocol, shutdown_grace};
use crate::control::Source;
use crate::limits::eviction::Evictable;
use crate::message::Wire;
use crate::site::Listener;
use crate::stream::DetachedStream;
use crate::threads::Place;
use connection::AdmittedConnection;

/// Pause after accept(2) failed for lack of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// All active listeners, in the order of the configuration.
#[derive(Debug)]
pub(super) struct Listeners {
    shared: Arc<Shared>,
    stop: CancellationToken,
    active: Vec<Active>,
}

/// One active listener.
#[derive(Debug)]
struct Active {
    settings: SharedSettings,
    /// Ends the listener and its connections.
    stop: CancellationToken,
}

/// Settings of a listener. A reload replaces them for new connections, and keeps the sockets.
type SharedSettings = Arc<ArcSwap<Listener>>;

/// A listener without an accept loop.
#[derive(Debug)]
enum Prepared {
    /// The active listener with this index.
    Kept(usize),
    New(Vec<Acceptor>),
}

/// The listeners of a configuration, before they take effect.
#[derive(Debug)]
pub(super) struct Change(Vec<(Prepared, Listener)>);

impl Listeners {
    pub(super) fn new(shared: Arc<Shared>, stop: CancellationToken) -> Self {
        Self {
            shared,
            stop,
            active: Vec::new(),
        }
    }

    /// Prepares `listeners`, each with its sockets from the parent. Nothing changes.
    pub(super) fn prepare(
        &self,
        listeners: &[Listener],
        sources: Vec<(Source, Vec<OwnedFd>)>,
    ) -> io::Result<Change> {
        if listeners.len() != sources.len() {
            return Err(io::Error::other(
                "the parent sent sockets for other listeners",
            ));
        }
        let each = sources.into_iter().map(|(source, sockets)| match source {
            Source::Kept(index) if usize::from(index) < self.active.len() => {
                Ok(Prepared::Kept(index.into()))
            }
            Source::Kept(_) => Err(io::Error::other("the parent keeps an unknown listener")),
            Source::Bound | Source::Passed => {
                let is_passed = source == Source::Passed;
                let acceptors = sockets
                    .into_iter()
                    .map(|socket| Acceptor::new(socket, is_passed));
                acceptors.collect::<io::Result<_>>().map(Prepared::New)
            }
        });
        let prepared = each.collect::<io::Result<Vec<_>>>()?;
        Ok(Change(
            prepared
                .into_iter()
                .zip(listeners.iter().cloned())
                .collect(),
        ))
    }

    fn accept_from(&self, sockets: Vec<Acceptor>, listener: Listener) -> Active {
        let active = Active {
            settings: Arc::new(ArcSwap::from_pointee(listener)),
            stop: self.stop.child_token(),
        };
        for socket in sockets {
            tracing::info!(address = %socket, "listening");
            let settings = Arc::clone(&active.settings);
            let shared = Arc::clone(&self.shared);
            // Tracked: the drain waits for connections accepted at the last moment.
            let accepting = accept(socket, settings, shared, active.stop.clone());
            self.shared.tasks.spawn(accepting);
        }
        active
    }
}

impl Change {
    /// Starts the new listeners and ends the removed ones; their connections drain.
    pub(super) fn apply(self, listeners: &mut Listeners) {
        let mut before: Vec<_> = take(&mut listeners.active).into_iter().map(Some).collect();
        for (prepared, listener) in self.0 {
            let active = match prepared {
                Prepared::Kept(index) => {
                    let kept = before.get_mut(index).and_then(Option::take);
                    kept.inspect(|active| active.settings.store(Arc::new(listener)))
                }
                Prepared::New(sockets) => Some(listeners.accept_from(sockets, listener)),
            };
            listeners.active.extend(active);
        }
        for removed in before.into_iter().flatten() {
            let address = &removed.settings.load().address;
            tracing::info!(%address, "no longer listening");
            removed.stop.cancel();
        }
    }
}

/// Accepts until `stop`, and then the rest of the backlog; or until another server accepts.
async fn accept(
    socket: Acceptor,
    settings: SharedSettings,
    shared: Arc<Shared>,
    stop: CancellationToken,
) {
    let throttle = Arc::new(LogThrottle::default());
    tokio::select! {
        () = accept_until_stop(&socket, &settings, &throttle, &shared, &stop) => {}
        () = shared.replaced.cancelled() => return,
    }
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

/// Accepts connections until `stop`. A connection has the settings in force when it is accepted.
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
                shared.state.evictions.evict_one(Instant::now());
                sleep(PAUSE).await;
            }
        }
    }
}

/// Accepts the next connection once `server.limits.connections` permits it; until then it waits in the backlog.
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

/// A connection, its permit from `server.limits.connections`, and its place on a thread.
struct Accepted {
    stream: DetachedStream,
    wire: Arc<Wire>,
    permit: OwnedSemaphorePermit,
    place: Place,
}

/// Serves the connection in a task of its own. The task is the bare future of `serve`: a wrapper would hold another
/// copy of it for the life of the connection.
fn spawn_connection(
    accepted: Accepted,
    settings: &SharedSettings,
    throttle: &Arc<LogThrottle>,
    shared: &Arc<Shared>,
    stop: &CancellationToken,
) {
    let (settings, throttle) = (Arc::clone(settings), Arc::clone(throttle));
    let other_runtime = accepted.place.other_runtime().cloned();
    let served = serve(
        accepted,
        settings,
        throttle,
        Arc::clone(shared),
        stop.clone(),
    );
    match other_runtime {
        Some(runtime) => shared.tasks.spawn_on(served, &runtime),
        None => shared.tasks.spawn(served),
    };
}

/// Reads the PROXY header if the listener requires one, counts the connection for its client, and serves it.
async fn serve(
    accepted: Accepted,
    shared_settings: SharedSettings,
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
    let settings = shared_settings.load_full();
    let mut stream = match stream.attach() {
        Ok(stream) => stream,
        Err(error) => return log_epoll_failure(&shared, &error),
    };
    let evictable = Evictable::new(&shared.state.evictions, Instant::now());
    if let Some(proxies) = &settings.proxies {
        let limit = shared.live.load().server.limits.header;
        let received = tokio::select! {
            received = proxy_protocol::receive(&mut stream, wire, proxies, limit, &throttle) => received,
            () = shutdown_grace::wait(&stop) => return,
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
    let Some(held) = places::count_client(&shared, &wire, settings.proxies.as_ref()) else {
        return;
    };
    if let Some(held) = &held {
        evictable.shorten_grace(held.count());
    }
    let admitted = AdmittedConnection {
        stream,
        wire: wire.with_listener(&settings.name),
        evictable,
        listener: shared_settings,
    };
    connection::serve(admitted, settings.tls.clone(), shared, stop).await;
}

/// Logs a failed epoll_ctl(2): no memory, or more than /proc/sys/fs/epoll/max_user_watches.
fn log_epoll_failure(shared: &Shared, error: &io::Error) {
    shared.state.refused.add();
    if let Some(left_out) = shared.throttle.admit(Instant::now()) {
        tracing::warn!(%error, left_out, "connection closed, epoll_ctl failed: fs.epoll.max_user_watches reached, or out of memory");
    }
}

/// Reports whether an error of accept(2) concerns one connection: it ended before it was accepted, or its network
/// failed. The next accept may succeed.
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
