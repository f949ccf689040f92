//! Programs that the gateway starts and looks after: PHP-FPM in the same container, most of all.
//!
//! One task owns them all, `keeper`: it starts, reaps, restarts and stops. What a program writes goes to
//! our log, line by line. As PID 1 it also reaps the orphans of others.

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
pub(crate) use section::{COMMAND, ENVIRONMENT};

/// A `[process.NAME]` section, understood.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name in the configuration and in the log.
    pub name: String,
    path: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    stop_signal: Signal,
    /// From the signal until it is killed.
    stop: Duration,
    /// What it was made from: a reload keeps a program that is described as before.
    section: Lowered,
}

/// All programs that are to run, and the task that sees to it.
#[derive(Debug)]
pub struct Processes {
    wanted: watch::Sender<Wanted>,
    keeper: Option<JoinHandle<()>>,
}

/// What is to run.
#[derive(Clone, Debug)]
enum Wanted {
    These(Vec<Program>),
    /// None, for good.
    Nothing,
    /// None, and at once.
    Dead,
}

impl Processes {
    /// Starts `programs` and keeps them running; must be called within a runtime. Fails only where
    /// the end of children cannot be heard of (SIGCHLD).
    pub fn start(programs: &[Program]) -> std::io::Result<Self> {
        let (wanted, changes) = watch::channel(Wanted::These(programs.to_vec()));
        // Whoever has no children has nothing to reap, but that PID 1 inherits those of others.
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

    /// Starts what is new in `programs`, stops what is gone, and leaves alone what is as before.
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

    /// Stops all and returns when they have ended; each is killed when its `stop` has passed.
    pub async fn stop(&mut self) {
        self.end(Wanted::Nothing).await;
    }

    /// Kills all and returns when they have ended.
    pub async fn kill(&mut self) {
        self.end(Wanted::Dead).await;
    }

    async fn end(&mut self, wanted: Wanted) {
        self.wanted.send_replace(wanted);
        if let Some(keeper) = &mut self.keeper {
            // A keeper that panicked has said so.
            let _ = keeper.await;
            self.keeper = None;
        }
    }
}
