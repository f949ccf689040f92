//! What a policy knows of a member.

use crate::upstream::health::Standing;

/// What a member has to do, and what speaks against giving it more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Connections in use.
    pub busy: usize,
    /// Requests in the queue.
    pub waiting: usize,
    /// Its queue is full.
    pub full: bool,
    /// This request has just failed there.
    pub failed: bool,
    /// Its health.
    pub standing: Standing,
}

impl Load {
    /// What speaks against it, the worst first; less is better.
    pub(super) fn objections(&self) -> (bool, bool, bool) {
        (!self.standing.is_eligible(), self.failed, self.full)
    }
}

/// The members that nothing speaks against, or the least; in their order.
pub(super) fn candidates(loads: &[Load]) -> impl Iterator<Item = (usize, &Load)> + Clone {
    let least = loads.iter().map(Load::objections).min();
    loads
        .iter()
        .enumerate()
        .filter(move |(_, load)| Some(load.objections()) == least)
}
