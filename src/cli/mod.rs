//! The command line; one file a command.

mod check;
mod doctor;
mod explain;
mod reference;
mod run;
mod schema;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The gateway in front of PHP-FPM.
#[derive(Debug, Parser)]
#[command(name = "fcgate", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM.
    Run(Configuration),
    /// Read a configuration and tell all that is wrong with it.
    Check(CheckArguments),
    /// Find out whether PHP can be reached, and what in the way is wrong.
    Doctor(doctor::Arguments),
    /// Tell what would become of a request, without sending anything.
    Explain(explain::Arguments),
    /// Print the reference of all configuration keys, which is itself a configuration.
    Reference,
    /// Print a JSON Schema of the configuration, for editors.
    Schema,
}

#[derive(Debug, clap::Args)]
struct Configuration {
    /// The configuration file [default: ./fcgate.toml, then /etc/fcgate/fcgate.toml].
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        env = "FCGATE_CONFIG"
    )]
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct CheckArguments {
    /// The configuration file [default: ./fcgate.toml, then /etc/fcgate/fcgate.toml].
    #[arg(value_name = "FILE", env = "FCGATE_CONFIG")]
    file: Option<PathBuf>,
}

impl Cli {
    /// Does what the arguments say. The exit code is 1 for a configuration that cannot be used.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(configuration) => run::run(configuration_file(configuration.file)),
            Command::Check(arguments) => Ok(check::check(&configuration_file(arguments.file))),
            Command::Doctor(arguments) => doctor::run(arguments),
            Command::Explain(arguments) => Ok(explain::run(arguments)),
            Command::Reference => Ok(reference::print()),
            Command::Schema => Ok(schema::print()),
        }
    }
}

fn configuration_file(given: Option<PathBuf>) -> PathBuf {
    const HERE: &str = "fcgate.toml";
    const SYSTEM: &str = "/etc/fcgate/fcgate.toml";
    given.unwrap_or_else(|| {
        PathBuf::from(if PathBuf::from(HERE).exists() {
            HERE
        } else {
            SYSTEM
        })
    })
}
