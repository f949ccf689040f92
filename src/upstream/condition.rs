//! How a server is, as far as the requests tell that were sent to it, and what the log says of that.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Address;
use super::demand::LeaseError;
use super::health::{Fault, Health, Standing};

/// The longest pause between two attempts to connect: a server that comes back is found within it.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// The condition of the server at an address.
#[derive(Debug)]
pub(super) struct Condition {
    address: Address,
    trouble: Mutex<Trouble>,
    /// Whether there is any: who is well is asked without a lock.
    failing: AtomicBool,
    /// Tells those who wait for any member of the upstream that this one changed.
    changes: Arc<Notify>,
}

/// What is wrong with a server.
#[derive(Debug, Default)]
struct Trouble {
    health: Health,
    /// Why connecting failed the last time; empty after a success.
    connecting: Option<Arc<io::Error>>,
    /// Why it cannot be used although it can be connected to.
    verdict: Option<Arc<str>>,
}

impl Condition {
    /// Builds that of a server that is well; `changes` is notified when it fails and when it is well again.
    pub(super) fn new(address: Address, changes: &Arc<Notify>) -> Self {
        Self {
            address,
            trouble: Mutex::default(),
            failing: AtomicBool::new(false),
            changes: Arc::clone(changes),
        }
    }

    /// Returns where the server listens.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Reports whether it failed and nothing has succeeded since.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Returns what it may be given.
    pub(super) fn standing(&self, now: Instant) -> Standing {
        if self.is_failing() {
            self.lock().health.standing(now)
        } else {
            Standing::Well
        }
    }

    /// Reports whether a request may try it now; see [`Health::try_again`].
    pub(super) fn try_again(&self, now: Instant) -> bool {
        self.lock().health.try_again(now)
    }

    /// Returns why nobody is to ask the server at the moment, where that is so.
    pub(super) fn refusal(&self, now: Instant) -> Option<LeaseError> {
        if !self.is_failing() {
            return None;
        }
        let trouble = self.lock();
        let why = trouble.verdict.as_ref()?;
        let is_due = trouble.health.standing(now).is_eligible();
        (!is_due).then(|| LeaseError::Refused {
            address: self.address.to_string(),
            why: Arc::clone(why),
        })
    }

    /// Returns why connecting failed the last time, where it did.
    pub(super) fn trouble(&self) -> Option<Arc<io::Error>> {
        self.lock().connecting.clone()
    }

    /// Notes that the server cannot be used; `why` says for what reason and what to do. Who comes is told so until it is
    /// to be tried again.
    pub(super) fn refuse(&self, why: &str) {
        let is_new = {
            let mut trouble = self.lock();
            trouble.health.failed(Fault::Protocol, Instant::now());
            trouble.verdict.replace(why.into()).is_none()
        };
        self.failing.store(true, Ordering::Relaxed);
        if is_new {
            tracing::error!(address = %self.address, "requests get 502: {why}");
        }
        self.changes.notify_waiters();
    }

    /// Notes that connecting failed. The server may come back as another version or another program: no verdict holds.
    pub(super) fn failed_to_connect(&self, error: &Arc<io::Error>) {
        self.lock().verdict = None;
        self.failed(Fault::Connect, error, Some(error));
    }

    /// Notes that it spoke something else, or refused a request by protocol; `what` it did, for the log.
    pub(super) fn has_misbehaved(&self, what: &dyn std::fmt::Display) {
        self.failed(Fault::Protocol, what, None);
    }

    fn failed(
        &self,
        fault: Fault,
        what: &dyn std::fmt::Display,
        connecting: Option<&Arc<io::Error>>,
    ) {
        let changed = {
            let mut trouble = self.lock();
            self.failing.store(true, Ordering::Relaxed);
            if let Some(connecting) = connecting {
                trouble.connecting = Some(Arc::clone(connecting));
            }
            trouble.health.failed(fault, Instant::now())
        };
        if changed {
            let waits = connecting.is_some_and(|error| is_passing(error));
            tracing::warn!(address = %self.address, error = %what, "the server fails: {}", consequence(fault, waits));
            self.changes.notify_waiters();
        }
    }

    /// Notes a success at what `fault` is the failure of. The common case, one after another, takes no lock.
    pub(super) fn succeeded(&self, fault: Fault) {
        if !self.is_failing() {
            return;
        }
        let is_well = {
            let mut trouble = self.lock();
            if fault == Fault::Connect {
                trouble.connecting = None;
            }
            let is_well = trouble.health.succeeded(fault);
            if is_well {
                trouble.connecting = None;
                trouble.verdict = None;
                self.failing.store(false, Ordering::Relaxed);
            }
            is_well
        };
        if is_well {
            tracing::info!(address = %self.address, "the server is well again");
            self.changes.notify_waiters();
        }
    }

    /// A poisoned lock guards values of which each holds by itself.
    fn lock(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Reports whether trying again may help: the server is not there yet, or its backlog is full; or we have too much open.
pub fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound, TimedOut, WouldBlock};
    matches!(
        error.kind(),
        NotFound | ConnectionRefused | ConnectionReset | WouldBlock | TimedOut
    ) || is_ours(error)
}

/// Reports whether it is nothing that the server did: too many open files, or connections.
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
