//! `fcgate config --expanded`: the configuration with all implied rules.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::config;

/// Prints the expanded configuration, or its errors on stderr.
pub(super) fn expanded(file: &Path) -> ExitCode {
    match config::expanded(file) {
        Ok(text) => match std::io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(invalid) => {
            let _ = writeln!(std::io::stderr(), "{invalid}");
            ExitCode::FAILURE
        }
    }
}
