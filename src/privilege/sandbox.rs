//! The sandbox: Landlock and seccomp together.

use std::io;

use super::confinement::Confinement;
use super::report::{Part, Report};
use super::user::User;
use super::{landlock, seccomp, threads};

/// The `sandbox` key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// As far as the kernel has it.
    #[default]
    On,
    /// All of it, or no start.
    Require,
    /// None.
    Off,
}

/// A sandbox that cannot be entered.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// Other threads would stay outside.
    #[error("cannot enter the sandbox: {0}")]
    Threads(io::Error),
    /// A part is missing, with `sandbox = "require"`.
    #[error(
        "server.sandbox = \"require\", and a part of the sandbox is missing: {0}. With sandbox = \"on\" fcgate starts without it"
    )]
    Missing(String),
}

/// Confines this process to `confinement`. Must be called before another thread starts, and after the process has become
/// its user: the sandbox refuses a change of users.
pub fn confine(confinement: &Confinement, sandbox: Sandbox) -> Result<Report, ConfineError> {
    let mut report = Report::new(User::own(), confinement);
    if sandbox == Sandbox::Off {
        return Ok(report);
    }
    threads::wait_until_alone().map_err(ConfineError::Threads)?;
    match landlock::restrict(confinement) {
        Ok(restricted) => {
            report.landlock = Part::Holds(restricted.abi);
            report.unreachable = restricted.unreachable;
        }
        Err(reason) => report.landlock = Part::Missing(reason),
    }
    report.seccomp = match seccomp::restrict(confinement.names) {
        Ok(calls) => Part::Holds(calls),
        Err(reason) => Part::Missing(reason),
    };
    match report.missing() {
        Some(missing) if sandbox == Sandbox::Require => Err(ConfineError::Missing(missing)),
        Some(_) | None => Ok(report),
    }
}
