//! `fcgate run`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use tracing::Level;

use crate::line_log::stderr::Stderr;
use crate::parent::{self, Inherited, Process};
use crate::process::{Attributes, Launcher};

/// Runs the parent, which starts the server. All messages go through the queue of the log from the start: stderr may be a
/// pipe without a reader.
pub(super) fn run(file: &Path, takes_over: bool) -> anyhow::Result<ExitCode> {
    parent::block_signals();
    // Before other threads start, as both change what all share: the umask and the environment.
    let launcher = Launcher::new(Attributes::capture());
    let inherited = Inherited::from_environment();
    let stderr = Stderr::start().context("cannot log to stderr")?;
    stderr.subscribe(Level::INFO);
    let ended = inherited
        .context("a socket that was passed")
        .and_then(|inherited| {
            let process = Process {
                inherited,
                launcher,
                log: stderr.error_log(),
            };
            parent::run(file, process, takes_over)
        });
    Ok(ended.unwrap_or_else(|error| {
        let text = format!("fcgate: {error:#}\n");
        stderr.error_log().append_text(Level::ERROR, &text);
        ExitCode::FAILURE
    }))
}
