//! `fcgate reference`: config/reference.toml, generated from the tables of the decoder.

use std::io::Write;
use std::process::ExitCode;

use crate::config::ROOT;
use crate::section::reference;

/// Prints the reference.
pub(super) fn print() -> ExitCode {
    match std::io::stdout().write_all(reference(&ROOT).as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
