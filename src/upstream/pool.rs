//! The deadpool below: it creates and counts the connections of one server. The member decides on their use and their
//! end, so no connection is ever put back into deadpool: a connection leaves it for good when it is dropped.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult, Timeouts};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream};

use super::Address;
use crate::stream::Stream;
use crate::threads::Home;
use crate::timer::Timer;

/// The most connections to one server at once, independent of the configuration: more than any PHP-FPM has workers,
/// and few enough for the descriptors of one process.
pub(super) const MOST: usize = 1024;

/// TCP keep-alive: a server lost by the network is detected within two minutes.
const KEEP_ALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(10))
    .with_retries(6);

/// The connections of one server.
#[derive(Debug)]
pub(super) struct Pool {
    pool: managed::Pool<Connector>,
    /// Time limit of one attempt to connect, in microseconds; zero is no limit.
    connect: AtomicU64,
}

/// The deadpool manager, which opens connections.
#[derive(Debug)]
pub(super) struct Connector(Address);

/// A connection that leaves the pool when it is dropped.
pub(super) struct Pooled {
    object: Option<Object<Connector>>,
    /// For the deadlines of its users, one after the other.
    pub(super) timer: Timer,
    /// The thread whose reactor watches it.
    home: Home,
}

impl managed::Manager for Connector {
    /// `None` only after a failed move to another thread.
    type Type = Option<Stream>;
    type Error = io::Error;

    async fn create(&self) -> io::Result<Option<Stream>> {
        connect(&self.0).await.map(Some)
    }

    async fn recycle(&self, _: &mut Option<Stream>, _: &Metrics) -> RecycleResult<io::Error> {
        // Never reached: see above. If it were, a connection of unknown state must not be used.
        Err(RecycleError::message("connections are never put back"))
    }
}

impl Pool {
    pub(super) fn new(address: Address) -> Self {
        let builder = managed::Pool::builder(Connector(address))
            .max_size(MOST)
            .runtime(Runtime::Tokio1);
        match builder.build() {
            Ok(pool) => Self {
                pool,
                connect: AtomicU64::new(0),
            },
            // The one error is timeouts without a runtime, and the runtime is set above.
            Err(error) => unreachable!("{error}"),
        }
    }

    /// Sets the time limit of one attempt to connect; zero is no limit.
    pub(super) fn set_connect(&self, limit: Duration) {
        let limit = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        self.connect.store(limit, Ordering::Relaxed);
    }

    pub(super) async fn connect(&self) -> io::Result<Pooled> {
        let limit = Duration::from_micros(self.connect.load(Ordering::Relaxed));
        let timeouts = Timeouts {
            wait: Some(Duration::ZERO),
            create: (!limit.is_zero()).then_some(limit),
            recycle: None,
        };
        match self.pool.timeout_get(&timeouts).await {
            Ok(object) => Ok(Pooled {
                object: Some(object),
                timer: Timer::default(),
                home: Home::here(),
            }),
            Err(PoolError::Backend(error)) => Err(error),
            Err(PoolError::Timeout(managed::TimeoutType::Create)) => {
                Err(io::ErrorKind::TimedOut.into())
            }
            Err(other) => Err(io::Error::other(other.to_string())),
        }
    }
}

/// Connects to `address`, whose host is an IP address: names have become members before ([`super::dns`]).
async fn connect(address: &Address) -> io::Result<Stream> {
    match address {
        Address::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        Address::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            // Records go out in whole writes; waiting for more would only add latency.
            stream.set_nodelay(true)?;
            // The wait for a worker that works on behind its answer has no time limit.
            SockRef::from(&stream).set_tcp_keepalive(&KEEP_ALIVE)?;
            Ok(Stream::Tcp(stream))
        }
    }
}

impl Pooled {
    pub(super) fn get(&self) -> Option<&Stream> {
        self.object.as_deref()?.as_ref()
    }

    pub(super) fn get_mut(&mut self) -> Option<&mut Stream> {
        self.object.as_deref_mut()?.as_mut()
    }

    /// Returns the thread on which it was last used.
    pub(super) fn home(&self) -> Home {
        self.home
    }

    /// Moves the connection to this thread's reactor. A timer belongs to its thread and is replaced.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        let home = Home::here();
        if home == self.home {
            return Ok(());
        }
        self.timer = Timer::default();
        if let Some(object) = &mut self.object
            && let Some(stream) = object.take()
        {
            **object = Some(stream.detach()?.attach()?);
        }
        self.home = home;
        Ok(())
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            drop(Object::take(object));
        }
    }
}

impl fmt::Debug for Pooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pooled").field(&self.get()).finish()
    }
}
