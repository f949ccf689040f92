//! One moment of a member, for people and metrics.

use std::time::Duration;

use super::admission::Class;
use super::member::Member;

/// One moment of a member.
#[derive(Clone, Copy, Debug)]
pub struct Picture {
    /// What it does with a probe.
    pub class: Class,
    /// It failed, and nothing has succeeded since.
    pub failing: bool,
    /// Connections that serve, or are being opened.
    pub busy: usize,
    /// Those of them that a worker has acknowledged.
    pub serving: usize,
    /// Those whose answer is whole and whose worker is not done.
    pub cooling: usize,
    /// Connections that idle.
    pub idle: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Clients whose requests wait.
    pub waiting_clients: usize,
    /// How long the request has waited that has waited longest.
    pub longest_wait: Duration,
    /// From 0 to 1; see `Admission::saturation`.
    pub saturation: f64,
}

impl Member {
    /// How it stands at this moment, for people and metrics.
    pub fn picture(&self) -> Picture {
        let failing = self.is_failing();
        let account = self.account();
        let (waiting_clients, longest) = account.waiting_clients();
        Picture {
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
