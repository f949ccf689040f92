//! A connection's place in the account.

use tokio::time::Instant;

/// A connection's place in the account; exactly one exists for each open connection, and it must
/// come back through [`Admission::closed`](super::Admission::closed) or [`Admission::finished`](super::Admission::finished). Behind a request it goes through
/// [`Admission::cool`](super::Admission::cool) before.
#[derive(Debug, PartialEq, Eq)]
pub struct Slot {
    pub(super) id: u64,
    pub(super) opened: Instant,
    pub(super) acknowledged: Option<Instant>,
    pub(super) served: u64,
}

impl Slot {
    /// Whether a worker is known to be on the connection.
    pub fn is_acknowledged(&self) -> bool {
        self.acknowledged.is_some()
    }

    /// Returns how many requests the connection has carried to their end.
    pub fn served(&self) -> u64 {
        self.served
    }
}
