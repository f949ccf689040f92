//! What a connection and its requests tell each other: whether any request is in flight, and so
//! which deadline holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The requests of one connection that are being answered.
#[derive(Debug, Default)]
pub(super) struct Watch(AtomicUsize);

/// One of them; it ends when this is dropped, which is when its body has ended.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Watch>);

impl Watch {
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.0.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
