//! Programs started and supervised by the gateway, such as PHP-FPM in the same container.
//!
//! One task, `supervisor`, owns them all: it starts, reaps, restarts and stops them. The output of a program goes to our
//! log, line by line. As PID 1 the gateway also reaps orphans.

mod back_off;
mod output;
mod section;
mod supervisor;

use std::time::Duration;

use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use back_off::BackOff;
pub use section::PROCESS;
pub(crate) use section::{COMMAND, ENVIRONMENT};
use supervisor::Supervisor;

/// A program described by a `[process.NAME]` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its name in the configuration and in the log.
    pub name: String,
    path: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    stop_signal: i32,
    /// Time from `stop_signal` to SIGKILL.
    stop: Duration,
}

/// The programs to run, and the task that runs them.
#[derive(Debug)]
pub struct Processes {
    wanted: watch::Sender<Wanted>,
    supervisor: Option<JoinHandle<()>>,
}

/// The target state of the programs.
#[derive(Clone, Debug)]
enum Wanted {
    Running(Vec<Program>),
    /// All stopped, for good.
    Stopped,
    /// All killed at once.
    Killed,
}

impl Processes {
    /// Starts `programs` and keeps them running; must be called within a runtime. Fails only if SIGCHLD cannot be
    /// received.
    pub fn start(programs: &[Program]) -> std::io::Result<Self> {
        let (wanted, changes) = watch::channel(Wanted::Running(programs.to_vec()));
        // Without children there is nothing to reap, except as PID 1, which inherits those of others.
        let idle = programs.is_empty() && Pid::this() != Pid::from_raw(1);
        let mut processes = Self {
            wanted,
            supervisor: None,
        };
        if !idle {
            processes.supervisor = Some(tokio::spawn(Supervisor::new(changes)?.run()));
        }
        Ok(processes)
    }

    /// Starts new programs, stops removed ones, and keeps those with an unchanged section.
    pub fn follow(&mut self, programs: &[Program]) {
        self.wanted.send_replace(Wanted::Running(programs.to_vec()));
        if self.supervisor.is_some() || programs.is_empty() {
            return;
        }
        match Supervisor::new(self.wanted.subscribe()) {
            Ok(supervisor) => self.supervisor = Some(tokio::spawn(supervisor.run())),
            Err(error) => tracing::error!(%error, "cannot start any [process]"),
        }
    }

    /// Stops all programs and waits for their end; each is killed after its `stop`.
    pub async fn stop(&mut self) {
        self.end(Wanted::Stopped).await;
    }

    /// Kills all programs and waits for their end.
    pub async fn kill(&mut self) {
        self.end(Wanted::Killed).await;
    }

    async fn end(&mut self, wanted: Wanted) {
        self.wanted.send_replace(wanted);
        if let Some(supervisor) = &mut self.supervisor {
            // The panic hook has logged a supervisor that panicked.
            let _ = supervisor.await;
            self.supervisor = None;
        }
    }
}
