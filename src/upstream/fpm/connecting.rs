//! Connecting to a member.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::admission::Class;
use super::denied;
use super::member::Member;
use crate::upstream::condition::{LONGEST_PAUSE, is_ours, is_passing};
use crate::upstream::demand::LeaseError;
use crate::upstream::health::Fault;
use crate::upstream::pool::Pooled;

/// The first pause after a failed attempt to connect; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

impl Member {
    /// Opens a connection, with retries until `until` while the error may be temporary.
    pub(super) async fn connect(
        self: &Arc<Self>,
        until: impl Fn() -> Option<Instant>,
    ) -> Result<Pooled, Arc<io::Error>> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.try_connect().await {
                Ok(connection) => return Ok(connection),
                Err(error) => {
                    let is_permanent = !is_passing(&error);
                    let left =
                        until().map(|deadline| deadline.saturating_duration_since(Instant::now()));
                    match left.filter(|left| !left.is_zero() && !is_permanent) {
                        Some(left) => sleep(pause.min(left)).await,
                        None => return Err(error),
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Connects once, and records the result.
    pub(super) async fn try_connect(self: &Arc<Self>) -> Result<Pooled, Arc<io::Error>> {
        match self.pool.connect().await {
            Ok(connection) => {
                self.numbers().opened.add();
                self.condition.record_success(Fault::Connect);
                Ok(connection)
            }
            Err(error) => {
                self.numbers().refused.add();
                let is_ours = is_ours(&error);
                let error = Arc::new(error);
                if !is_ours {
                    // The server may come back as another version or another program.
                    self.classify(Class::Unknown);
                    self.condition.record_connect_failure(&error);
                }
                Err(error)
            }
        }
    }

    /// Fails all waiting requests if `error` is one that no retry resolves.
    pub(super) fn fail_waiting(&self, error: &io::Error) {
        if !is_passing(error) {
            let waiters = self.account().abandon();
            drop(waiters);
        }
    }

    /// Marks the server as unusable, for the fault and with the remedy in `why`. Waiting requests fail with it, and
    /// so do new ones until the next trial is due.
    pub(super) fn refuse(&self, why: &str) {
        self.condition.refuse(why);
        drop(self.account().abandon());
    }

    /// Returns the error of a request that found no connection.
    pub(super) fn connect_error(&self, error: Arc<io::Error>) -> LeaseError {
        let address = self.address().to_string();
        if error.kind() == io::ErrorKind::PermissionDenied {
            LeaseError::Denied {
                why: denied::explain(self.address()),
                address,
                error,
            }
        } else {
            LeaseError::Down { address, error }
        }
    }
}
