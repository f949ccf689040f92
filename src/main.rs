//! The program: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use fcgate::cli::Cli;

fn main() -> anyhow::Result<ExitCode> {
    Cli::parse().run()
}
