//! The parent: one thread, small, with the rights that the program was started with, and never a client's byte. It binds,
//! starts programs and servers, opens what a server may not, and ends when it is told.
//!
//! [`state`] decides, from events alone; [`driver`] performs.

mod bind;
mod child;
mod driver;
mod file_server;
mod granted;
mod inherited;
mod manager;
mod signals;
mod sockets;
mod state;
mod watch;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use tokio::runtime::Builder;

use crate::line_log::stderr::ErrorLog;
use crate::process::Launcher;
use driver::Driver;
pub use inherited::Inherited;
use signals::Signals;

/// State of the process before it becomes the parent.
#[derive(Debug)]
pub struct Process {
    /// Sockets that were passed to it.
    pub inherited: Inherited,
    /// Starts programs.
    pub launcher: Launcher,
    /// The log of the parent.
    pub log: ErrorLog,
}

/// Runs the parent until all of its servers and programs have ended; returns its exit code.
pub fn run(configuration: &Path, process: Process) -> anyhow::Result<ExitCode> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .context("cannot start")?;
    let code = runtime.block_on(async {
        let signals = Signals::new().context("cannot receive signals")?;
        let driver = Driver::new(configuration, process).context("cannot receive signals")?;
        driver.run(signals).await.map_err(anyhow::Error::msg)
    })?;
    Ok(ExitCode::from(code))
}
