//! Effects for the driver.

use std::time::Duration;

use super::event::{Id, Origin};
use crate::control::{Intent, Outcome};

/// An effect for the driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Spawn(Id, Intent),
    /// Send all sockets; the server gives up its rights and serves.
    Serve(Id),
    /// Send the configuration of `from` to the server `to`.
    Swap {
        from: Id,
        to: Id,
        is_preview: bool,
    },
    /// The candidate is not needed.
    Leave(Id),
    /// Put the configuration of this server in force: its programs, sockets and watched files.
    Enforce(Id),
    /// Let a server drain, which another has replaced.
    Drain(Id),
    /// SIGTERM.
    Terminate(Id),
    /// SIGKILL.
    Kill(Id),
    Answer(Origin, Outcome),
    /// Have the current server count a refused reload.
    CountRefused,
    /// Report `Due` after the pause.
    RestartAfter(Duration),
    /// Begin the time limit of the end, short after a second signal.
    LimitEnd {
        is_short: bool,
    },
    /// Execute the new program, whose server serves, in place of this one.
    Execute,
    Log(Level, String),
    /// The reason that nothing can be served.
    Fail(String),
    /// All servers have ended. Stop the programs, or kill them, and exit.
    Finish {
        code: u8,
        is_killing: bool,
    },
}

/// Level of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Error,
}
