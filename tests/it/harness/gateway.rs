//! fcgate itself, as its users start it: a configuration file, a process, signals, and two logs.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::lines::Lines;
use super::process::Process;
use super::{Address, Request, Response, http1};

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    process: Process,
    directory: TempDir,
    /// The operational log.
    pub(crate) log: Lines,
    /// The access log.
    pub(crate) access: Lines,
    addresses: Vec<Address>,
}

const ONE_LISTENER: &str = "\n[[listen]]\naddress = \"127.0.0.1:0\"\n";

impl Gateway {
    /// Starts it with this configuration and waits until it listens. Without a `[[listen]]` of its own it listens on
    /// any free port of 127.0.0.1.
    pub(crate) async fn start(config: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), config).await
    }

    /// The same, with the configuration file in `directory`, beside what the test has put there.
    pub(crate) async fn start_in(directory: TempDir, config: &str) -> Self {
        let config = with_listener(config);
        Self::spawn(directory, &config).listening(&config).await
    }

    /// The same, by a program that sets something up and then executes the command in its arguments.
    pub(crate) async fn start_under(launcher: &[String], directory: TempDir, config: &str) -> Self {
        let config = with_listener(config);
        let launcher: Vec<_> = launcher.iter().map(String::as_str).collect();
        let gateway = Self::spawn_under(&launcher, directory, &config);
        gateway.listening(&config).await
    }

    /// Waits until it listens on all that `config` names.
    async fn listening(self, config: &str) -> Self {
        let mut gateway = self;
        let lines = gateway
            .log
            .wait_many(0, config.matches("[[listen]]").count(), |line| {
                line.contains("listening")
            });
        gateway.addresses = lines.await.iter().map(|line| address_in(line)).collect();
        gateway
    }

    /// Starts it and does not wait: for what must fail.
    pub(crate) fn spawn(directory: TempDir, config: &str) -> Self {
        Self::spawn_by(command(), directory, config)
    }

    /// The same, by a program that sets something up and then executes the command in its arguments.
    pub(crate) fn spawn_under(launcher: &[&str], directory: TempDir, config: &str) -> Self {
        let mut command = Command::new(launcher[0]);
        command.args(&launcher[1..]);
        command.arg(env!("CARGO_BIN_EXE_fcgate"));
        Self::spawn_by(command, directory, config)
    }

    fn spawn_by(mut command: Command, directory: TempDir, config: &str) -> Self {
        let file = directory.path().join(CONFIG);
        std::fs::write(&file, config).unwrap();
        command.arg("run").arg("-c").arg(&file);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command);
        let child = process.child();
        let log = Lines::of("the log", child.stderr.take().unwrap());
        let access = Lines::of("the access log", child.stdout.take().unwrap());
        Self {
            process,
            directory,
            log,
            access,
            addresses: Vec::new(),
        }
    }

    /// The address of the first listener.
    pub(crate) fn address(&self) -> &Address {
        &self.addresses[0]
    }

    /// The addresses of all listeners, in the order in which they came up.
    pub(crate) fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Where the configuration file is.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) async fn send(&self, request: &Request) -> Response {
        http1::send(self.address(), request).await
    }

    pub(crate) async fn get(&self, target: &str) -> Response {
        self.send(&Request::get(target)).await
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Whether it has not ended.
    pub(crate) fn is_alive(&self) -> bool {
        self.process.is_alive()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Rewrites the configuration and reloads; the line that says what came of it.
    pub(crate) async fn reload(&self, config: &str) -> String {
        std::fs::write(self.directory().join(CONFIG), with_listener(config)).unwrap();
        let seen = self.log.count();
        self.signal(Signal::SIGHUP);
        self.log
            .wait_after(seen, |line| {
                line.contains("reloaded") || line.contains("reload refused")
            })
            .await
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        self.log.ended().await;
        self.process.wait()
    }

    /// SIGTERM, and how it ended.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ended().await
    }

    /// The most memory that it ever had, in KiB.
    pub(crate) fn peak_rss_kib(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// The memory that it has, in KiB.
    pub(crate) fn rss_kib(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The memory that belongs to it alone and to no file, in KiB.
    pub(crate) fn anonymous_kib(&self) -> u64 {
        self.status("RssAnon:")
    }

    fn status(&self, name: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// The address in a line of the log that says `listening`.
pub(crate) fn address_in(line: &str) -> Address {
    let address = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("address="));
    Address::parse(
        address
            .unwrap_or_else(|| panic!("no address in {line:?}"))
            .trim_matches('"'),
    )
}

/// `fcgate check FILE`.
pub(crate) fn check(file: &PathBuf) -> Output {
    command().arg("check").arg(file).output().unwrap()
}

/// `fcgate reference`.
pub(crate) fn reference() -> Output {
    command().arg("reference").output().unwrap()
}

/// The same by a program that sets something up and then executes the command in its arguments.
pub(crate) fn run_under(launcher: &[&str], arguments: &[&str]) -> Output {
    let mut command = Command::new(launcher[0]);
    command
        .args(&launcher[1..])
        .arg(env!("CARGO_BIN_EXE_fcgate"));
    command.args(arguments).output().unwrap()
}

/// `fcgate` with these arguments, to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

const CONFIG: &str = "fcgate.toml";

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fcgate"));
    let ours =
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FCGATE_"));
    ours.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command
}

fn with_listener(config: &str) -> String {
    let listener = if config.contains("[[listen]]") {
        ""
    } else {
        ONE_LISTENER
    };
    format!("{config}{listener}")
}
