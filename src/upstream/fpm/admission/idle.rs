//! Idle connections, each with the thread whose reactor watches it, where its next request wakes no other thread.

use tokio::time::Instant;

use super::Slot;
use crate::threads::Home;

/// An idle connection.
#[derive(Debug)]
pub(super) struct Idle<C> {
    pub(super) connection: C,
    pub(super) home: Home,
    pub(super) slot: Slot,
    pub(super) since: Instant,
}

/// All idle connections, the last used last.
#[derive(Debug)]
pub(super) struct Idles<C>(Vec<Idle<C>>);

impl<C> Idles<C> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, idle: Idle<C>) {
        self.0.push(idle);
    }

    /// Removes and returns the last used of the thread `home`, else of any.
    pub(super) fn take(&mut self, home: Home) -> Option<Idle<C>> {
        let near = self.0.iter().rposition(|idle| idle.home == home);
        let last = near.or_else(|| self.0.len().checked_sub(1))?;
        Some(self.0.remove(last))
    }

    /// Removes the entries for which `over` holds, and returns their connections.
    pub(super) fn extract(&mut self, mut over: impl FnMut(&Idle<C>) -> bool) -> Vec<C> {
        let over = self.0.extract_if(.., |idle| over(idle));
        over.map(|idle| idle.connection).collect()
    }
}
