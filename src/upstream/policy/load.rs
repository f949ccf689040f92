//! The input of a policy.

use crate::upstream::health::Availability;

/// The load of a member, and the reasons to avoid it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Connections in use.
    pub busy: usize,
    /// Requests in the queue.
    pub waiting: usize,
    /// Set if its queue is full.
    pub is_full: bool,
    /// Set if this request has just failed there.
    pub has_failed: bool,
    /// Its availability.
    pub availability: Availability,
}

impl Load {
    /// Returns the penalties, the heaviest first; less is better.
    pub(super) fn penalties(&self) -> (bool, bool, bool) {
        (
            !self.availability.is_eligible(),
            self.has_failed,
            self.is_full,
        )
    }
}

/// Returns the members with the least penalties, in their order.
pub(super) fn candidates(loads: &[Load]) -> impl Iterator<Item = (usize, &Load)> + Clone {
    let least = loads.iter().map(Load::penalties).min();
    loads
        .iter()
        .enumerate()
        .filter(move |(_, load)| Some(load.penalties()) == least)
}
