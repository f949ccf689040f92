//! The running server: binds, serves, reloads, drains.

mod certificates;
mod connection;
mod deadline;
mod difficulty;
mod farewell;
mod handshake;
mod inherited;
mod intake;
mod io;
mod listener;
mod logged;
mod proxy_protocol;
mod reload;
mod seldom;
mod service;
mod shutdown;
mod sniff;
mod socket;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access_log::AccessLog;
use crate::config::{Live, Snapshot};
use crate::disk::RealDisk;
use crate::limits::connections::Connections;
use crate::message::RequestId;
pub use inherited::Inherited;
use listener::Listeners;
pub use service::MAX_ROUNDS;

/// Why the server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be bound.
    #[error("cannot listen on {address}: {error}{hint}")]
    Bind {
        /// The address.
        address: String,
        /// What the kernel says.
        error: std::io::Error,
        /// What to do about it.
        hint: &'static str,
    },
    /// The access log cannot be opened.
    #[error("cannot open the access log: {0}")]
    AccessLog(std::io::Error),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(std::io::Error),
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    live: Live,
    disk: RealDisk,
    access_log: AccessLog,
    connections: Arc<Semaphore>,
    by_client: Arc<Connections>,
    tasks: TaskTracker,
    process: u64,
    serial: AtomicU32,
    /// What our guard or hyper refused before it was a request.
    refused: AtomicU64,
}

impl Shared {
    /// The name of the next request.
    fn next_id(&self) -> RequestId {
        RequestId::new(self.process, self.serial.fetch_add(1, Ordering::Relaxed))
    }
}

/// Serves until SIGTERM or SIGINT and returns when everything in flight is finished, or when it
/// may take no longer. `path` is what SIGHUP loads again, `inherited` what was bound before.
pub async fn run(
    path: PathBuf,
    snapshot: Snapshot,
    inherited: Inherited,
) -> Result<(), StartError> {
    let mut signals = Signals::new().map_err(StartError::Signals)?;
    let server = &snapshot.server;
    let access_log = AccessLog::start(server.access_log.clone(), server.access_format.clone())
        .map_err(StartError::AccessLog)?;
    let connections = Arc::new(Semaphore::new(server.limits.connections));
    let live = Live::new(snapshot);
    let shared = Arc::new(Shared {
        live,
        disk: RealDisk::default(),
        access_log,
        connections,
        by_client: Arc::default(),
        tasks: TaskTracker::new(),
        process: draw(),
        serial: AtomicU32::new(0),
        refused: AtomicU64::new(0),
    });
    let stop = CancellationToken::new();
    let mut listeners = Listeners::new(Arc::clone(&shared), inherited, stop.clone());
    listeners.bind(&shared.live.current().listeners)?;
    tokio::spawn(certificates::keep_fresh(Arc::clone(&shared), stop.clone()));
    loop {
        match signals.next().await {
            Event::Reload => reload::reload(&path, &shared, &mut listeners).await,
            Event::ReopenLogs => shared.access_log.reopen(),
            Event::Stop => break,
        }
    }
    shutdown::drain(&shared, &stop, &mut signals).await;
    Ok(())
}

/// The signals that mean something.
#[derive(Debug)]
struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    user1: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Reload,
    ReopenLogs,
    Stop,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            user1: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.hangup.recv() => Event::Reload,
            _ = self.user1.recv() => Event::ReopenLogs,
            _ = self.terminate.recv() => Event::Stop,
            _ = self.interrupt.recv() => Event::Stop,
        }
    }
}

/// A number that no other process has: what the standard library seeds its hash maps with.
fn draw() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
