//! The command line; one file a command.

mod ask;
mod check;
mod config;
mod doctor;
mod explain;
mod htaccess;
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
    /// Print the configuration with all that it means: a file that does the same.
    Config(ConfigArguments),
    /// Ask the running gateway whether it is ready: exit code 0, or 1 and why.
    Health(Configuration),
    /// Print what the running gateway does, as JSON.
    Status(Configuration),
    /// Have the running gateway read its configuration again; 1 where it refuses.
    Reload(ReloadArguments),
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
struct ConfigArguments {
    /// The configuration file [default: ./fcgate.toml, then /etc/fcgate/fcgate.toml].
    #[arg(value_name = "FILE", env = "FCGATE_CONFIG")]
    file: Option<PathBuf>,
    /// With the rules that `root`, `php`, mounts and presets mean: the only form that there is.
    #[arg(long, required = true)]
    expanded: bool,
}

#[derive(Debug, clap::Args)]
struct ReloadArguments {
    #[command(flatten)]
    configuration: Configuration,
    /// Only print what would change.
    #[arg(long)]
    dry_run: bool,
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
            Command::Config(arguments) => Ok(config::expanded(&configuration_file(arguments.file))),
            Command::Health(configuration) => ask::health(&configuration_file(configuration.file)),
            Command::Status(configuration) => ask::status(&configuration_file(configuration.file)),
            Command::Reload(arguments) => {
                let file = configuration_file(arguments.configuration.file);
                ask::reload(&file, arguments.dry_run)
            }
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
