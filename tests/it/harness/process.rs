//! Programs that live as long as a value.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// A running program in a process group of its own; killed with all of the group and reaped when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    status: Option<ExitStatus>,
}

impl Process {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        match command.process_group(0).spawn() {
            Ok(child) => Self {
                child,
                status: None,
            },
            Err(error) => panic!("cannot start {}: {error}", command.get_program().display()),
        }
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Whether it has not ended.
    pub(crate) fn is_alive(&self) -> bool {
        self.status.is_none() && parent_of(self.pid().as_raw()).is_some()
    }

    /// Sends a signal to the program itself.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            kill(self.pid(), signal).unwrap();
        }
    }

    /// The processes that it has started and that have not ended.
    pub(crate) fn children(&self) -> Vec<Pid> {
        let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let ours = |pid: &i32| parent_of(*pid) == Some(self.pid().as_raw());
        pids.filter(ours).map(Pid::from_raw).collect()
    }

    /// Waits for the end, without a bound: the caller knows that it comes.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        self.status = Some(status);
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The gateway's server and programs have groups of their own.
        let children = self.children();
        for child in children {
            let _ = killpg(child, Signal::SIGKILL);
        }
        // Also when the leader has ended: its children may live on.
        let _ = killpg(self.pid(), Signal::SIGKILL);
        if self.status.is_none() {
            let _ = self.child.wait();
        }
    }
}

/// The parent of a process that has not ended.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may have any bytes, parentheses too.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    let state = words.next()?;
    words.next()?.parse().ok().filter(|_| state != "Z")
}

/// When a process was started, in ticks since the boot (proc_pid_stat(5)).
pub(crate) fn start_of(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let start = rest.split_whitespace().nth(19);
    start.and_then(|start| start.parse().ok()).unwrap_or(0)
}

/// The first of `names` in the directories where programs are, system directories included.
pub(crate) fn find_program(names: &[&str]) -> std::path::PathBuf {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/usr/bin:/usr/local/sbin";
    let candidates = names.iter().flat_map(|name| {
        let directories = std::env::split_paths(&path);
        directories
            .map(move |directory| directory.join(name))
            .collect::<Vec<_>>()
    });
    match candidates.into_iter().find(|file| file.is_file()) {
        Some(program) => program,
        None => panic!("none of {names:?} is installed; scripts/install-packages test brings it"),
    }
}
