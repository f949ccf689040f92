//! Programs that run on while fcgate executes another version of itself: the process ID stays, and so do its children.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::back_off::BackOff;
use super::program::Program;

/// State of all programs, for the version of fcgate that follows in this process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Handover {
    pub(super) programs: Vec<HandedOver>,
    /// The program of each output pipe.
    pub(super) outputs: Vec<String>,
}

impl Handover {
    /// Returns the programs that are to run on.
    pub(super) fn wanted(&self) -> Vec<Program> {
        let stays = |handed: &&HandedOver| !matches!(handed.condition, Condition::Stopping { .. });
        let programs = self.programs.iter().filter(stays);
        programs.map(|handed| handed.program.clone()).collect()
    }
}

/// State of one program. Times are relative: execve(2) takes milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct HandedOver {
    pub(super) program: Program,
    pub(super) back_off: BackOff,
    pub(super) condition: Condition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Condition {
    /// It is started after the time that is left.
    Resting { left: Duration },
    /// It has run for this time.
    Running { pid: i32, ran: Duration },
    /// It has its stop signal, and is killed after the time that is left.
    Stopping { pid: i32, left: Duration },
}
