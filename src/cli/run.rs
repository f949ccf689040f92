//! `fcgate run`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::htaccess::{ADVICE, HtaccessFiles};
use crate::config;
use crate::files::Files;
use crate::line_log::stderr::Stderr;
use crate::server::{self, ExitWatchdog, Inherited, Process};
use crate::site::Snapshot;
use crate::threads;

/// Loads the configuration and serves. All messages go through the queue of the log from the start: stderr may be a
/// pipe without a reader.
pub(super) fn run(file: PathBuf) -> anyhow::Result<ExitCode> {
    // Before other threads start, as it changes the environment.
    let inherited = Inherited::from_environment();
    let exit_watchdog = ExitWatchdog::start().context("cannot receive signals")?;
    let stderr = Stderr::start().context("cannot log to stderr")?;
    let served = inherited
        .context("a socket that was passed")
        .and_then(|inherited| {
            let process = Process {
                inherited,
                log: stderr.log().clone(),
                exit_watchdog,
            };
            serve(file, &stderr, process)
        });
    Ok(served.unwrap_or_else(|error| {
        let text = format!("fcgate: {error:#}\n");
        stderr.log().append(text.as_bytes());
        ExitCode::FAILURE
    }))
}

fn serve(file: PathBuf, stderr: &Stderr, process: Process) -> anyhow::Result<ExitCode> {
    let snapshot = match config::load(&file, None, &Files::own()) {
        Ok(snapshot) => snapshot,
        Err(invalid) => {
            stderr.log().append(format!("{invalid}\n").as_bytes());
            return Ok(ExitCode::FAILURE);
        }
    };
    if !snapshot.warnings.is_empty() {
        stderr.log().append(snapshot.warnings.as_bytes());
    }
    stderr.subscribe(snapshot.server.log.parse().unwrap_or(tracing::Level::INFO));
    log_htaccess_files(&snapshot);
    let workers = snapshot.server.workers;
    let served = threads::run(workers, |threads| {
        server::run(file, snapshot, process, threads)
    });
    // A connection that the drain gave up on has ended, with its line in the access log.
    served.context("cannot start the threads")??.write();
    Ok(ExitCode::SUCCESS)
}

/// Logs the `.htaccess` files, which are not read; as a warning if one restricts access.
fn log_htaccess_files(snapshot: &Snapshot) {
    let files = HtaccessFiles::below_roots(snapshot);
    if files.has_restrictions() {
        tracing::warn!("{files} ({ADVICE})");
    } else if files.is_reportable() {
        tracing::info!("{files}");
    }
}
