//! What all connections share.

use std::os::fd::RawFd;
use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::log_throttle::LogThrottle;
use crate::access_log::AccessLog;
use crate::admin::State;
use crate::disk::RealDisk;
use crate::handler::coded::Encoders;
use crate::limits::budget::Budgets;
use crate::limits::connections::Connections;
use crate::message::{RequestId, RequestIds};
use crate::site::{Live, Snapshot};
use crate::threads::Threads;

/// The state of the process that requests use.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) live: Live,
    pub(super) disk: RealDisk,
    pub(super) access_log: AccessLog,
    pub(super) state: Arc<State>,
    pub(super) by_client: Arc<Connections>,
    pub(super) encoders: Encoders,
    /// A reload keeps them.
    pub(super) budgets: Budgets,
    /// For what comes in crowds: clients with too many connections, requests to a full queue.
    pub(super) throttle: LogThrottle,
    pub(super) tasks: TaskTracker,
    pub(super) threads: Threads,
    pub(super) ids: RequestIds,
    /// The first descriptor that is kept from clients.
    pub(super) ceiling: RawFd,
}

impl Shared {
    pub(super) fn new(
        snapshot: Snapshot,
        access_log: AccessLog,
        state: Arc<State>,
        threads: Threads,
    ) -> Self {
        Self {
            ceiling: RawFd::MAX,
            disk: RealDisk::new(snapshot.server.file_cache),
            encoders: Encoders::default(),
            budgets: snapshot.budgets.clone(),
            live: Live::new(snapshot),
            access_log,
            state,
            by_client: Arc::default(),
            throttle: LogThrottle::default(),
            tasks: TaskTracker::new(),
            threads,
            ids: RequestIds::new(draw),
        }
    }

    /// The name of the next request.
    pub(super) fn next_id(&self) -> RequestId {
        self.ids.draw()
    }
}

/// A number that no other process has: what the standard library seeds its hash maps with.
fn draw() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
