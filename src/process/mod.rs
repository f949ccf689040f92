//! Programs started and supervised by the gateway, such as PHP-FPM in the same container.
//!
//! One task, `keeper`, owns them all: it starts, reaps, restarts and stops them. The output of a program goes to our
//! log, line by line. As PID 1 the gateway also reaps orphans.

mod back_off;
mod keeper;
mod output;
mod section;

use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::section::Lowered;
use keeper::Keeper;
pub use section::PROCESS;

/// A program described by a `[process.NAME]` section.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name in the configuration and in the log.
    pub name: String,
    path: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    stop_signal: Signal,
    /// Time from `stop_signal` to SIGKILL.
    stop: Duration,
    /// Its section: a reload keeps a program whose section is unchanged.
    section: Lowered,
}

/// The programs to run, and the task that runs them.
#[derive(Debug)]
pub struct Processes {
    wanted: watch::Sender<Wanted>,
    keeper: Option<JoinHandle<()>>,
}

/// The target state of the programs.
#[derive(Clone, Debug)]
enum Wanted {
    These(Vec<Program>),
    /// All stopped, for good.
    Nothing,
    /// All killed at once.
    Dead,
}

impl Processes {
    /// Starts `programs` and keeps them running; must be called within a runtime. Fails only if SIGCHLD cannot be
    /// received.
    pub fn start(programs: &[Program]) -> std::io::Result<Self> {
        let (wanted, changes) = watch::channel(Wanted::These(programs.to_vec()));
        // Without children there is nothing to reap, except as PID 1, which inherits those of others.
        let idle = programs.is_empty() && Pid::this() != Pid::from_raw(1);
        let mut processes = Self {
            wanted,
            keeper: None,
        };
        if !idle {
            processes.keeper = Some(tokio::spawn(Keeper::new(changes)?.run()));
        }
        Ok(processes)
    }

    /// Starts new programs, stops removed ones, and keeps those with an unchanged section.
    pub fn follow(&mut self, programs: &[Program]) {
        self.wanted.send_replace(Wanted::These(programs.to_vec()));
        if self.keeper.is_some() || programs.is_empty() {
            return;
        }
        match Keeper::new(self.wanted.subscribe()) {
            Ok(keeper) => self.keeper = Some(tokio::spawn(keeper.run())),
            Err(error) => tracing::error!(%error, "no [process] can be started"),
        }
    }

    /// Stops all programs and waits for their end; each is killed after its `stop`.
    pub async fn stop(&mut self) {
        self.end(Wanted::Nothing).await;
    }

    /// Kills all programs and waits for their end.
    pub async fn kill(&mut self) {
        self.end(Wanted::Dead).await;
    }

    async fn end(&mut self, wanted: Wanted) {
        self.wanted.send_replace(wanted);
        if let Some(keeper) = &mut self.keeper {
            // The panic hook has logged a keeper that panicked.
            let _ = keeper.await;
            self.keeper = None;
        }
    }
}
