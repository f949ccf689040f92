//! Programs started and supervised by the gateway, such as PHP-FPM in the same container.
//!
//! One task, `supervisor`, owns them all: it starts, restarts and stops them. Another, `children`, reaps all children of
//! the process. The output of a program goes to our log, line by line.

mod back_off;
mod children;
mod handover;
mod launch;
mod output;
mod program;
mod section;
mod supervised;
mod supervisor;
#[cfg(test)]
mod tests;
mod user;

use std::os::fd::OwnedFd;

use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use back_off::BackOff;
pub use children::{Child, Children, Ended, Exit, Scope};
pub use handover::Handover;
pub use launch::{Attributes, Launcher, launch};
pub use program::Program;
pub use section::PROCESS;
pub(crate) use section::{COMMAND, ENVIRONMENT};
use supervisor::{Supervisor, Wanted};

/// Limit of the number of programs, which bounds the grant of a server and the output pipes of its parent. Pools of PHP-FPM
/// are many; programs are few, each a section that somebody has written.
pub const MOST: usize = 64;

/// The programs to run, and the task that runs them.
#[derive(Debug)]
pub struct Processes {
    wanted: watch::Sender<Wanted>,
    supervisor: Option<JoinHandle<(Handover, Vec<OwnedFd>)>>,
}

impl Processes {
    /// Starts `programs` and keeps them running; must be called within a runtime, whose thread has to live as long as the
    /// programs: their parent-death signal is bound to it.
    pub fn start(children: &Children, launcher: Launcher, programs: &[Program]) -> Self {
        let (wanted, changes) = watch::channel(Wanted::Running(programs.to_vec()));
        Self::run(wanted, Supervisor::new(children, launcher, changes))
    }

    /// Takes over the programs of a [`Handover`], and its descriptors in their order. Must be called before the
    /// children are reaped.
    pub fn adopt(
        children: &Children,
        launcher: Launcher,
        (handover, pipes): (Handover, Vec<OwnedFd>),
    ) -> Self {
        let (wanted, changes) = watch::channel(Wanted::Running(handover.wanted()));
        let mut supervisor = Supervisor::new(children, launcher, changes);
        supervisor.adopt(handover, pipes);
        Self::run(wanted, supervisor)
    }

    fn run(wanted: watch::Sender<Wanted>, supervisor: Supervisor) -> Self {
        Self {
            wanted,
            supervisor: Some(tokio::spawn(supervisor.run())),
        }
    }

    /// Starts new programs, stops removed ones, and keeps the unchanged ones.
    pub fn follow(&self, programs: &[Program]) {
        self.wanted.send_replace(Wanted::Running(programs.to_vec()));
    }

    /// Stops all programs and waits for their end; each is killed after its `stop`.
    pub async fn stop(&mut self) {
        self.end(Wanted::Stopped).await;
    }

    /// Kills all programs and waits for their end.
    pub async fn kill(&mut self) {
        self.end(Wanted::Killed).await;
    }

    /// Ends the supervision and leaves the programs running. Returns their state, and the pipes of their output, which
    /// [`Self::adopt`] takes: in this process, of this program or, after execve(2), of another.
    pub async fn hand_over(&mut self) -> (Handover, Vec<OwnedFd>) {
        self.end(Wanted::HandedOver).await
    }

    async fn end(&mut self, wanted: Wanted) -> (Handover, Vec<OwnedFd>) {
        self.wanted.send_replace(wanted);
        let Some(supervisor) = &mut self.supervisor else {
            return Default::default();
        };
        // The panic hook has logged a supervisor that panicked.
        let ended = supervisor.await.unwrap_or_default();
        self.supervisor = None;
        ended
    }
}
