//! `fcgate config --expanded`: the configuration as it holds, in one file.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::config;

/// Prints it, or all that is wrong with it.
pub(super) fn print(file: &Path) -> ExitCode {
    if let Err(invalid) = config::load(file, None) {
        let _ = writeln!(std::io::stderr(), "{invalid}");
        return ExitCode::FAILURE;
    }
    match config::expanded(file) {
        Ok(text) => {
            // A closed stdout changes nothing about the verdict.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(invalid) => {
            let _ = writeln!(std::io::stderr(), "{invalid}");
            ExitCode::FAILURE
        }
    }
}
