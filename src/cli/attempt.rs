//! `fcgate attempt`, in builds with debug assertions alone: confines itself as the server does, and prints the results of
//! attempts, so that tests see the sandbox without a server.

use std::io::{Write, stdout};
use std::process::ExitCode;
use std::thread;

use anyhow::anyhow;

use super::{Configuration, configuration_file};
use crate::config;
use crate::line_log::stderr::Stderr;
use crate::privilege::{User, attempt};
use crate::server::confinement::{confinement, enter};

/// Arguments of `attempt`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: Configuration,
    /// The attempts, in order.
    attempts: Vec<String>,
}

/// Makes the attempts in the first thread, and again in one that starts afterwards.
pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let file = configuration_file(arguments.configuration.file);
    let snapshot = config::load(&file, None).map_err(|invalid| anyhow!("{invalid}"))?;
    let settings = &snapshot.server;
    let user = User::resolve(&settings.user, &User::own())?;
    let report = enter(&user, &confinement(&snapshot), settings)?;
    let stderr = Stderr::start()?;
    stderr.subscribe(tracing::Level::INFO);
    report.log();
    let attempts = arguments.attempts;
    print("first", &attempts)?;
    thread::scope(|scope| scope.spawn(|| print("later", &attempts)).join())
        .map_err(|_| anyhow!("the thread has panicked"))??;
    Ok(ExitCode::SUCCESS)
}

fn print(thread: &str, attempts: &[String]) -> anyhow::Result<()> {
    for attempt in attempts {
        writeln!(
            stdout(),
            "{thread}: {attempt}: {}",
            attempt::result(attempt)
        )?;
    }
    Ok(())
}
