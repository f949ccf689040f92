//! The parent: one thread, small, with the rights that the program was started with, and never a client's byte. It binds,
//! starts programs and servers, opens what a server may not, and ends when it is told.
//!
//! `state` decides, from events alone; `driver` performs.

mod bind;
mod child;
mod driver;
mod file_server;
mod granted;
mod handover;
mod inherited;
mod manager;
mod signals;
mod sockets;
mod state;
mod upgrade;
mod watch;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use tokio::runtime::Builder;

use driver::Driver;
pub use driver::Process;
pub use inherited::Inherited;
use signals::Signals;
use state::Event;
use upgrade::allow_signals;
pub use upgrade::block_signals;

/// Runs the parent until all of its servers and programs have ended; returns its exit code. With `takes_over` it goes on
/// in the place of another program of this process.
pub fn run(configuration: &Path, process: Process, takes_over: bool) -> anyhow::Result<ExitCode> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .build()
        .context("cannot start")?;
    let code = runtime.block_on(async {
        let signals = Signals::new().context("cannot receive signals")?;
        let (driver, event) = if takes_over {
            let driver = Driver::take_over(configuration, process);
            (driver.context("cannot take over")?, Event::Adopted)
        } else {
            let driver = Driver::new(configuration, process);
            (driver.context("cannot receive signals")?, Event::Begun)
        };
        allow_signals();
        driver.run(event, signals).await.map_err(anyhow::Error::msg)
    })?;
    Ok(ExitCode::from(code))
}
