//! The signals of the parent.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::state::{Event, Request};
use crate::control::Intent;

/// The handled signals.
#[derive(Debug)]
pub(super) struct Signals {
    hangup: Signal,
    user1: Signal,
    user2: Signal,
    terminate: Signal,
    interrupt: Signal,
}

/// Effect of a signal.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    On(Event),
    ReopenLogs,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn next(&mut self) -> Effect {
        tokio::select! {
            _ = self.hangup.recv() => Effect::On(Event::Asked(Request::of(Intent::Reload))),
            _ = self.user1.recv() => Effect::ReopenLogs,
            _ = self.user2.recv() => Effect::On(Event::Asked(Request::of(Intent::Upgrade))),
            _ = self.terminate.recv() => Effect::On(Event::Stop),
            _ = self.interrupt.recv() => Effect::On(Event::Stop),
        }
    }
}
