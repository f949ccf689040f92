//! Announcements to the service manager.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::sockets::Set;
use super::state::Phase;
use crate::service::{Load, Notifier, State, Watchdog};

/// Interval of the status line without a watchdog.
const STATUS: Duration = Duration::from_secs(10);

/// The manager, silent where there is none.
#[derive(Debug)]
pub(super) struct Manager {
    notifier: Notifier,
    watchdog: Option<Watchdog>,
    is_there: bool,
    load: Load,
    phase: Phase,
}

impl Manager {
    /// Builds the manager; it has `stored` these listeners of the process before.
    pub(super) fn from_environment(stored: &[(&str, BorrowedFd<'_>)]) -> Self {
        let mut notifier = Notifier::from_environment();
        for (address, socket) in stored {
            notifier.restore(address, *socket);
        }
        Self {
            notifier,
            watchdog: Watchdog::from_environment(),
            is_there: std::env::var_os("NOTIFY_SOCKET").is_some(),
            load: Load::default(),
            phase: Phase::Starting,
        }
    }

    /// Returns the interval at which servers report; `None` where nobody listens.
    pub(super) fn interval(&self) -> Option<Duration> {
        let watchdog = self.watchdog.map(Watchdog::interval);
        watchdog.or_else(|| self.is_there.then_some(STATUS))
    }

    /// Announces a phase; each reload and the end once.
    pub(super) fn announce(&mut self, phase: Phase, drain: Duration) {
        let is_same = self.phase == phase;
        self.phase = phase;
        let (state, status) = match phase {
            Phase::Starting => (State::Starting, "no server serves yet".to_owned()),
            Phase::Serving => (State::Serving, self.load.to_string()),
            Phase::Reloading(_) | Phase::Stopping if is_same => return,
            Phase::Reloading(_) => (State::Reloading, "loading the configuration".to_owned()),
            Phase::Stopping => (State::Stopping(drain), "finishing requests".to_owned()),
        };
        self.notifier.announce(state, &status);
    }

    /// Feeds the watchdog: all threads of the server turn.
    pub(super) fn report_alive(&mut self, load: Load) {
        self.load = load;
        if self.watchdog.is_some() {
            self.notifier.feed_watchdog();
        }
    }

    /// Has the manager keep the sockets that were bound here.
    pub(super) fn store(&mut self, sockets: &Set) {
        self.notifier.store(&sockets.own());
    }
}
