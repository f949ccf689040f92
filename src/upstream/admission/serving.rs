//! What is known to be at work.

use super::{Admission, Class};

impl<C, W> Admission<C, W> {
    /// Connections in use that a worker has acknowledged; 0 where nothing is acknowledged.
    pub fn serving(&self) -> usize {
        match self.class {
            Class::Kept => self.busy().saturating_sub(self.unacknowledged.len()),
            Class::Unknown | Class::Multiplexed | Class::Closes | Class::Silent => 0,
        }
    }
}
