//! A program as plain data: part of what a server is granted.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::privilege::User;

/// A program described by a `[process.NAME]` section. A reload keeps one that is unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its name in the configuration and in the log.
    pub name: String,
    pub(super) path: String,
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) user: User,
    pub(super) stop_signal: StopSignal,
    /// Time from `stop_signal` to SIGKILL.
    pub(super) stop: Duration,
}

/// The signal that stops a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum StopSignal {
    Terminate,
    Quit,
    Interrupt,
}

impl From<StopSignal> for Signal {
    fn from(signal: StopSignal) -> Self {
        match signal {
            StopSignal::Terminate => Self::SIGTERM,
            StopSignal::Quit => Self::SIGQUIT,
            StopSignal::Interrupt => Self::SIGINT,
        }
    }
}
