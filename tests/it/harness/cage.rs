//! A bound on the memory of a program, as a container has it (cgroups(7)), and a look at what the program uses.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A memory control group; removed when dropped, once the programs in it have ended.
pub(crate) struct Cage {
    directory: PathBuf,
}

/// Joins the group whose folder is the first argument, and becomes the program in the others.
const JOIN: &str = "echo $$ >\"$0/cgroup.procs\" && exec \"$@\"";

/// Between two looks at memory.
const PAUSE: Duration = Duration::from_millis(10);

/// How often removing is tried while the kernel takes a program's memory back.
const ATTEMPTS: usize = 100;

impl Cage {
    /// Makes a group of at most `bytes`; `None` where this machine or user may not.
    pub(crate) fn new(bytes: u64) -> Option<Self> {
        let root = Path::new("/sys/fs/cgroup");
        let kinds = [
            (root.join("memory"), "memory.limit_in_bytes"),
            (root.to_owned(), "memory.max"),
        ];
        kinds.iter().find_map(|(parent, limit)| {
            let mut name = tempfile::Builder::new();
            let name = name.prefix("fcgate-test-");
            // Only the kernel makes files in it, and it takes them away with the folder.
            let directory = name.tempdir_in(parent).ok()?.keep();
            let cage = Self { directory };
            let limit = cage.directory.join(limit);
            if !limit.exists() || std::fs::write(limit, bytes.to_string()).is_err() {
                return None;
            }
            // Where there is swap, version 2 counts it apart.
            let _ = std::fs::write(cage.directory.join("memory.swap.max"), "0");
            Some(cage)
        })
    }

    /// What starts a program in it (see `GatewaySetup::under`).
    pub(crate) fn launcher(&self) -> Vec<String> {
        let directory = self.directory.display().to_string();
        ["sh", "-c", JOIN, &directory].map(str::to_owned).to_vec()
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        for _ in 0..ATTEMPTS {
            if std::fs::remove_dir(&self.directory).is_ok() {
                return;
            }
            // In a drop nothing can be awaited: the kernel keeps the directory until the last process is reaped.
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Memory of a process that no file holds, in KiB (RssAnon, proc_pid_status(5)); `None` once it has ended.
pub(crate) fn anonymous_kib(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Looks at the memory of a process again and again, on a thread of its own.
pub(crate) struct Watch {
    thread: JoinHandle<u64>,
    ended: Sender<()>,
}

impl Watch {
    pub(crate) fn begin(process: u32) -> Self {
        let (ended, ending) = channel();
        let thread = std::thread::spawn(move || {
            let mut most = 0;
            loop {
                most = most.max(anonymous_kib(process).unwrap_or(0));
                if ending.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout) {
                    return most;
                }
            }
        });
        Self { thread, ended }
    }

    /// The most that it had since, in KiB.
    pub(crate) fn peak_kib(self) -> u64 {
        drop(self.ended);
        self.thread.join().unwrap()
    }
}
