//! The workers known to be busy.

use tokio::time::Instant;

use super::{Admission, Class, PROMPT};

impl<C, W> Admission<C, W> {
    /// Reports whether requests wait for a worker: here, or in the server's own queue for longer than a free one
    /// takes.
    pub fn is_waited_for(&self, now: Instant) -> bool {
        let is_late = |(_, since): &(u64, Instant)| now.duration_since(*since) >= PROMPT;
        self.waiting() > 0 || self.unacknowledged.iter().any(is_late)
    }

    /// Returns the number of connections in use that a worker has acknowledged; 0 without acknowledgements.
    pub fn serving(&self) -> usize {
        match self.class {
            Class::Kept => self.busy().saturating_sub(self.unacknowledged.len()),
            Class::Unknown | Class::Multiplexed | Class::Closes | Class::Silent => 0,
        }
    }
}
