//! `fcgate check [-c FILE]`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use super::htaccess::HtaccessFiles;
use crate::config;
use crate::files::Files;

/// Loads the configuration, and prints `ok` or all its errors.
pub(super) fn check(file: &Path) -> ExitCode {
    match config::load(file, None, &Files::own()) {
        Ok(snapshot) => {
            let _ = write!(std::io::stderr(), "{}", snapshot.warnings);
            let files = HtaccessFiles::below_roots(&snapshot);
            if files.is_reportable() {
                let _ = writeln!(std::io::stderr(), "warning: {files}");
            }
            // A closed stdout does not change the exit code.
            let _ = writeln!(std::io::stdout(), "{}: ok", file.display());
            ExitCode::SUCCESS
        }
        Err(invalid) => {
            let _ = writeln!(std::io::stderr(), "{invalid}");
            ExitCode::FAILURE
        }
    }
}
