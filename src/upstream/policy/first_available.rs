//! The first member of the list that can take requests: the others stand by.

use super::load::{Load, candidates};

/// The index of the first candidate.
pub(super) fn pick(loads: &[Load]) -> Option<usize> {
    candidates(loads).map(|(index, _)| index).next()
}
