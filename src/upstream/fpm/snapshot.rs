//! A snapshot of a member, for status pages and metrics.

use std::time::Duration;

use super::admission::Class;
use super::member::Member;

/// A snapshot of a member.
#[derive(Clone, Copy, Debug)]
pub struct MemberSnapshot {
    /// Its reaction to a probe.
    pub class: Class,
    /// Set from a failure until the next success.
    pub failing: bool,
    /// Connections that serve or are being opened.
    pub busy: usize,
    /// Part of `busy`: acknowledged by a worker.
    pub serving: usize,
    /// Part of `busy`: the answer is complete and the worker is not done.
    pub cooling: usize,
    /// Idle connections.
    pub idle: usize,
    /// Waiting requests.
    pub waiting: usize,
    /// Clients with waiting requests.
    pub waiting_clients: usize,
    /// Age of the oldest waiting request.
    pub longest_wait: Duration,
    /// Saturation from 0 to 1; see `Admission::saturation`.
    pub saturation: f64,
}

impl Member {
    /// Returns a snapshot, for status pages and metrics.
    pub fn snapshot(&self) -> MemberSnapshot {
        let failing = self.condition.is_failing();
        let account = self.account();
        let (waiting_clients, longest) = account.waiting_clients();
        MemberSnapshot {
            class: account.class(),
            failing,
            busy: account.busy(),
            serving: account.serving(),
            cooling: account.cooling(),
            idle: account.idle(),
            waiting: account.waiting(),
            waiting_clients,
            longest_wait: longest.map_or(Duration::ZERO, |since| since.elapsed()),
            saturation: account.saturation(),
        }
    }
}
