//! A connection's place in the account.

use tokio::time::Instant;

/// A connection's place in the account. Exactly one exists for each open connection, and it must come back through
/// [`Admission::closed`](super::Admission::closed) or [`Admission::finished`](super::Admission::finished), after a
/// request through [`Admission::cool`](super::Admission::cool) before.
#[derive(Debug, PartialEq, Eq)]
pub struct Slot {
    pub(super) id: u64,
    pub(super) opened: Instant,
    pub(super) acknowledged: Option<Instant>,
    pub(super) served: u64,
}

impl Slot {
    /// Reports whether the connection is known to have a worker.
    pub fn is_acknowledged(&self) -> bool {
        self.acknowledged.is_some()
    }

    /// Returns the number of requests that the connection has completed.
    pub fn served(&self) -> u64 {
        self.served
    }
}
