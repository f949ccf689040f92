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

/// Names the configuration where no argument does.
const CONFIG_VARIABLE: &str = "FCGATE_CONFIG";

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
    Check(NamedConfiguration),
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
        env = CONFIG_VARIABLE
    )]
    file: Option<PathBuf>,
}

/// The same for what only reads it: its name may stand alone.
#[derive(Debug, clap::Args)]
struct NamedConfiguration {
    /// The configuration file [default: $FCGATE_CONFIG, then ./fcgate.toml, then /etc/fcgate/fcgate.toml].
    #[arg(value_name = "FILE")]
    named: Option<PathBuf>,
    /// The same, as other commands have it.
    // Without clap's `env`: a variable would be in conflict with the other way to name a file.
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        conflicts_with = "named"
    )]
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct ConfigArguments {
    #[command(flatten)]
    configuration: NamedConfiguration,
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

impl Cli {
    /// Does what the arguments say. The exit code is 1 for a configuration that cannot be used.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(configuration) => run::run(configuration_file(configuration.file)),
            Command::Check(configuration) => Ok(check::check(&configuration.file())),
            Command::Config(arguments) => Ok(config::expanded(&arguments.configuration.file())),
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

impl NamedConfiguration {
    fn file(self) -> PathBuf {
        let from_environment = || std::env::var_os(CONFIG_VARIABLE).map(PathBuf::from);
        configuration_file(self.named.or(self.file).or_else(from_environment))
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
