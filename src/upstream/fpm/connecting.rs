//! How a member is connected to, and what is noted of its troubles.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::errno::Errno;
use tokio::time::{Instant, sleep};

use super::admission::Class;
use super::member::Member;
use super::scout::Verdict;
use super::waiting::LeaseError;
use crate::upstream::health::Fault;
use crate::upstream::pool::Pooled;

/// The first pause after a failed attempt to connect; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest pause: a server that comes back is found within it.
pub(in crate::upstream) const LONGEST_PAUSE: Duration = Duration::from_millis(100);

impl Member {
    /// Opens a connection, trying again while `until` has not come and the trouble may pass.
    pub(super) async fn connect(
        self: &Arc<Self>,
        until: impl Fn() -> Option<Instant>,
    ) -> Result<Pooled, Arc<io::Error>> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.try_connect().await {
                Ok(connection) => return Ok(connection),
                Err(error) => {
                    let lasting = !is_passing(&error);
                    let left =
                        until().map(|deadline| deadline.saturating_duration_since(Instant::now()));
                    match left.filter(|left| !left.is_zero() && !lasting) {
                        Some(left) => sleep(pause.min(left)).await,
                        None => return Err(error),
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Connects once, and notes what came of it.
    pub(in crate::upstream) async fn try_connect(
        self: &Arc<Self>,
    ) -> Result<Pooled, Arc<io::Error>> {
        match self.pool.connect().await {
            Ok(connection) => {
                self.numbers().opened.add();
                self.succeeded(Fault::Connect);
                Ok(connection)
            }
            Err(error) => {
                self.numbers().refused.add();
                if is_ours(&error) {
                    return Err(Arc::new(error));
                }
                let error = Arc::new(error);
                // It may come back as another version or another program.
                self.classify(Class::Unknown);
                self.condition().verdict = None;
                self.failed(Fault::Connect, &error, Some(&error));
                Err(error)
            }
        }
    }

    /// Connecting failed in a way that waiting does not mend: who waits is told at once.
    pub(super) fn give_up(&self, error: &io::Error) {
        if !is_passing(error) {
            let waiters = self.account().abandon();
            drop(waiters);
        }
    }

    /// The server cannot be used, `why` says for what reason and what to do: who waits is told so, and who comes
    /// until it is to be tried again.
    pub(super) fn refuse(&self, why: &str) {
        let is_new = {
            let mut condition = self.condition();
            condition.health.failed(Fault::Protocol, Instant::now());
            condition.verdict.replace(Verdict(why.into())).is_none()
        };
        self.failing.store(true, Ordering::Relaxed);
        if is_new {
            tracing::error!(address = %self.address(), "requests get 502: {why}");
        }
        drop(self.account().abandon());
        self.changes.notify_waiters();
    }

    /// Why nobody is to ask the server at the moment, where that is so.
    pub(super) fn refusal(&self, now: Instant) -> Option<LeaseError> {
        if !self.is_failing() {
            return None;
        }
        let condition = self.condition();
        let Verdict(why) = condition.verdict.as_ref()?;
        let is_due = condition.health.standing(now).is_eligible();
        (!is_due).then(|| LeaseError::Refused {
            address: self.address().to_string(),
            why: Arc::clone(why),
        })
    }

    /// Why connecting failed the last time, where it did.
    pub(super) fn trouble(&self) -> Option<Arc<io::Error>> {
        self.condition().trouble.clone()
    }

    pub(super) fn failed(
        &self,
        fault: Fault,
        what: &dyn std::fmt::Display,
        trouble: Option<&Arc<io::Error>>,
    ) {
        let changed = {
            let mut condition = self.condition();
            self.failing.store(true, Ordering::Relaxed);
            if let Some(trouble) = trouble {
                condition.trouble = Some(Arc::clone(trouble));
            }
            condition.health.failed(fault, Instant::now())
        };
        if changed {
            let waits = trouble.is_some_and(|error| is_passing(error));
            tracing::warn!(address = %self.address(), error = %what, "the server fails: {}", consequence(fault, waits));
            self.changes.notify_waiters();
        }
    }

    /// The common case, a success after a success, takes no lock.
    pub(super) fn succeeded(&self, fault: Fault) {
        if !self.is_failing() {
            return;
        }
        let is_well = {
            let mut condition = self.condition();
            if fault == Fault::Connect {
                condition.trouble = None;
            }
            let is_well = condition.health.succeeded(fault);
            if is_well {
                condition.trouble = None;
                condition.verdict = None;
                self.failing.store(false, Ordering::Relaxed);
            }
            is_well
        };
        if is_well {
            tracing::info!(address = %self.address(), "the server is well again");
            self.changes.notify_waiters();
        }
    }
}

/// Returns what becomes of requests for a server that fails; `waits`: it may be connected to again.
fn consequence(fault: Fault, waits: bool) -> &'static str {
    match (fault, waits) {
        (Fault::Connect, true) => {
            "requests wait for it as long as timeouts.queue, or go to the others that the upstream has"
        }
        (Fault::Connect, false) => {
            "requests for it fail at once, or go to the others that the upstream has"
        }
        (Fault::Protocol, _) => {
            "requests that it gets fail, and go to the others that the upstream has"
        }
    }
}

/// Design §4.7: the server is not there yet, or its backlog is full; or we have too much open.
pub fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound, TimedOut, WouldBlock};
    matches!(
        error.kind(),
        NotFound | ConnectionRefused | ConnectionReset | WouldBlock | TimedOut
    ) || is_ours(error)
}

/// Too many open files, or connections: nothing that the server did.
fn is_ours(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(
        errno,
        None | Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)
    ) && error.kind() != io::ErrorKind::TimedOut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_requests_wait_is_said_where_they_do() {
        for (errno, waits) in [
            (Errno::ENOENT, true),
            (Errno::ECONNREFUSED, true),
            (Errno::EAGAIN, true),
            (Errno::EACCES, false),
            (Errno::EHOSTUNREACH, false),
            (Errno::EPROTOTYPE, false),
        ] {
            let passing = is_passing(&io::Error::from(errno));
            let said = consequence(Fault::Connect, passing);
            assert_eq!(said.starts_with("requests wait"), waits, "{errno}");
        }
        assert!(!consequence(Fault::Protocol, true).contains("wait"));
    }
}
