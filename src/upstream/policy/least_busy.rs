//! The member with the fewest requests, running and waiting; among equals the first.

/// What a member has to do: requests that run and requests that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Connections in use.
    pub busy: usize,
    /// Requests in the queue.
    pub waiting: usize,
    /// Connecting failed the last time.
    pub failing: bool,
}

/// The index of the least busy member; members that fail only where all do. `None` without any.
pub fn pick(loads: &[Load]) -> Option<usize> {
    loads
        .iter()
        .enumerate()
        .min_by_key(|(_, load)| (load.failing, load.busy + load.waiting))
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_busy_working_member_is_picked() {
        let load = |busy, waiting, failing| Load {
            busy,
            waiting,
            failing,
        };
        assert_eq!(pick(&[]), None);
        assert_eq!(
            pick(&[load(3, 0, false), load(1, 1, false), load(2, 0, false)]),
            Some(1)
        );
        assert_eq!(pick(&[load(0, 0, true), load(9, 9, false)]), Some(1));
        assert_eq!(pick(&[load(2, 0, true), load(1, 0, true)]), Some(1));
    }
}
