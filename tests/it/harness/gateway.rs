//! fcgate itself, as its users start it: a configuration file, a process, signals, and two logs.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::lines::Lines;
use super::process::{Process, start_of};
use super::{Address, PATIENCE, Request, Response, eventually, http1, require};

/// A running gateway; killed when dropped.
pub(crate) struct Gateway {
    process: Process,
    directory: TempDir,
    root: PathBuf,
    /// The operational log.
    pub(crate) log: Lines,
    /// The access log.
    pub(crate) access: Lines,
    _refusals: NoRefusals,
    listeners: usize,
    addresses: Vec<Address>,
    admin: Option<Address>,
}

/// A check at the end of each test: serving takes no system call that seccomp refuses. Attempts on purpose are logged.
#[derive(Debug)]
struct NoRefusals(Lines);

impl Drop for NoRefusals {
    fn drop(&mut self) {
        let lines = self.0.all();
        let refused = lines
            .iter()
            .find(|line| line.contains("seccomp has refused"));
        let is_on_purpose = lines.iter().any(|line| line.contains("attempted"));
        if let Some(line) = refused.filter(|_| !is_on_purpose && !std::thread::panicking()) {
            panic!("{line}");
        }
    }
}

const ONE_LISTENER: &str = "\n[[listen]]\naddress = \"127.0.0.1:0\"\n";

impl Gateway {
    /// Starts it with this configuration and waits until it listens. Without a `[[listen]]` of its own it listens on
    /// any free port of 127.0.0.1.
    pub(crate) async fn start(config: &str) -> Self {
        Self::with(config).start().await
    }

    /// The same, with the configuration file in `folder`, beside what the test has put there.
    pub(crate) async fn start_in(folder: TempDir, config: &str) -> Self {
        Self::with(config).in_folder(folder).start().await
    }

    /// Runs it, by `launcher` if that is not empty.
    pub(super) fn launch(
        launcher: &[String],
        (directory, root): (TempDir, PathBuf),
        config: &str,
        admin: Option<Address>,
    ) -> Self {
        let config = completed(config);
        let file = directory.path().join(CONFIG);
        std::fs::write(&file, &config).unwrap();
        let mut command = command_under(launcher);
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
            root,
            _refusals: NoRefusals(log.clone()),
            log,
            access,
            listeners: config.matches("[[listen]]").count(),
            addresses: Vec::new(),
            admin,
        }
    }

    /// Waits until it listens on all that its configuration names.
    pub(super) async fn listening(mut self) -> Self {
        let listening = |line: &str| line.contains("listening");
        let lines = self.log.wait_many(0, self.listeners, listening).await;
        self.addresses = lines.iter().map(|line| address_in(line)).collect();
        if self.admin.is_some() {
            let answering = |line: &str| line.contains("admin listener ready");
            self.log.wait_for(answering).await;
        }
        self
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

    /// The document root of the site that it was set up with.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) async fn send(&self, request: &Request) -> Response {
        http1::send(self.address(), request).await
    }

    pub(crate) async fn get(&self, target: &str) -> Response {
        self.send(&Request::get(target)).await
    }

    /// The socket on which it answers about itself.
    pub(crate) fn admin(&self) -> &Address {
        self.admin.as_ref().expect("set up without `admin`")
    }

    /// Asks it about itself.
    pub(crate) async fn ask(&self, target: &str) -> Response {
        http1::send(self.admin(), &Request::get(target)).await
    }

    /// The program with these arguments, for the configuration of this gateway, to its end.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        let file = self.directory().join(CONFIG);
        command()
            .args(arguments)
            .arg("-c")
            .arg(file)
            .output()
            .unwrap()
    }

    /// The process of the parent.
    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Has it serve with another number of threads, which takes another server.
    pub(crate) fn change_workers(&self, workers: usize) {
        let file = self.directory().join(CONFIG);
        let text = std::fs::read_to_string(&file).unwrap();
        let others: Vec<_> = text
            .lines()
            .filter(|line| !line.starts_with("workers = "))
            .collect();
        let keys = format!("[server]\nworkers = {workers}\n");
        let config = others.join("\n").replacen("[server]\n", &keys, 1);
        std::fs::write(file, config).unwrap();
        self.signal(Signal::SIGHUP);
    }

    /// The process that serves: the youngest of its servers.
    pub(crate) fn server_id(&self) -> u32 {
        self.youngest_server().unwrap()
    }

    /// The same; nothing while none serves.
    pub(crate) fn youngest_server(&self) -> Option<u32> {
        let servers = self.process.children().into_iter().filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with(b"fcgate\0server\0")
        });
        let youngest = servers.max_by_key(|pid| (start_of(pid.as_raw()), pid.as_raw()))?;
        u32::try_from(youngest.as_raw()).ok()
    }

    /// Whether it has not ended.
    pub(crate) fn is_alive(&self) -> bool {
        self.process.is_alive()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Writes the configuration anew, with the same admin socket, and any port where it names no listener.
    pub(crate) fn write(&self, config: &str) {
        let admin = self.admin.as_ref().map(admin_at);
        let config = completed(&format!("{config}\n{}", admin.unwrap_or_default()));
        std::fs::write(self.directory().join(CONFIG), config).unwrap();
    }

    /// Rewrites the configuration and reloads; the line that says what came of it.
    pub(crate) async fn reload(&self, config: &str) -> String {
        self.write(config);
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

    /// The same, once it is what it was for a hundred looks, half a second at least: each side has sent what the
    /// kernel takes. Nothing announces that a buffer does not grow.
    pub(crate) async fn settled_kib(&self) -> u64 {
        let (mut last, mut same) = (0, 0);
        eventually("memory that stays as it is", PATIENCE, async || {
            let now = self.anonymous_kib();
            same = if now == last { same + 1 } else { 0 };
            last = now;
            require(now, |_| same == 100)
        })
        .await
    }

    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server_id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// The address in a line of the log that says `listening`, in any style.
pub(crate) fn address_in(line: &str) -> Address {
    let (_, behind) = line.split_once("address").unwrap();
    let address = behind.trim_start_matches(['"', '=', ':', ' ']);
    Address::parse(address.split(['"', ',', ' ']).next().unwrap())
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
    command_under(launcher).args(arguments).output().unwrap()
}

/// A launcher that takes from root what lets it pass over permissions.
pub(crate) fn bound_by_permissions() -> &'static [&'static str] {
    if nix::unistd::geteuid().is_root() {
        &[
            "setpriv",
            "--bounding-set=-dac_override,-dac_read_search",
            "--",
        ]
    } else {
        &["env"]
    }
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

/// The program, or one that sets something up and then executes it.
fn command_under(launcher: &[impl AsRef<str>]) -> Command {
    let Some((first, more)) = launcher.split_first() else {
        return command();
    };
    let mut command = Command::new(first.as_ref());
    command.args(more.iter().map(AsRef::as_ref));
    command.arg(env!("CARGO_BIN_EXE_fcgate"));
    command
}

/// The section of a gateway that answers about itself at `address`.
pub(super) fn admin_at(address: &Address) -> String {
    format!("[admin]\naddress = \"{address}\"\n")
}

/// Completes a configuration: with a listener, and in the sandbox, as root where the tests are root, since their folders
/// are. A test of users or of the sandbox writes its own keys.
fn completed(config: &str) -> String {
    let listener = if config.contains("[[listen]]") {
        ""
    } else {
        ONE_LISTENER
    };
    let has = |key: &str| config.lines().any(|line| line.starts_with(key));
    let mut keys = String::new();
    if !has("sandbox = ") {
        keys += "sandbox = \"require\"\n";
    }
    if !has("user = ") && nix::unistd::geteuid().is_root() {
        keys += "user = \"root\"\n";
    }
    match config.split_once("[server]\n") {
        Some((before, server)) => format!("{before}[server]\n{keys}{server}{listener}"),
        None => format!("{config}{listener}\n[server]\n{keys}"),
    }
}
