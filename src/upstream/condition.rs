//! The condition of a server, from the requests that were sent to it, and its log lines.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Address;
use super::demand::LeaseError;
use super::health::{Availability, Fault, Health};

/// The longest pause between two attempts to connect, within which a server that comes back is found.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The condition of the server at an address.
#[derive(Debug)]
pub(super) struct Condition {
    address: Address,
    state: Mutex<ConditionState>,
    /// Set while the server fails; checked without the lock in the common case.
    failing: AtomicBool,
    /// Notifies the requests that wait for any member of the upstream.
    changes: Arc<Notify>,
}

/// The faults of a server.
#[derive(Debug, Default)]
struct ConditionState {
    health: Health,
    /// Error of the last attempt to connect; empty after a success.
    connecting: Option<Arc<io::Error>>,
    /// Reason for which a server that accepts connections cannot be used.
    verdict: Option<Arc<str>>,
}

impl Condition {
    /// Builds the condition of an available server; `changes` is notified when it fails and when it recovers.
    pub(super) fn new(address: Address, changes: &Arc<Notify>) -> Self {
        Self {
            address,
            state: Mutex::default(),
            failing: AtomicBool::new(false),
            changes: Arc::clone(changes),
        }
    }

    /// Returns the address of the server.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Reports whether the server failed and no request has succeeded since.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Returns the availability of the server.
    pub(super) fn availability(&self, now: Instant) -> Availability {
        if self.is_failing() {
            self.lock().health.availability(now)
        } else {
            Availability::Well
        }
    }

    /// Reports whether a request may try the server now; see [`Health::claim_trial`].
    pub(super) fn claim_trial(&self, now: Instant) -> bool {
        self.lock().health.claim_trial(now)
    }

    /// Returns the error for requests while the server cannot be used and no trial is due.
    pub(super) fn refusal(&self, now: Instant) -> Option<LeaseError> {
        if !self.is_failing() {
            return None;
        }
        let state = self.lock();
        let why = state.verdict.as_ref()?;
        let is_due = state.health.availability(now).is_eligible();
        (!is_due).then(|| LeaseError::Refused {
            address: self.address.to_string(),
            why: Arc::clone(why),
        })
    }

    /// Returns the error of the last attempt to connect, if it failed.
    pub(super) fn last_connect_error(&self) -> Option<Arc<io::Error>> {
        self.lock().connecting.clone()
    }

    /// Records that the server cannot be used, with the fault and its remedy in `why`. Requests fail with this until
    /// the next trial is due.
    pub(super) fn refuse(&self, why: &str) {
        let is_new = {
            let mut state = self.lock();
            state.health.record_failure(Fault::Protocol, Instant::now());
            state.verdict.replace(why.into()).is_none()
        };
        self.failing.store(true, Ordering::Relaxed);
        if is_new {
            tracing::error!(address = %self.address, "requests get 502: {why}");
        }
        self.changes.notify_waiters();
    }

    /// Records a failed attempt to connect, and drops the verdict: the server may come back as another version or
    /// another program.
    pub(super) fn record_connect_failure(&self, error: &Arc<io::Error>) {
        self.lock().verdict = None;
        self.record_failure(Fault::Connect, error, Some(error));
    }

    /// Records a violation of the protocol, or a refusal by protocol; `what` is for the log.
    pub(super) fn record_violation(&self, what: &dyn std::fmt::Display) {
        self.record_failure(Fault::Protocol, what, None);
    }

    fn record_failure(
        &self,
        fault: Fault,
        what: &dyn std::fmt::Display,
        connecting: Option<&Arc<io::Error>>,
    ) {
        let changed = {
            let mut state = self.lock();
            self.failing.store(true, Ordering::Relaxed);
            if let Some(connecting) = connecting {
                state.connecting = Some(Arc::clone(connecting));
            }
            state.health.record_failure(fault, Instant::now())
        };
        if changed {
            let waits = connecting.is_some_and(|error| is_passing(error));
            tracing::warn!(address = %self.address, error = %what, "the server fails: {}", consequence(fault, waits));
            self.changes.notify_waiters();
        }
    }

    /// Records a success of the operation that `fault` names. Takes no lock in the common case, success after
    /// success.
    pub(super) fn record_success(&self, fault: Fault) {
        if !self.is_failing() {
            return;
        }
        let is_well = {
            let mut state = self.lock();
            if fault == Fault::Connect {
                state.connecting = None;
            }
            let is_well = state.health.record_success(fault);
            if is_well {
                state.connecting = None;
                state.verdict = None;
                self.failing.store(false, Ordering::Relaxed);
            }
            is_well
        };
        if is_well {
            tracing::info!(address = %self.address, "the server has recovered");
            self.changes.notify_waiters();
        }
    }

    /// Locks the state. A poisoned lock guards values that are independent of each other.
    fn lock(&self) -> MutexGuard<'_, ConditionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the consequence of a failure for requests, for the log; `waits`: connecting again may succeed.
fn consequence(fault: Fault, waits: bool) -> &'static str {
    match (fault, waits) {
        (Fault::Connect, true) => {
            "requests wait for it up to timeouts.queue, or go to other servers of the upstream"
        }
        (Fault::Connect, false) => "requests fail at once, or go to other servers of the upstream",
        (Fault::Protocol, _) => "its requests fail; others go to other servers of the upstream",
    }
}

/// Reports whether connecting again may succeed: the server is not there yet, its backlog is full, or we have too
/// many descriptors open.
pub fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound, TimedOut, WouldBlock};
    matches!(
        error.kind(),
        NotFound | ConnectionRefused | ConnectionReset | WouldBlock | TimedOut
    ) || is_ours(error)
}

/// Reports whether the error is one of this process: too many open files, or connections.
pub(super) fn is_ours(error: &io::Error) -> bool {
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
    fn the_log_line_names_the_wait_only_where_requests_wait() {
        for (errno, waits) in [
            (Errno::ENOENT, true),
            (Errno::ECONNREFUSED, true),
            (Errno::EAGAIN, true),
            (Errno::EACCES, false),
            (Errno::EHOSTUNREACH, false),
            (Errno::EPROTOTYPE, false),
        ] {
            let passing = is_passing(&io::Error::from(errno));
            let message = consequence(Fault::Connect, passing);
            assert_eq!(message.starts_with("requests wait"), waits, "{errno}");
        }
        assert!(!consequence(Fault::Protocol, true).contains("wait"));
    }
}
