//! `fcgate reference`: config/reference.toml, from the same tables that the decoder uses.

use std::io::Write;
use std::process::ExitCode;

use crate::config::ROOT;
use crate::section::reference;

/// Prints it.
pub(super) fn print() -> ExitCode {
    match std::io::stdout().write_all(reference(&ROOT).as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
