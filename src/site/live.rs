//! The configuration in force: a pointer, swapped by a reload and read without a lock.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::Snapshot;

/// Pointer to the current snapshot.
#[derive(Clone, Debug)]
pub struct Live(Arc<ArcSwap<Snapshot>>);

impl Live {
    /// Puts the first snapshot in force.
    pub fn new(snapshot: Snapshot) -> Self {
        snapshot.take_effect();
        Self(Arc::new(ArcSwap::from_pointee(snapshot)))
    }

    /// Borrows the current snapshot for a moment, without a write to shared memory.
    pub fn load(&self) -> Guard<Arc<Snapshot>> {
        self.0.load()
    }

    /// Returns the current snapshot; the reference keeps all that it needs alive.
    pub fn current(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Puts `snapshot` in force for all requests from now on, and returns the previous one.
    pub fn replace(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        snapshot.take_effect();
        self.0.swap(Arc::new(snapshot))
    }
}
