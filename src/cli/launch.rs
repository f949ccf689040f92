//! `fcgate launch`: becomes a program of `[process.NAME]`. Only the supervisor of programs runs it.

use std::process::ExitCode;

use crate::process;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The program, its user and its limits, as JSON.
    order: String,
}

/// Executes the program. Returns only if that fails.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    process::launch(&arguments.order);
    ExitCode::FAILURE
}
