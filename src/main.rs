//! The program: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser;
use fcgate::cli::Cli;

/// glibc keeps what a parked connection has freed, 20 KiB of it each; this gives it back. Without
/// huge pages (`no_thp`): they doubled the memory of a small gateway, and zeroing them cost CPU.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<ExitCode> {
    Cli::parse().run()
}
