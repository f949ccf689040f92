//! What a connection and its requests tell each other: whether any request is in flight, and so
//! which deadline holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Watch {
    begun: AtomicUsize,
    ended: AtomicUsize,
}

/// One of them; it ends when this is dropped, which is when its body has ended.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Watch>);

impl Watch {
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.begun.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// How many have begun so far.
    pub(super) fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    /// How many have ended so far.
    pub(super) fn ended(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    /// Whether all that have begun have ended.
    pub(super) fn is_idle(&self) -> bool {
        self.ended() == self.begun()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}
