//! `fcgate run`.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::htaccess::{ADVICE, HtaccessFiles};
use crate::config::{self, ServerSettings, Snapshot};
use crate::server::{self, Inherited};
use crate::threads;

/// Loads the configuration and serves.
pub(super) fn run(file: PathBuf) -> anyhow::Result<ExitCode> {
    let snapshot = match config::load(&file, None) {
        Ok(snapshot) => snapshot,
        Err(invalid) => {
            let _ = writeln!(std::io::stderr(), "{invalid}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let _ = write!(std::io::stderr(), "{}", snapshot.warnings);
    start_log(&snapshot.server);
    log_htaccess_files(&snapshot);
    // While there is one thread.
    let inherited = Inherited::from_environment().context("a socket that was passed")?;
    let workers = snapshot.server.workers;
    let served = threads::run(workers, |threads| {
        server::run(file, snapshot, inherited, threads)
    });
    // A connection that the drain gave up has ended, with its line in the access log.
    served.context("cannot start the threads")??.write();
    Ok(ExitCode::SUCCESS)
}

/// Logs which `.htaccess` files are not read; as a warning if one restricts access.
fn log_htaccess_files(snapshot: &Snapshot) {
    let files = HtaccessFiles::below_roots(snapshot);
    match (files.has_restrictions(), files.is_worth_a_line()) {
        (true, _) => tracing::warn!("{files} ({ADVICE})"),
        (false, true) => tracing::info!("{files}"),
        (false, false) => {}
    }
}

fn start_log(server: &ServerSettings) {
    let level = server.log.parse().unwrap_or(tracing::Level::INFO);
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
