//! State shared by all connections.

use std::os::fd::RawFd;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::log_throttle::LogThrottle;
use crate::admin::State;
use crate::disk::RealDisk;
use crate::handler::coded::Encoders;
use crate::limits::budget::Budgets;
use crate::limits::connections::Connections;
use crate::line_log::stderr::ErrorLog;
use crate::message::{RequestId, RequestIds};
use crate::site::{Live, Snapshot};
use crate::threads::Threads;

/// Process state used by connections and requests.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) live: Live,
    pub(super) disk: RealDisk,
    pub(super) error_log: ErrorLog,
    pub(super) state: Arc<State>,
    pub(super) by_client: Arc<Connections>,
    pub(super) encoders: Encoders,
    /// Kept across reloads.
    pub(super) budgets: Budgets,
    /// For events that come in numbers: clients with too many connections, requests to a full queue.
    pub(super) throttle: LogThrottle,
    pub(super) tasks: TaskTracker,
    /// Another server accepts all new connections.
    pub(super) replaced: CancellationToken,
    pub(super) threads: Threads,
    pub(super) ids: RequestIds,
    /// The first descriptor that clients may not have.
    pub(super) ceiling: RawFd,
}

impl Shared {
    pub(super) fn new(
        snapshot: Snapshot,
        error_log: ErrorLog,
        state: Arc<State>,
        threads: Threads,
    ) -> Self {
        Self {
            ceiling: RawFd::MAX,
            disk: RealDisk::new(snapshot.server.file_cache),
            encoders: Encoders::default(),
            budgets: snapshot.budgets.clone(),
            live: Live::new(snapshot),
            error_log,
            state,
            by_client: Arc::default(),
            throttle: LogThrottle::default(),
            tasks: TaskTracker::new(),
            replaced: CancellationToken::new(),
            threads,
            ids: RequestIds::new(draw),
        }
    }

    /// Returns the identifier of the next request.
    pub(super) fn next_id(&self) -> RequestId {
        self.ids.draw()
    }
}

/// Draws a random number from the seed of the standard library's hash maps.
fn draw() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
