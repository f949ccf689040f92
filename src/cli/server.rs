//! `fcgate server`: a server, started by the parent with its socket as standard input.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use tracing::Level;

use super::htaccess::{ADVICE, HtaccessFiles};
use crate::config::{self, Invalid};
use crate::control::Intent;
use crate::line_log::stderr::Stderr;
use crate::privilege::{Confinement, Report, Sandbox, User};
use crate::server::confinement::{confinement, enter};
use crate::server::{self, Boot, ExitWatchdog, Process, Sockets};
use crate::site::Snapshot;
use crate::threads;

/// Loads the configuration with the rights of the parent, gives them up, and serves. No thread starts before that, since
/// rights belong to threads. Messages go through the queue of the log: stderr may be a pipe without a reader.
pub(super) fn server(file: PathBuf) -> anyhow::Result<ExitCode> {
    let mut boot = Boot::begin().context("`fcgate server` is started by `fcgate run`")?;
    let prepared = prepare(&mut boot, &file);
    let stderr = Stderr::start().context("cannot log to stderr")?;
    let served = match prepared {
        Ok(Some(prepared)) => serve(file, boot, prepared, &stderr),
        Ok(None) => Ok(ExitCode::SUCCESS),
        Err(Refusal::Configuration(invalid)) => refuse(&boot, &invalid, &stderr),
        Err(Refusal::Other(error)) => Err(error),
    };
    Ok(served.unwrap_or_else(|error| {
        let text = format!("fcgate: {error:#}\n");
        stderr.error_log().append_text(Level::ERROR, &text);
        ExitCode::FAILURE
    }))
}

/// A server that has given up its rights.
struct Prepared {
    snapshot: Snapshot,
    sockets: Sockets,
    report: Report,
    confinement: Option<Confinement>,
    exit_watchdog: ExitWatchdog,
}

/// Reason of a server that does not serve.
enum Refusal {
    Configuration(Invalid),
    Other(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// Loads the configuration, receives the sockets, and gives up the rights. `None` if the parent needs no server any more.
fn prepare(boot: &mut Boot, file: &Path) -> Result<Option<Prepared>, Refusal> {
    let snapshot = boot.load(file).map_err(Refusal::Configuration)?;
    let user = User::resolve(&snapshot.server.user, &User::own())?;
    let confinement = confinement(&snapshot);
    boot.send_grant(&snapshot, &confinement)?;
    let Some(sockets) = boot.receive_sockets()? else {
        return Ok(None);
    };
    let sandbox = snapshot.server.sandbox;
    let report = enter(&user, &confinement, &snapshot.server)?;
    boot.give_up_files();
    let exit_watchdog = ExitWatchdog::start().context("cannot receive signals")?;
    Ok(Some(Prepared {
        snapshot,
        sockets,
        report,
        confinement: (sandbox != Sandbox::Off).then_some(confinement),
        exit_watchdog,
    }))
}

fn serve(
    file: PathBuf,
    boot: Boot,
    prepared: Prepared,
    stderr: &Stderr,
) -> anyhow::Result<ExitCode> {
    let snapshot = prepared.snapshot;
    stderr.subscribe(Level::INFO);
    stderr.error_log().apply(&snapshot.logs.settings, None);
    log_warnings(&snapshot, boot.intent(), stderr);
    if boot.is_last_in_force() {
        tracing::error!(
            "the configuration has errors now (fcgate check): the last one in force is served"
        );
    }
    if boot.intent() != Intent::Restart {
        log_htaccess_files(&snapshot);
        prepared.report.log();
        for message in config::denied_folders(&snapshot) {
            tracing::warn!("{message}");
        }
    }
    let process = Process {
        sockets: prepared.sockets,
        log: stderr.error_log(),
        confinement: prepared.confinement,
        exit_watchdog: prepared.exit_watchdog,
    };
    let workers = snapshot.server.workers;
    let served = threads::run(workers, |threads| {
        server::run(boot.finish(file), snapshot, process, threads)
    });
    // A connection that the drain gave up on has ended, with its line in the access log.
    served.context("cannot start the threads")??.write();
    Ok(ExitCode::SUCCESS)
}

/// Logs the errors of a configuration: as `fcgate check` prints them, if nothing serves yet; and tells the parent.
fn refuse(boot: &Boot, invalid: &Invalid, stderr: &Stderr) -> anyhow::Result<ExitCode> {
    match boot.intent() {
        Intent::Start | Intent::Restart => stderr.log().append(format!("{invalid}\n").as_bytes()),
        Intent::Preview => {}
        Intent::Reload => {
            stderr.subscribe(Level::ERROR);
            tracing::error!(
                "reload refused, configuration unchanged: the configuration is invalid\n{invalid}"
            );
        }
        Intent::Upgrade => {
            stderr.subscribe(Level::ERROR);
            tracing::error!(
                "upgrade refused, the running program goes on: the configuration is invalid\n{invalid}"
            );
        }
    }
    boot.refuse(invalid)?;
    Ok(ExitCode::FAILURE)
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
