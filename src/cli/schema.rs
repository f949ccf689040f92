//! `fcgate schema`: a JSON Schema, generated from the tables of the decoder.

use std::io::Write;
use std::process::ExitCode;

use crate::config::ROOT;
use crate::section::schema;

/// Prints the schema.
pub(super) fn print() -> ExitCode {
    match writeln!(std::io::stdout(), "{:#}", schema(&ROOT)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
