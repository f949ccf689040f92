//! The configuration in force: one pointer, swapped by a reload and read without a lock.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::Snapshot;

/// The current snapshot.
#[derive(Clone, Debug)]
pub struct Live(Arc<ArcSwap<Snapshot>>);

impl Live {
    /// Begins with `snapshot`.
    pub fn new(snapshot: Snapshot) -> Self {
        snapshot.take_effect();
        Self(Arc::new(ArcSwap::from_pointee(snapshot)))
    }

    /// What holds now, for a moment: costs no write to shared memory.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.0.load()
    }

    /// What holds now; whoever keeps it keeps all that it needs.
    pub fn current(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Puts `snapshot` in force for all requests that begin from now on; what held before is returned.
    pub fn replace(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        snapshot.take_effect();
        self.0.swap(Arc::new(snapshot))
    }
}
