//! `fcgate run`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

use crate::line_log::stderr::Stderr;
use crate::parent;

/// Runs the parent, which starts the server. All messages go through the queue of the log from the start: stderr may be a
/// pipe without a reader.
pub(super) fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let stderr = Stderr::start().context("cannot log to stderr")?;
    stderr.subscribe(tracing::Level::INFO);
    let ended = parent::run(file);
    Ok(ended.unwrap_or_else(|error| {
        let text = format!("fcgate: {error:#}\n");
        stderr.log().append(text.as_bytes());
        ExitCode::FAILURE
    }))
}
