//! The admin listener: health, numbers and reload for those who run the gateway. It has a socket and
//! a few connections of its own, and so answers while clients and PHP are at their limits.

mod metrics;
mod readiness;
mod router;
mod status;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Duration, Instant, sleep, timeout};

use crate::config::{AdminAddress, Live};
use crate::stream::{Stream, listen_unix};
use crate::upstream::numbers::{Count, Histogram};

/// Connections at once: a scraper, a probe and a person.
const CONNECTIONS: usize = 16;

/// Connections that wait for one of them.
const BACKLOG: i32 = 64;

/// How long one may take in all: a client that does not read its answer must not keep out the others.
/// A reload of a large configuration takes a part of it.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a head may take.
const HEADER: Duration = Duration::from_secs(5);

/// The pause after accepting failed.
const PAUSE: Duration = Duration::from_millis(100);

/// What somebody asks the server to do.
#[derive(Debug)]
pub enum Command {
    /// Load the configuration again; with `dry_run` only say what would change.
    Reload {
        /// Whether nothing is to be changed.
        dry_run: bool,
        /// What came of it: the changes line by line, or why it was refused. Nobody may listen.
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
}

impl State {
    /// Of a server that begins, with at most so many connections.
    pub fn new(most_connections: usize) -> Self {
        Self {
            draining: AtomicBool::new(false),
            started: Instant::now(),
            connections: Arc::new(Semaphore::new(most_connections)),
            most_connections,
            accepted: Count::default(),
            refused: Count::default(),
            stream_errors: Arc::default(),
            tls_accepted: Count::default(),
            tls_failed: Count::default(),
            reloads: Count::default(),
            reloads_refused: Count::default(),
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
        })
    }
}

/// A bound admin listener.
#[derive(Debug)]
pub enum Bound {
    /// A unix socket.
    Unix(UnixListener),
    /// A port of this machine.
    Tcp(TcpListener),
}

impl Bound {
    /// Binds `address`. A socket that nobody listens on any more is replaced; any other file is not.
    pub async fn bind(address: &AdminAddress) -> io::Result<Self> {
        match address {
            AdminAddress::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            AdminAddress::Unix { path, mode } => {
                let listener = listen_unix(path, Some(*mode), BACKLOG)?;
                listener.set_nonblocking(true)?;
                UnixListener::from_std(listener).map(Self::Unix)
            }
        }
    }

    /// Where it really is, as a log shows it.
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

    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
            Self::Tcp(listener) => Ok(Stream::Tcp(listener.accept().await?.0)),
        }
    }
}

/// Answers until the process ends, through the drain too.
pub async fn serve(bound: Bound, admin: Arc<Admin>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let stream = match bound.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "the admin listener could not accept");
                sleep(PAUSE).await;
                continue;
            }
        };
        let admin = Arc::clone(&admin);
        tokio::spawn(async move {
            let answer = service_fn(|request| router::answer(Arc::clone(&admin), request));
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), answer);
            match timeout(PATIENCE, served).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "an admin connection ended"),
                Err(_) => tracing::debug!("an admin connection was given up"),
            }
            drop(permit);
        });
    }
}
