//! Pipes that nobody reads behind stderr and stdout: requests are answered, the gateway can be asked about itself, and
//! it ends when it is told to.

use std::io::{PipeReader, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use tempfile::TempDir;

use crate::admin::metric;
use crate::harness::lines::Lines;
use crate::harness::process::Process;
use crate::harness::{
    Address, Connection, Gate, PATIENCE, Request, Response, Script, ScriptedResponder, eventually,
    http1, require,
};

/// Which of them are full from the start.
#[derive(Clone, Copy, Debug)]
struct Full {
    stderr: bool,
    stdout: bool,
}

const EACH: [Full; 3] = [
    Full {
        stderr: true,
        stdout: false,
    },
    Full {
        stderr: false,
        stdout: true,
    },
    Full {
        stderr: true,
        stdout: true,
    },
];

/// A gateway whose addresses are known without its log.
struct Clogged {
    process: Process,
    directory: TempDir,
    /// The other ends of full pipes.
    stderr: Option<PipeReader>,
    _stdout: Option<PipeReader>,
}

impl Clogged {
    /// Starts it with what `config` says of sites and upstreams, and `server` of the process.
    fn spawn(full: Full, server: &str, config: &str) -> Self {
        Self::spawn_in(tempfile::tempdir().unwrap(), full, server, config)
    }

    fn spawn_in(directory: TempDir, full: Full, server: &str, config: &str) -> Self {
        let path = directory.path().display();
        let config = config.replace("DIR", &path.to_string());
        // The test's folder is root's.
        let is_root = nix::unistd::geteuid().is_root();
        let keys = if is_root { "user = \"root\"\n" } else { "" };
        let text = format!(
            "include = [\"more*.toml\"]\n[server]\n{keys}{server}\n[admin]\naddress = \"unix:{path}/admin.sock\"\n\
             [[listen]]\naddress = \"unix:{path}/http.sock\"\n{config}"
        );
        let file = directory.path().join("fcgate.toml");
        std::fs::write(&file, text).unwrap();
        let (stderr, to_stderr) = end(full.stderr);
        let (stdout, to_stdout) = end(full.stdout);
        let mut command = Command::new(env!("CARGO_BIN_EXE_fcgate"));
        command.arg("run").arg("-c").arg(&file).stdin(Stdio::null());
        let process = Process::spawn(command.stderr(to_stderr).stdout(to_stdout));
        Self {
            process,
            directory,
            stderr,
            _stdout: stdout,
        }
    }

    /// The same, once it serves.
    async fn start(full: Full, server: &str, config: &str) -> Self {
        let clogged = Self::spawn(full, server, config);
        for socket in ["http.sock", "admin.sock"] {
            eventually("the first connection", PATIENCE, async || {
                clogged.address(socket).try_connect().await.map(drop)
            })
            .await;
        }
        clogged
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn address(&self, socket: &str) -> Address {
        Address::Unix(self.file(socket))
    }

    async fn ask(&self, target: &str) -> Response {
        http1::send(&self.address("admin.sock"), &Request::get(target)).await
    }

    fn command(&self, name: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fcgate"));
        let command = command.arg(name).arg("-c").arg(self.file("fcgate.toml"));
        command.output().unwrap()
    }

    /// How many lines of a log were dropped.
    async fn dropped(&self, log: &str) -> f64 {
        let scrape = self.ask("/metrics").await.text();
        let label = format!("log=\"{log}\"");
        metric(&scrape, &["fcgate_log_lines_dropped_total", &label])
    }

    /// Has lines of six KiB written to both logs until each that is not read has dropped some: after eight MiB.
    async fn overfill(&self, full: Full) {
        let long = "x".repeat(6000);
        for round in 0..20 {
            let mut client = Connection::open(&self.address("http.sock")).await;
            for number in 0..200 {
                let target = format!("/missing?{round:02}{number:03}{long}");
                let request = Request::get(&target).field("Host", "files.example");
                assert_eq!(client.send(&request).await.status, 404);
            }
            let logs = [("stderr", full.stderr), ("access", full.stdout)];
            let mut all = true;
            for (log, is_full) in logs {
                let dropped = self.dropped(log).await;
                all &= (dropped > 0.0) == is_full;
            }
            if all {
                return;
            }
        }
        panic!("{full:?}: not exactly the logs that nobody reads have dropped lines");
    }

    /// Waits until it says that it is not ready any more.
    async fn drains(&self) {
        eventually("the drain", PATIENCE, async || {
            require(self.ask("/ready").await.status, |status| *status == 503)
        })
        .await;
    }

    async fn ended(&mut self) -> ExitStatus {
        let child = self.process.child();
        eventually("the end", PATIENCE, async || {
            child.try_wait().unwrap().ok_or("it runs")
        })
        .await
    }
}

/// Where a stream goes: to a full pipe, or where it is always read.
fn end(is_full: bool) -> (Option<PipeReader>, Stdio) {
    if !is_full {
        return (None, Stdio::null());
    }
    let (reader, mut writer) = std::io::pipe().unwrap();
    let set = |flags| fcntl(writer.as_fd(), FcntlArg::F_SETFL(flags)).unwrap();
    set(OFlag::O_NONBLOCK);
    while (&writer).write(&[b' '; 4096]).is_ok() {}
    while (&writer).write(b" ").is_ok() {}
    set(OFlag::empty());
    writer.flush().unwrap();
    (Some(reader), writer.into())
}

const SITE: &str = "[[site]]\nhosts = [\"files.example\"]\nroot = \"/tmp\"\n";

#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    for full in EACH {
        let gate = Gate::new();
        let held = Script::held(&gate, "\nat last");
        let responder = ScriptedResponder::start([held]).await;
        let config = format!("{SITE}{}", responder.site(""));
        let mut gateway = Clogged::start(full, "log = \"debug\"", &config).await;
        gateway.overfill(full).await;
        for name in ["health", "status", "reload"] {
            let output = gateway.command(name);
            assert!(output.status.success(), "{full:?}: {name}: {output:?}");
        }
        let address = gateway.address("http.sock");
        let client =
            tokio::spawn(async move { http1::send(&address, &Request::get("/held")).await });
        responder
            .wait_until("the request", |seen| seen.busy == 1)
            .await;
        gateway.process.signal(Signal::SIGTERM);
        gateway.drains().await;
        gate.pass(1);
        assert_eq!(client.await.unwrap().text(), "at last", "{full:?}");
        assert!(gateway.ended().await.success(), "{full:?}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_whatever_is_full() {
    for full in EACH {
        let never = Script::new().read_request().read_to_end();
        let responder = ScriptedResponder::start([never]).await;
        let server = "log = \"debug\"\ndrain = \"1h\"";
        let config = format!("{SITE}{}", responder.site(""));
        let mut gateway = Clogged::start(full, server, &config).await;
        gateway.overfill(full).await;
        let mut client = Connection::open(&gateway.address("http.sock")).await;
        client.start(&Request::get("/never")).await;
        responder
            .wait_until("the request", |seen| seen.busy == 1)
            .await;
        gateway.process.signal(Signal::SIGTERM);
        gateway.drains().await;
        gateway.process.signal(Signal::SIGTERM);
        assert!(gateway.ended().await.success(), "{full:?}");
    }
}

#[tokio::test]
async fn what_was_dropped_is_told_when_stderr_is_read_again() {
    let full = EACH[0];
    let mut gateway = Clogged::start(full, "log = \"debug\"", SITE).await;
    gateway.overfill(full).await;
    let log = Lines::of("the log", gateway.stderr.take().unwrap());
    let told = log
        .wait_for(|line| line.contains("stderr was not read: "))
        .await;
    let number = told.split_whitespace().nth(6).unwrap();
    let number: f64 = number.parse().unwrap();
    assert_eq!(number, gateway.dropped("stderr").await, "{told}");
    let number = |line: &String| {
        let (_, rest) = line.split_once("/missing?")?;
        rest.get(..5).map(str::to_owned)
    };
    let numbers: Vec<_> = log.all().iter().filter_map(number).collect();
    let count = numbers.len();
    assert!(count > 500 && numbers.is_sorted(), "{count} requests");
    gateway.process.signal(Signal::SIGTERM);
    log.wait_for(|line| line.ends_with(" stopped")).await;
    assert!(gateway.ended().await.success());
}

/// A pipe that has a name, and nobody at its other end.
fn named_pipe(path: &PathBuf) {
    nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap();
}

/// The names of its threads.
fn threads(process: &Process) -> Vec<String> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", process.id())) else {
        return Vec::new();
    };
    let names =
        threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).collect()
}

#[tokio::test]
async fn a_start_that_hangs_is_ended_by_the_first_signal() {
    for full in EACH {
        let directory = tempfile::tempdir().unwrap();
        named_pipe(&directory.path().join("more.toml"));
        let mut gateway = Clogged::spawn_in(directory, full, "", SITE);
        eventually("its threads", PATIENCE, async || {
            threads(&gateway.process)
                .iter()
                .any(|name| name == "stderr-log")
        })
        .await;
        gateway.process.signal(Signal::SIGTERM);
        assert_eq!(gateway.ended().await.code(), Some(143), "{full:?}");
    }
}

#[tokio::test]
async fn a_reload_that_hangs_keeps_nothing_from_being_served_or_ending() {
    let full = EACH[2];
    let site = "[[site]]\nrule = [{ respond = { body = \"here\" } }]\n";
    let mut gateway = Clogged::start(full, "", site).await;
    let more = gateway.file("more.toml");
    named_pipe(&more);
    gateway.process.signal(Signal::SIGHUP);
    // It can be opened once it is read.
    let mut options = std::fs::OpenOptions::new();
    let options = options.write(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let _kept = eventually("the reload", PATIENCE, async || options.open(&more)).await;
    let get = async || http1::send(&gateway.address("http.sock"), &Request::get("/")).await;
    assert_eq!(get().await.text(), "here");
    assert_eq!(gateway.ask("/status").await.status, 200);
    gateway.process.signal(Signal::SIGTERM);
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn a_second_signal_ends_programs_that_do_not_want_to() {
    let stubborn = "trap '' TERM; echo > DIR/trapped; while :; do sleep 1000; done";
    let program = format!(
        "[process.stubborn]\ncommand = [\"/bin/sh\", \"-c\", \"{stubborn}\"]\nstop = \"1h\"\n"
    );
    let mut gateway = Clogged::start(EACH[2], "", &format!("{SITE}{program}")).await;
    eventually("the program", PATIENCE, async || {
        gateway.file("trapped").exists()
    })
    .await;
    gateway.process.signal(Signal::SIGTERM);
    eventually("the server has ended", PATIENCE, async || {
        gateway.address("admin.sock").try_connect().await.is_err()
    })
    .await;
    gateway.process.signal(Signal::SIGTERM);
    assert!(gateway.ended().await.success());
}
