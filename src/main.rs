//! The program: arguments in, exit code out.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use fcgate::allocator::Allocator;
use fcgate::cli::Cli;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Runs the command, and prints an error as one line: a stack trace does not help to free a port.
fn main() -> ExitCode {
    Cli::parse().run().unwrap_or_else(|error| {
        // A closed stderr leaves no place for the message.
        let _ = writeln!(std::io::stderr(), "fcgate: {error:#}");
        ExitCode::FAILURE
    })
}
