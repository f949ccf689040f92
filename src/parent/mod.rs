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
mod reaper;
mod signals;
mod sockets;
mod state;
mod watch;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use tokio::runtime::Builder;

use driver::Driver;
use inherited::Inherited;
use signals::Signals;

/// Runs the parent until all of its servers and programs have ended; returns its exit code. Must be called before any
/// thread starts, as it changes the environment.
pub fn run(configuration: &Path) -> anyhow::Result<ExitCode> {
    let inherited = Inherited::from_environment().context("a socket that was passed")?;
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .context("cannot start")?;
    let code = runtime.block_on(async {
        let signals = Signals::new().context("cannot receive signals")?;
        let driver = Driver::new(configuration, inherited).context("cannot receive signals")?;
        driver.run(signals).await.map_err(anyhow::Error::msg)
    })?;
    Ok(ExitCode::from(code))
}
