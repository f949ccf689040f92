//! The admin listener: health, numbers and reload for those who run the gateway. It has a socket and
//! a few connections of its own, and so answers while clients and PHP are at their limits.

mod bound;
mod door;
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

pub use bound::Bound;
pub use serving::serve;

use crate::limits::eviction::EvictionQueue;
use crate::line_log::LineLog;
use crate::site::Live;
use crate::upstream::numbers::{Count, Histogram};

/// Reloads that may be asked for at once. They take effect one after another, and each reads all files.
const RELOADS: usize = 4;

/// What somebody asks the server to do.
#[derive(Debug)]
pub enum Command {
    /// Load the configuration again; with `dry_run` only say what would change.
    Reload {
        /// Whether nothing is to be changed.
        dry_run: bool,
        /// What came of it: the changes line by line, or why it was refused, without values. Nobody may listen.
        answer: oneshot::Sender<Result<Vec<String>, String>>,
    },
}

/// What the server tells of itself beside the numbers of sites and upstreams.
#[derive(Debug)]
pub struct State {
    /// SIGTERM has come.
    draining: AtomicBool,
    /// When the process began to serve.
    pub started: Instant,
    /// Connections of clients at once, and the most.
    pub connections: Arc<Semaphore>,
    /// `limits.connections`, as it was at the start.
    pub most_connections: usize,
    /// Who of them waits, and was given up.
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
    /// Logs, for what they drop.
    pub logs: Vec<LineLog>,
    /// How late each thread comes to what is due.
    pub lags: OnceLock<Box<[Arc<Histogram>]>>,
}

/// All that the admin listener speaks of.
#[derive(Debug)]
pub struct Admin {
    live: Live,
    state: Arc<State>,
    commands: mpsc::Sender<Command>,
    readiness: readiness::Readiness,
    concurrency: metrics::Concurrency,
    reloads: Semaphore,
    reserve: reserve::Reserve,
}

impl State {
    /// Of a server that begins, with at most so many connections and these logs.
    pub fn new(most_connections: usize, logs: Vec<LineLog>) -> Self {
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
            logs,
            lags: OnceLock::new(),
        }
    }

    /// The end has begun: not ready any more.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether it has.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

impl Admin {
    /// Speaks of `live` and `state`; what is asked for goes to `commands`.
    pub fn new(live: Live, state: Arc<State>, commands: mpsc::Sender<Command>) -> Arc<Self> {
        Arc::new(Self {
            live,
            state,
            commands,
            readiness: readiness::Readiness::default(),
            concurrency: metrics::Concurrency::default(),
            reloads: Semaphore::new(RELOADS),
            reserve: reserve::Reserve::new(),
        })
    }
}
