//! The member with the fewest requests, running and waiting; among equals the first.

use super::load::{Load, candidates};

/// Returns the index of the least busy candidate.
pub(super) fn pick(loads: &[Load]) -> Option<usize> {
    candidates(loads)
        .min_by_key(|(_, load)| load.busy + load.waiting)
        .map(|(index, _)| index)
}
