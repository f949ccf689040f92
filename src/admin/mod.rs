//! The admin listener: health, metrics and reload. It has a socket and connections of its own, so it answers while
//! clients and PHP are at their limits.

mod host_check;
mod listener;
mod metrics;
mod places;
mod readiness;
mod reserve;
mod router;
mod serving;
mod status;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

pub use listener::AdminListener;
pub use serving::serve;

use crate::limits::eviction::EvictionQueue;
use crate::line_log::{LineLog, Logs};
use crate::site::Live;
use crate::upstream::numbers::{Count, Histogram};

/// Pending reloads. They take effect one after another, and each reads all files.
const RELOADS: usize = 4;

/// Command to the server.
#[derive(Debug)]
pub enum Command {
    /// Load the configuration again.
    Reload {
        /// Return the changes without applying them.
        dry_run: bool,
        /// Receives the changes, line by line, or the reason of a refusal, without values. May be dropped.
        answer: oneshot::Sender<Result<String, String>>,
    },
}

/// State and counters of the process.
#[derive(Debug)]
pub struct State {
    /// The drain has begun.
    draining: AtomicBool,
    /// Start of serving.
    pub started: Instant,
    /// Permits for client connections.
    pub connections: Arc<Semaphore>,
    /// `limits.connections` at the start.
    pub most_connections: usize,
    /// Connections that may be closed to make room for others.
    pub evictions: Arc<EvictionQueue>,
    /// Connections accepted.
    pub accepted: Count,
    /// Heads and connections that were refused before any rule.
    pub refused: Count,
    /// HTTP/2 streams that were reset with an error.
    pub stream_errors: Arc<Count>,
    /// TLS handshakes that succeeded.
    pub tls_accepted: Count,
    /// TLS handshakes that failed.
    pub tls_failed: Count,
    /// Reloads that took effect.
    pub reloads: Count,
    /// Reloads that were refused.
    pub reloads_refused: Count,
    /// The log on stderr, for its dropped lines.
    pub stderr: LineLog,
    /// The other logs, likewise.
    pub logs: Arc<Logs>,
    /// Connections of the admin listener.
    pub answering: TaskTracker,
    /// Event loop lag of each serving thread.
    pub lags: OnceLock<Box<[Arc<Histogram>]>>,
}

/// State of the admin listener.
#[derive(Debug)]
pub struct Admin {
    live: Live,
    state: Arc<State>,
    commands: mpsc::Sender<Command>,
    probes: readiness::Probes,
    concurrency: metrics::Concurrency,
    reloads: Semaphore,
    reserve: reserve::Reserve,
}

impl State {
    /// Builds the state of a starting server.
    pub fn new(most_connections: usize, stderr: LineLog, logs: Arc<Logs>) -> Self {
        Self {
            draining: AtomicBool::new(false),
            started: Instant::now(),
            connections: Arc::new(Semaphore::new(most_connections)),
            most_connections,
            evictions: Arc::default(),
            accepted: Count::default(),
            refused: Count::default(),
            stream_errors: Arc::default(),
            tls_accepted: Count::default(),
            tls_failed: Count::default(),
            reloads: Count::default(),
            reloads_refused: Count::default(),
            stderr,
            logs,
            answering: TaskTracker::new(),
            lags: OnceLock::new(),
        }
    }

    /// Marks the server as draining, and so as not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Reports whether the server drains.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

impl Admin {
    /// Builds the state of the admin listener; it sends reloads to `commands`.
    pub fn new(live: Live, state: Arc<State>, commands: mpsc::Sender<Command>) -> Arc<Self> {
        Arc::new(Self {
            live,
            state,
            commands,
            probes: readiness::Probes::default(),
            concurrency: metrics::Concurrency::default(),
            reloads: Semaphore::new(RELOADS),
            reserve: reserve::Reserve::new(),
        })
    }
}
