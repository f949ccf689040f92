//! `fcgate explain URL`: the processing of a request, by the code that serves requests and without
//! sending it.

mod dry_run;
mod page;
mod question;
mod recorder;
mod recording_disk;
mod trace;

use std::io::Write;
use std::process::ExitCode;

use super::{Configuration, configuration_file};
use crate::config;
use crate::disk::RealDisk;
use crate::files::Files;
use question::Question;
use trace::Explanation;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    configuration: Configuration,
    /// The method.
    #[arg(short = 'X', long = "method", default_value = "GET")]
    method: String,
    /// A header field, 'Name: value'; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    fields: Vec<String>,
    /// The client: an IP address, or "unix" for one on a unix socket.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    from: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The URL: http://host/path, https://host/path, or a path on the host "localhost". OPTIONS of a URL without
    /// a path is `OPTIONS *`.
    url: String,
}

/// Prints the explanation. The exit code is 1 for an invalid configuration or invalid arguments.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    let json = arguments.json;
    match explain(arguments) {
        Ok(explanation) => print(&explanation, json),
        Err(message) => {
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::FAILURE
        }
    }
}

fn explain(arguments: Arguments) -> Result<Explanation, String> {
    let file = configuration_file(arguments.configuration.file);
    let question = Question::parse(&arguments.url, &arguments.method, &arguments.fields)?;
    let snapshot =
        config::load(&file, None, &Files::own()).map_err(|invalid| invalid.to_string())?;
    let connection = question.connection(&snapshot.listeners, &arguments.from)?;
    let disk = RealDisk::default();
    dry_run::explain(&snapshot, question, connection, &disk.one_release())
}

fn print(explanation: &Explanation, json: bool) -> ExitCode {
    let written = if json {
        writeln!(std::io::stdout(), "{:#}", explanation.json())
    } else {
        write!(std::io::stdout(), "{explanation}")
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
