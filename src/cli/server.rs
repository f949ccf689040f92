//! `fcgate server`: a server, started by the parent with its socket as standard input.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use tracing::Level;

use super::htaccess::{ADVICE, HtaccessFiles};
use crate::config::Invalid;
use crate::control::Intent;
use crate::line_log::stderr::Stderr;
use crate::server::{self, Boot, ExitWatchdog, Process};
use crate::site::Snapshot;
use crate::threads;

/// Loads the configuration with the rights of the parent, gives them up, and serves. All messages go through the queue
/// of the log from the start: stderr may be a pipe without a reader.
pub(super) fn server(file: PathBuf) -> anyhow::Result<ExitCode> {
    let exit_watchdog = ExitWatchdog::start().context("cannot receive signals")?;
    let stderr = Stderr::start().context("cannot log to stderr")?;
    let served = serve(file, &stderr, exit_watchdog);
    Ok(served.unwrap_or_else(|error| {
        let text = format!("fcgate: {error:#}\n");
        stderr.error_log().append_text(Level::ERROR, &text);
        ExitCode::FAILURE
    }))
}

fn serve(file: PathBuf, stderr: &Stderr, exit_watchdog: ExitWatchdog) -> anyhow::Result<ExitCode> {
    let boot = Boot::begin().context("`fcgate server` is started by `fcgate run`")?;
    let snapshot = match boot.load(&file) {
        Ok(snapshot) => snapshot,
        Err(invalid) => {
            log_errors(&invalid, boot.intent(), stderr);
            boot.refuse(&invalid)?;
            return Ok(ExitCode::FAILURE);
        }
    };
    stderr.subscribe(Level::INFO);
    stderr.error_log().apply(&snapshot.logs.settings, None);
    log_warnings(&snapshot, boot.intent(), stderr);
    boot.send_grant(&snapshot)?;
    let Some(sockets) = boot.receive_sockets()? else {
        return Ok(ExitCode::SUCCESS);
    };
    if boot.intent() != Intent::Restart {
        log_htaccess_files(&snapshot);
    }
    let process = Process {
        sockets,
        log: stderr.error_log(),
        exit_watchdog,
    };
    let workers = snapshot.server.workers;
    let served = threads::run(workers, |threads| {
        server::run(boot.finish(file), snapshot, process, threads)
    });
    // A connection that the drain gave up on has ended, with its line in the access log.
    served.context("cannot start the threads")??.write();
    Ok(ExitCode::SUCCESS)
}

/// Logs the errors of a configuration: as `fcgate check` prints them, if nothing serves yet.
fn log_errors(invalid: &Invalid, intent: Intent, stderr: &Stderr) {
    match intent {
        Intent::Start | Intent::Restart => stderr.log().append(format!("{invalid}\n").as_bytes()),
        Intent::Preview => {}
        Intent::Reload | Intent::Upgrade => {
            stderr.subscribe(Level::ERROR);
            tracing::error!(
                "reload refused, configuration unchanged: the configuration is invalid\n{invalid}"
            );
        }
    }
}

/// Logs the warnings of a configuration likewise.
fn log_warnings(snapshot: &Snapshot, intent: Intent, stderr: &Stderr) {
    let warnings = &snapshot.warnings;
    match intent {
        _ if warnings.is_empty() => {}
        Intent::Start | Intent::Restart => stderr.error_log().append_text(Level::WARN, warnings),
        Intent::Preview => {}
        Intent::Reload | Intent::Upgrade => {
            tracing::warn!("the configuration has warnings\n{warnings}");
        }
    }
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
