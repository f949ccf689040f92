//! Programs with real children, each test in a process of its own: it reaps all children of its process.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

use super::section::tests::build;
use super::*;
use crate::privilege::User;

/// The process of a test.
struct Alone {
    path: String,
    /// The number of its descriptors at its start.
    descriptors: usize,
    log: Arc<Mutex<Vec<u8>>>,
    /// A folder in which every user may write.
    folder: TempDir,
}

/// Names the test that a process is for.
const VARIABLE: &str = "FCGATE_TEST_ALONE";

/// Limit of all that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Executes the test `name` again in a process of its own, and runs `body` there. A launcher of that process executes the
/// test too, with an order.
fn alone(name: &str, body: impl FnOnce(Alone)) {
    let path = format!("process::tests::{name}");
    let mut order = std::env::args().skip_while(|argument| argument != "--");
    if let Some(order) = order.nth(1) {
        launch(&order);
        std::process::exit(1);
    }
    if std::env::var(VARIABLE).is_ok_and(|alone| alone == name) {
        return body(Alone::new(&path));
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&path, "--exact", "--nocapture"]);
    let output = command.env(VARIABLE, name).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{output:?}"
    );
}

impl Alone {
    fn new(path: &str) -> Self {
        // Without the folder that is read.
        let descriptors = fs::read_dir("/proc/self/fd").unwrap().count() - 1;
        let log = Arc::default();
        let written = Arc::clone(&log);
        tracing_subscriber::fmt()
            .with_writer(move || Writer(Arc::clone(&written)))
            .with_ansi(false)
            .init();
        let folder = tempfile::tempdir().unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(folder.path(), mode).unwrap();
        let path = path.to_owned();
        Self {
            path,
            descriptors,
            log,
            folder,
        }
    }

    /// Builds a launcher of programs with the present attributes of this process.
    fn launcher(&self) -> Launcher {
        let arguments = [&self.path, "--exact", "--nocapture", "--"];
        Launcher::by(&arguments, Attributes::capture())
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Waits for a line of the log.
    async fn logged(&self, words: &[&str]) -> String {
        eventually(&format!("a line with {words:?}"), || {
            let log = String::from_utf8_lossy(&self.log.lock().unwrap()).into_owned();
            let mut lines = log.lines();
            let line = lines.find(|line| words.iter().all(|word| line.contains(word)));
            line.map(str::to_owned).ok_or(log)
        })
        .await
    }

    /// Waits for a file with a whole line, and returns it.
    async fn written(&self, name: &str) -> String {
        eventually(name, || {
            let text = fs::read_to_string(self.path().join(name)).unwrap_or_default();
            if text.ends_with('\n') {
                Ok(text)
            } else {
                Err(text)
            }
        })
        .await
    }

    async fn written_pid(&self, name: &str) -> Pid {
        Pid::from_raw(self.written(name).await.trim().parse().unwrap())
    }
}

/// Writes to the log of a test.
struct Writer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Looks until there is a value, and returns it; fails with what was last seen instead.
async fn eventually<T, S: std::fmt::Debug>(what: &str, look: impl Fn() -> Result<T, S>) -> T {
    let looking = async {
        loop {
            match look() {
                Ok(value) => return value,
                Err(_) => sleep(Duration::from_millis(5)).await,
            }
        }
    };
    match timeout(PATIENCE, looking).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain: {what}; seen: {:?}", look().err()),
    }
}

async fn gone(pid: Pid) {
    let is_gone = || kill(pid, None).err().ok_or(pid);
    eventually("the end of a process", is_gone).await;
}

/// Builds the program that runs a shell script in the folder.
fn shell(folder: &Path, script: &str, lines: &str) -> Program {
    let folder = folder.display();
    build(&format!(
        "command = [\"/bin/sh\", \"-c\", '''cd {folder}\n{script}''']\n{lines}"
    ))
    .unwrap()
}

#[test]
fn the_exit_of_a_child_is_handed_to_its_owner() {
    alone("the_exit_of_a_child_is_handed_to_its_owner", |_| {
        runtime().block_on(async {
            let children = Children::default();
            children.reap().unwrap();
            for (script, expected, code, text) in [
                ("exit 7", Exit::Code(7), 7, "exit code 7"),
                ("kill -KILL $$", Exit::Signal(9), 137, "SIGKILL"),
                // A real-time signal, which has no name.
                ("kill -40 $$", Exit::Signal(40), 168, "signal 40"),
            ] {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", script]);
                let (_, ended) = children.spawn(&mut command, Scope::Process).unwrap();
                let exit = timeout(PATIENCE, ended).await.unwrap();
                assert_eq!((exit, exit.code()), (expected, code), "{script}");
                assert_eq!(exit.to_string(), text);
            }
            let mut nothing = Command::new("/nowhere");
            assert!(children.spawn(&mut nothing, Scope::Process).is_err());
        });
    });
}

#[test]
fn the_rest_of_a_group_is_killed_and_orphans_are_reaped() {
    alone(
        "the_rest_of_a_group_is_killed_and_orphans_are_reaped",
        |test| {
            runtime().block_on(async {
            let children = Children::default();
            children.reap().unwrap();
            let mut command = Command::new("/bin/sh");
            let script = "sleep 1000 & echo $! > member\nsetsid sh -c 'echo $$ > new; mv new orphan; exec sleep 1000' &\nexec sleep 1000";
            command.args(["-c", script]).current_dir(test.path());
            let (leader, ended) = children.spawn(&mut command, Scope::Group).unwrap();
            let (member, orphan) = (test.written_pid("member").await, test.written_pid("orphan").await);
            leader.signal(Signal::SIGTERM);
            assert_eq!(timeout(PATIENCE, ended).await.unwrap(), Exit::Signal(15));
            gone(member).await;
            // It has left the group, and has this process for its parent now.
            let status = fs::read_to_string(format!("/proc/{orphan}/status")).unwrap();
            assert!(status.contains(&format!("PPid:\t{}\n", Pid::this())), "{status}");
            kill(orphan, Signal::SIGKILL).unwrap();
            gone(orphan).await;
            // Its number may be that of another process by now.
            leader.signal(Signal::SIGKILL);
        });
        },
    );
}

/// Starts a program, and returns its user and what it has written of itself.
fn look_from_inside(test: &Alone, launcher: Launcher) -> (User, String) {
    let script = "cat /proc/self/status > new; umask >> new; ulimit -n >> new; ls -l /proc/self/fd >> new\n\
                  ls /proc/self/fd | wc -l >> new; echo by its path > /proc/self/fd/2; mv new seen; exec sleep 1000";
    let lines = if geteuid().is_root() {
        "user = \"nobody\"\ngroup = \"7\""
    } else {
        ""
    };
    let program = shell(test.path(), script, lines);
    let user = program.user.clone();
    let seen = runtime().block_on(async {
        let children = Children::default();
        let mut processes = Processes::start(&children, launcher, &[program]);
        children.reap().unwrap();
        let seen = test.written("seen").await;
        test.logged(&["by its path"]).await;
        processes.stop().await;
        seen
    });
    (user, seen)
}

#[test]
fn a_program_has_its_user_and_nothing_of_ours() {
    alone("a_program_has_its_user_and_nothing_of_ours", |test| {
        // What the gateway changes for itself, after its start.
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, soft / 2, hard).unwrap();
        let launcher = test.launcher();
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
        let mask = umask(Mode::from_bits_truncate(0o077));
        let (user, seen) = look_from_inside(&test, launcher);
        let (uid, gid) = (user.uid, user.gid);
        let groups = user.groups.iter().map(|group| format!("{group} "));
        let none = "0000000000000000";
        for line in [
            format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}"),
            format!("Gid:\t{gid}\t{gid}\t{gid}\t{gid}"),
            format!("Groups:\t{}", groups.collect::<String>()),
            format!("CapPrm:\t{none}"),
            format!("CapEff:\t{none}"),
            format!("CapAmb:\t{none}"),
            format!("SigBlk:\t{none}"),
            format!("{:04o}", mask.bits()),
            (soft / 2).to_string(),
        ] {
            assert!(seen.contains(&format!("{line}\n")), "{line} in\n{seen}");
        }
        let (_, ignored) = seen.split_once("SigIgn:\t").unwrap();
        let ignored = u64::from_str_radix(&ignored[..16], 16).unwrap();
        // Rust ignores it.
        assert_eq!(ignored & (1 << (Signal::SIGPIPE as u32 - 1)), 0, "{seen}");
        assert!(seen.contains("0 -> /dev/null\n"), "{seen}");
        // Those of this process at its start, and the folder that `ls` reads.
        let descriptors = format!("\n{}\n", test.descriptors + 1);
        assert!(seen.ends_with(&descriptors), "{descriptors} in {seen}");
    });
}

#[test]
fn a_program_that_cannot_be_executed_says_why() {
    alone("a_program_that_cannot_be_executed_says_why", |test| {
        let path = test.path().join("found");
        fs::write(&path, "#!/bin/sh\necho found by PATH\nexec sleep 1000\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode;
        fs::set_permissions(&path, mode(0o755)).unwrap();
        let denied = test.path().join("denied");
        fs::write(&denied, "").unwrap();
        fs::set_permissions(&denied, mode(0o600)).unwrap();
        let program = |name: &str, command: &str| Program {
            name: name.to_owned(),
            environment: [(
                "PATH".to_owned(),
                test.path().display().to_string() + ":/usr/bin:/bin",
            )]
            .into(),
            ..build(&format!("command = [\"{command}\"]")).unwrap()
        };
        let programs = [
            program("missing", "/nowhere/php-fpm"),
            program("denied", denied.to_str().unwrap()),
            program("found", "found"),
        ];
        runtime().block_on(async {
            let children = Children::default();
            let mut processes = Processes::start(&children, test.launcher(), &programs);
            children.reap().unwrap();
            let failed = "cannot be started; the next attempt follows the pause";
            let missing = "No such file or directory (os error 2)";
            test.logged(&[failed, "/nowhere/php-fpm", missing, "pause=100ms"])
                .await;
            test.logged(&[failed, "/nowhere/php-fpm", missing, "pause=200ms"])
                .await;
            test.logged(&[failed, "/denied", "Permission denied (os error 13)"])
                .await;
            test.logged(&["found by PATH", "process=\"found\""]).await;
            let log = String::from_utf8(test.log.lock().unwrap().clone()).unwrap();
            let started = log.lines().filter(|line| line.contains(" started "));
            assert_eq!(started.count(), 1, "{log}");
            processes.kill().await;
        });
    });
}

/// Returns a program that runs on, one that does not stop, and one that ends at once.
fn three_programs(folder: &Path) -> [Program; 3] {
    let kept = "echo $$ >> kept; while :; do echo beat; sleep 0.01; done";
    let stubborn = "trap '' TERM; echo $$ > stubborn; while :; do sleep 1000; done";
    let named = |name: &str, script, lines| Program {
        name: name.to_owned(),
        ..shell(folder, script, lines)
    };
    [
        named("kept", kept, ""),
        named("stubborn", stubborn, "stop = \"200ms\""),
        named("failing", "exit 3", ""),
    ]
}

#[test]
fn programs_run_on_through_a_handover() {
    alone("programs_run_on_through_a_handover", |test| {
        let [kept, stubborn, failing] = three_programs(test.path());
        // The runtime ends with the handover, as with execve(2), and its reaping task with it.
        let (pid, state, pipes) = runtime().block_on(async {
            let children = Children::default();
            let programs = [kept.clone(), stubborn, failing.clone()];
            let mut processes = Processes::start(&children, test.launcher(), &programs);
            children.reap().unwrap();
            let pid = test.written_pid("kept").await;
            test.written("stubborn").await;
            test.logged(&["failing", "exit code 3", "pause=400ms"])
                .await;
            processes.follow(&[kept.clone(), failing]);
            test.logged(&["stopping", "stubborn"]).await;
            let (state, pipes) = processes.hand_over().await;
            (pid, serde_json::to_string(&state).unwrap(), pipes)
        });
        test.log.lock().unwrap().clear();
        runtime().block_on(async {
            let children = Children::default();
            let state = serde_json::from_str(&state).unwrap();
            let mut processes = Processes::adopt(&children, test.launcher(), (state, pipes));
            children.reap().unwrap();
            test.logged(&["beat", "kept"]).await;
            // What was stopping is killed in time, and what rests has its pause.
            test.logged(&["stopped", "stubborn", "SIGKILL"]).await;
            test.logged(&["failing", "exit code 3", "pause=800ms"])
                .await;
            processes.follow(&[kept]);
            assert_eq!(test.written_pid("kept").await, pid, "it was started once");
            kill(pid, Signal::SIGKILL).unwrap();
            test.logged(&["ended on its own", "kept", "SIGKILL"]).await;
            eventually("the second start", || {
                let pids = fs::read_to_string(test.path().join("kept")).unwrap();
                if pids.lines().count() == 2 {
                    Ok(())
                } else {
                    Err(pids)
                }
            })
            .await;
            processes.stop().await;
            gone(pid).await;
        });
    });
}
