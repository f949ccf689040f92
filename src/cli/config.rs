//! `fcgate config --expanded`: the whole configuration with all that it means.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::config;

/// Prints it, or says on stderr what is wrong with it.
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
