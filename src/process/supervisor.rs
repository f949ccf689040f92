//! The task that owns all programs.

use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::children::Children;
use super::handover::Handover;
use super::launch::Launcher;
use super::output::Outputs;
use super::program::Program;
use super::supervised::{FAR, Supervised};

/// The target state of the programs.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    Running(Vec<Program>),
    /// All stopped, for good.
    Stopped,
    /// All killed at once.
    Killed,
    /// Left alone, for another program in this process.
    HandedOver,
}

pub(super) struct Supervisor {
    children: Children,
    launcher: Launcher,
    wanted: watch::Receiver<Wanted>,
    programs: Vec<Supervised>,
    outputs: Outputs,
}

impl Supervisor {
    pub(super) fn new(
        children: &Children,
        launcher: Launcher,
        wanted: watch::Receiver<Wanted>,
    ) -> Self {
        Self {
            children: children.clone(),
            launcher,
            wanted,
            programs: Vec::new(),
            outputs: Outputs::default(),
        }
    }

    /// Takes over the programs of a handover, and their output pipes.
    pub(super) fn adopt(&mut self, handover: Handover, pipes: Vec<OwnedFd>) {
        let now = Instant::now();
        let programs = handover.programs.into_iter();
        self.programs
            .extend(programs.map(|handed| Supervised::adopt(handed, &self.children, now)));
        for (name, pipe) in handover.outputs.into_iter().zip(pipes) {
            self.outputs.read(name, pipe);
        }
    }

    /// Runs until no program is wanted and all have ended, or until they are handed over.
    pub(super) async fn run(mut self) -> (Handover, Vec<OwnedFd>) {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            self.reconcile(&wanted);
            self.start_and_kill_due();
            self.programs.retain(|program| !program.is_gone());
            match wanted {
                Wanted::HandedOver => return self.hand_over().await,
                Wanted::Running(_) => {}
                Wanted::Stopped | Wanted::Killed if self.programs.is_empty() => {
                    self.outputs.detach();
                    return Default::default();
                }
                Wanted::Stopped | Wanted::Killed => {}
            }
            let due = self.programs.iter().filter_map(Supervised::due).min();
            tokio::select! {
                // The owner has gone without a word: the programs run on.
                changed = self.wanted.changed() => if changed.is_err() { return Default::default() },
                () = poll_fn(|context| poll_exits(&mut self.programs, context)) => {}
                () = sleep_until(due.unwrap_or_else(|| Instant::now() + FAR)) => {}
            }
        }
    }

    /// Stops the programs that are no longer wanted, and adds new ones, due now.
    fn reconcile(&mut self, wanted: &Wanted) {
        let now = Instant::now();
        let wanted = match wanted {
            Wanted::Running(programs) => programs.as_slice(),
            Wanted::Stopped => &[],
            Wanted::Killed => {
                self.programs.iter_mut().for_each(Supervised::kill);
                return;
            }
            Wanted::HandedOver => return,
        };
        for program in &mut self.programs {
            if !wanted.iter().any(|wanted| program.runs(wanted)) {
                program.stop(now);
            }
        }
        for wanted in wanted {
            if !self.programs.iter().any(|program| program.runs(wanted)) {
                self.programs.push(Supervised::new(wanted.clone(), now));
            }
        }
    }

    /// Starts and kills the programs that are due.
    fn start_and_kill_due(&mut self) {
        // The same program with other settings has to be gone first: both use its socket.
        let stopping: Vec<_> = self
            .programs
            .iter()
            .filter(|program| program.is_stopping())
            .map(|program| program.name().to_owned())
            .collect();
        for program in &mut self.programs {
            program.kill_due();
            if !stopping.iter().any(|name| name == program.name()) {
                program.start_due((&self.launcher, &self.children), &mut self.outputs);
            }
        }
    }

    async fn hand_over(self) -> (Handover, Vec<OwnedFd>) {
        let now = Instant::now();
        let handed = self.programs.into_iter();
        let programs = handed.filter_map(|program| program.hand_over(now));
        let (outputs, pipes) = self.outputs.hand_over().await.into_iter().unzip();
        let handover = Handover {
            programs: programs.collect(),
            outputs,
        };
        (handover, pipes)
    }
}

/// Waits until programs have exited, and handles that.
fn poll_exits(programs: &mut [Supervised], context: &mut Context<'_>) -> Poll<()> {
    let exits = programs
        .iter_mut()
        .map(|program| program.poll_exit(context));
    // Each is polled, so that each wakes the task.
    if exits.filter(Poll::is_ready).count() > 0 {
        Poll::Ready(())
    } else {
        Poll::Pending
    }
}
