//! The program: arguments in, exit code out.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use fcgate::allocator::Allocator;
use fcgate::cli::Cli;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// What went wrong is one line for people: a stack trace is of use to nobody who has to free a port.
fn main() -> ExitCode {
    Cli::parse().run().unwrap_or_else(|error| {
        // Where stderr is closed there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "fcgate: {error:#}");
        ExitCode::FAILURE
    })
}
