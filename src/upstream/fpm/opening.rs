//! Opening the connection of a lease.

use tokio::time::{Instant, sleep, timeout_at};

use super::admission::Class;
use super::lease::{Lease, Waits};
use super::scout;
use crate::upstream::condition::LONGEST_PAUSE;
use crate::upstream::demand::{Deadline, LeaseError};

impl Lease {
    /// Connects, with retries until the deadline while the server is not there.
    pub(super) async fn open(mut self, deadline: Deadline) -> Result<Self, LeaseError> {
        let begun = Instant::now();
        loop {
            let connected = self.member().connect(|| Some(deadline.at())).await;
            let connection = connected.map_err(|error| self.member().connect_error(error))?;
            self.set_connection(Some(connection));
            if self.member().class() == Class::Unknown {
                let classified = timeout_at(deadline.at(), scout::classify(&mut self)).await;
                classified.map_err(|_| self.member().queue_timeout(deadline))?;
            }
            if self.is_open() {
                break;
            }
            if let Some(refusal) = self.member().condition.refusal(Instant::now()) {
                return Err(refusal);
            }
            if Instant::now() >= deadline.at() {
                return Err(self.member().queue_timeout(deadline));
            }
            if self.member().class() == Class::Unknown {
                sleep(LONGEST_PAUSE).await;
            }
        }
        self.waits = Waits {
            queue: begun.duration_since(deadline.since),
            connect: begun.elapsed(),
        };
        Ok(self)
    }
}
