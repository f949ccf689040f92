//! The command line; one file a command.

mod ask;
#[cfg(debug_assertions)]
mod attempt;
mod check;
mod config;
mod doctor;
mod explain;
mod htaccess;
mod launch;
mod reference;
mod run;
mod schema;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Environment variable with the path of the configuration.
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
    Run(RunArguments),
    /// Check a configuration and print all errors.
    Check(NamedConfiguration),
    /// Print the configuration with all implied rules: a file with the same effect.
    Config(ConfigArguments),
    /// Report whether the running gateway is ready: exit code 0, or 1 with the reason.
    Health(ask::Health),
    /// Print the status of the running gateway as JSON.
    Status(Configuration),
    /// Reload the configuration of the running gateway; exit code 1 if it is invalid.
    Reload(ReloadArguments),
    /// Diagnose the way to PHP: configuration, sockets, roots, pools and limits.
    Doctor(doctor::Arguments),
    /// Explain the processing of a request, rule by rule, without sending it.
    Explain(explain::Arguments),
    /// Print the reference of all configuration keys, itself a valid configuration.
    Reference,
    /// Print a JSON Schema of the configuration, for editors.
    Schema,
    /// Become a program of `[process.NAME]`.
    #[command(hide = true)]
    Launch(launch::Arguments),
    /// Become as confined as the server, and make attempts (for the tests).
    #[cfg(debug_assertions)]
    #[command(hide = true)]
    Attempt(attempt::Arguments),
    /// Serve, as a child of `run`.
    #[command(hide = true)]
    Server(Configuration),
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

#[derive(Debug, clap::Args)]
struct RunArguments {
    #[command(flatten)]
    configuration: Configuration,
    /// Take the place of the program that executes this one (an upgrade).
    #[arg(long, hide = true)]
    take_over: bool,
}

/// The configuration of a command that only reads it: the file may be an argument of its own.
#[derive(Debug, clap::Args)]
struct NamedConfiguration {
    /// The configuration file [default: $FCGATE_CONFIG, then ./fcgate.toml, then /etc/fcgate/fcgate.toml].
    #[arg(value_name = "FILE")]
    named: Option<PathBuf>,
    /// The same, as with other commands.
    // Without clap's `env`: the variable would conflict with the argument.
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
    /// Include the rules implied by `root`, `php`, mounts and presets (required: the only form).
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
    /// Runs the command. The exit code is 1 for an invalid configuration.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(arguments) => {
                let file = configuration_file(arguments.configuration.file);
                run::run(&file, arguments.take_over)
            }
            Command::Server(configuration) => {
                server::server(configuration_file(configuration.file))
            }
            Command::Check(configuration) => Ok(check::check(&configuration.file())),
            Command::Config(arguments) => Ok(config::expanded(&arguments.configuration.file())),
            Command::Health(asked) => {
                let file = configuration_file(asked.configuration.file.clone());
                ask::health(&file, &asked)
            }
            Command::Status(configuration) => ask::status(&configuration_file(configuration.file)),
            Command::Reload(arguments) => {
                let file = configuration_file(arguments.configuration.file);
                ask::reload(&file, arguments.dry_run)
            }
            Command::Doctor(arguments) => doctor::run(arguments),
            Command::Explain(arguments) => Ok(explain::run(arguments)),
            Command::Reference => Ok(reference::print()),
            Command::Schema => Ok(schema::print()),
            Command::Launch(arguments) => Ok(launch::run(&arguments)),
            #[cfg(debug_assertions)]
            Command::Attempt(arguments) => attempt::run(arguments),
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
