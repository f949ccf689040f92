//! The launch of a program: a process of ours takes the program's user, limits and parent-death signal, and then executes
//! it. A process of its own, because the parent-death signal has to follow the change of the user, which clears it
//! (PR_SET_PDEATHSIG(2const)), and because only this needs no code between fork(2) and execve(2).

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::getppid;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::children::{Child, Children, Ended, Scope};
use super::program::{Program, StopSignal};
use crate::privilege::User;

/// Starts programs by the hidden command `launch` of this program.
#[derive(Clone, Debug)]
pub struct Launcher {
    program: PathBuf,
    arguments: Vec<String>,
    attributes: Attributes,
}

/// Process attributes that programs inherit, as they were when fcgate started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    umask: u32,
    /// The soft limit of open files, which the gateway raises for itself: programs with select(2) need it.
    open_files: u64,
}

/// A program that is being launched.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) child: Child,
    pub(super) ended: Ended,
    /// The reason why it cannot be started; empty once it has been executed.
    pub(super) failure: oneshot::Receiver<String>,
    /// Its output.
    pub(super) output: OwnedFd,
}

/// The argument of the command `launch`.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    path: String,
    arguments: Vec<String>,
    user: User,
    death_signal: StopSignal,
    /// The process that starts it.
    parent: i32,
    attributes: Attributes,
}

/// A launch that failed.
#[derive(Debug, thiserror::Error)]
enum LaunchError {
    #[error("{0}")]
    Order(#[from] serde_json::Error),
    #[error("cannot open /dev/null: {0}")]
    Null(io::Error),
    #[error("cannot restore the limit on open files: {0}")]
    OpenFiles(nix::Error),
    #[error(transparent)]
    User(#[from] super::user::ChangeError),
    #[error("cannot set the parent-death signal: {0}")]
    DeathSignal(nix::Error),
    #[error("fcgate has ended")]
    Orphaned,
    #[error("{0}")]
    Execute(io::Error),
}

impl Attributes {
    /// Returns those of this process. Must be called before another thread starts: it changes the umask for a moment.
    pub fn capture() -> Self {
        let mask = umask(Mode::empty());
        umask(mask);
        let open_files = getrlimit(Resource::RLIMIT_NOFILE);
        Self {
            umask: mask.bits(),
            open_files: open_files.map_or(u64::MAX, |(soft, _)| soft),
        }
    }

    fn restore(self) -> Result<(), LaunchError> {
        umask(Mode::from_bits_truncate(self.umask));
        let restored = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| {
            setrlimit(Resource::RLIMIT_NOFILE, self.open_files.min(hard), hard)
        });
        restored.map_err(LaunchError::OpenFiles)
    }
}

impl Launcher {
    /// Builds a launcher of programs with these attributes.
    pub fn new(attributes: Attributes) -> Self {
        Self::by(&["launch"], attributes)
    }

    /// Builds a launcher that executes this program with these arguments before the order.
    pub(super) fn by(arguments: &[&str], attributes: Attributes) -> Self {
        Self {
            // It is there, and the same, when the file was replaced.
            program: PathBuf::from("/proc/self/exe"),
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            attributes,
        }
    }

    /// Starts `program` in a process group of its own: Ctrl-C is for the gateway, which stops it after the drain.
    pub(super) fn launch(&self, program: &Program, children: &Children) -> io::Result<Launch> {
        let (output, writer) = io::pipe()?;
        program.user.give(&writer);
        let (report, reporter) = io::pipe()?;
        let mut command = Command::new(&self.program);
        command
            .arg0("fcgate")
            .args(&self.arguments)
            .arg(serde_json::to_string(&Order::new(
                program,
                self.attributes,
            ))?)
            .env_clear()
            .envs(&program.environment)
            .stdin(Stdio::from(reporter))
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let (child, ended) = children
            .spawn(&mut command, Scope::Group)
            .map_err(|error| {
                let path = self.program.display();
                io::Error::new(error.kind(), format!("{path}: {error}"))
            })?;
        let report = pipe::Receiver::from_owned_fd(OwnedFd::from(report))?;
        let (sender, failure) = oneshot::channel();
        tokio::spawn(async move { sender.send(read_report(report).await) });
        Ok(Launch {
            child,
            ended,
            failure,
            output: OwnedFd::from(output),
        })
    }
}

/// Limit of a report in bytes: one sentence with a path.
const LONGEST_REPORT: u64 = 4096;

/// Reads the report to its end: the program is executed, or the launching process has ended.
async fn read_report(report: pipe::Receiver) -> String {
    let mut bytes = Vec::new();
    // An error is an end.
    let _ = report.take(LONGEST_REPORT).read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Order {
    fn new(program: &Program, attributes: Attributes) -> Self {
        Self {
            path: program.path.clone(),
            arguments: program.arguments.clone(),
            user: program.user.clone(),
            death_signal: program.stop_signal,
            parent: i32::try_from(std::process::id()).unwrap_or_default(),
            attributes,
        }
    }

    /// Executes the program in place of this process.
    fn execute(self) -> Result<Infallible, LaunchError> {
        let null = File::open("/dev/null").map_err(LaunchError::Null)?;
        rustix::stdio::dup2_stdin(null).map_err(|error| LaunchError::Null(error.into()))?;
        self.attributes.restore()?;
        self.user.apply()?;
        set_pdeathsig(Signal::from(self.death_signal)).map_err(LaunchError::DeathSignal)?;
        // The parent may have ended before the signal was set.
        if getppid().as_raw() != self.parent {
            return Err(LaunchError::Orphaned);
        }
        Err(LaunchError::Execute(
            Command::new(&self.path).args(&self.arguments).exec(),
        ))
    }
}

/// Executes the program of `order` in place of this process. Returns if that fails; then the reason was written to stdin,
/// the pipe of the [`Launcher`].
pub fn launch(order: &str) {
    // A clone has FD_CLOEXEC: its end tells the launcher that the program runs.
    let Ok(report) = io::stdin().as_fd().try_clone_to_owned() else {
        return;
    };
    let launched = serde_json::from_str(order)
        .map_err(LaunchError::from)
        .and_then(Order::execute);
    let Err(error) = launched;
    // The launcher may be gone.
    let _ = File::from(report).write_all(error.to_string().as_bytes());
}
