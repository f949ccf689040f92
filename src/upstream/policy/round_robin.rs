//! Round robin. A member that cannot take requests has no turn, so that the others share its part evenly, and not all
//! of it falls to the next.

use super::load::{Load, candidates};

/// Returns the index of the candidate whose turn it is; `turn` counts the requests.
pub(super) fn pick(loads: &[Load], turn: usize) -> Option<usize> {
    let fit = candidates(loads);
    let index = turn.checked_rem(fit.clone().count())?;
    fit.map(|(index, _)| index).nth(index)
}
