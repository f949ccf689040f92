//! The program: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use fcgate::allocator::Allocator;
use fcgate::cli::Cli;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

fn main() -> anyhow::Result<ExitCode> {
    Cli::parse().run()
}
