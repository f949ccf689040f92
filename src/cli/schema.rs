//! `fcgate schema`: a JSON Schema, from the same tables that the decoder uses.

use std::io::Write;
use std::process::ExitCode;

use crate::config::ROOT;
use crate::section::schema;

/// Prints it.
pub(super) fn print() -> ExitCode {
    match writeln!(std::io::stdout(), "{:#}", schema(&ROOT)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
