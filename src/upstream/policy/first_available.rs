//! The first member of the list that can take requests; the others are backups.

use super::load::{Load, candidates};

/// Returns the index of the first candidate.
pub(super) fn pick(loads: &[Load]) -> Option<usize> {
    candidates(loads).map(|(index, _)| index).next()
}
