//! One supervised program.
//!
//! ```text
//! Resting(until) ──start──► Running ──exit──► Resting(until) …
//!                              │ not wanted any more
//!                              ▼
//!                          Stopping(killed at) ──exit──► gone
//! ```

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::unistd::Pid;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::back_off::BackOff;
use super::children::{Child, Children, Ended, Exit, Scope};
use super::handover::{Condition, HandedOver};
use super::launch::Launcher;
use super::output::Outputs;
use super::program::Program;

/// A time beyond every deadline, used if nothing is due.
pub(super) const FAR: Duration = Duration::from_hours(24);

/// A program, and what it is doing.
#[derive(Debug)]
pub(super) struct Supervised {
    program: Program,
    back_off: BackOff,
    state: State,
}

#[derive(Debug)]
enum State {
    Resting {
        until: Instant,
    },
    Running(Running),
    Stopping {
        running: Running,
        killed_at: Instant,
    },
    Gone,
}

#[derive(Debug)]
struct Running {
    child: Child,
    ended: Ended,
    since: Instant,
    /// `None` once it is known, and `failure` has it.
    launch: Option<oneshot::Receiver<String>>,
    /// The reason of a failed launch.
    failure: Option<String>,
    exit: Option<Exit>,
}

impl Supervised {
    /// Builds a program that is due now.
    pub(super) fn new(program: Program, now: Instant) -> Self {
        Self {
            program,
            back_off: BackOff::default(),
            state: State::Resting { until: now },
        }
    }

    /// Returns the name of the program.
    pub(super) fn name(&self) -> &str {
        &self.program.name
    }

    /// Reports whether it runs `program`, and is not stopping.
    pub(super) fn runs(&self, program: &Program) -> bool {
        let stays = matches!(self.state, State::Resting { .. } | State::Running(_));
        stays && self.program == *program
    }

    pub(super) fn is_stopping(&self) -> bool {
        matches!(self.state, State::Stopping { .. })
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Returns the time of its next start or kill.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Resting { until } => Some(until),
            State::Stopping { killed_at, .. } => Some(killed_at),
            State::Running(_) | State::Gone => None,
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.due().is_some_and(|due| due <= now)
    }

    /// Starts it if it is due.
    pub(super) fn start_due(
        &mut self,
        (launcher, children): (&Launcher, &Children),
        outputs: &mut Outputs,
    ) {
        let now = Instant::now();
        if !matches!(self.state, State::Resting { .. }) || !self.is_due(now) {
            return;
        }
        match launcher.launch(&self.program, children) {
            Ok(launch) => {
                outputs.read(self.program.name.clone(), launch.output);
                self.state = State::Running(Running {
                    child: launch.child,
                    ended: launch.ended,
                    since: now,
                    launch: Some(launch.failure),
                    failure: None,
                    exit: None,
                });
            }
            Err(error) => self.rest_after_failure(&error.to_string(), now),
        }
    }

    /// Kills it if it has not exited within `stop`.
    pub(super) fn kill_due(&mut self) {
        if self.is_stopping() && self.is_due(Instant::now()) {
            tracing::warn!(process = self.name(), "did not exit within `stop`: killed");
            self.kill();
        }
    }

    /// Sends the stop signal.
    pub(super) fn stop(&mut self, now: Instant) {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Running(running) => {
                let signal = self.program.stop_signal.into();
                tracing::info!(process = self.name(), %signal, "stopping");
                running.child.signal(signal);
                let killed_at = now + self.program.stop;
                State::Stopping { running, killed_at }
            }
            State::Resting { .. } => State::Gone,
            state @ (State::Stopping { .. } | State::Gone) => state,
        };
    }

    /// Kills it with its process group.
    pub(super) fn kill(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Running(running) | State::Stopping { running, .. } => {
                running.child.kill_group();
                let killed_at = Instant::now() + FAR;
                State::Stopping { running, killed_at }
            }
            State::Resting { .. } | State::Gone => State::Gone,
        };
    }

    /// Waits for its exit, and handles it.
    pub(super) fn poll_exit(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let is_stopping = self.is_stopping();
        let (State::Running(running) | State::Stopping { running, .. }) = &mut self.state else {
            return Poll::Pending;
        };
        if running.poll_launch(context) && !is_stopping {
            let pid = running.child.pid().as_raw();
            tracing::info!(process = self.program.name, pid, "started");
        }
        let exit = ready!(running.poll_exit(context));
        self.handle_exit(exit, Instant::now());
        Poll::Ready(())
    }

    fn handle_exit(&mut self, exit: Exit, now: Instant) {
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Running(running) => match running.failure {
                Some(error) => self.rest_after_failure(&error, now),
                None => self.rest_after_exit(exit, now.saturating_duration_since(running.since)),
            },
            State::Stopping { .. } => {
                tracing::info!(process = self.name(), how = %exit, "stopped");
            }
            State::Resting { .. } | State::Gone => {}
        }
    }

    fn rest_after_failure(&mut self, error: &str, now: Instant) {
        let pause = self.back_off.record_exit(Duration::ZERO);
        let Program { name, path, .. } = &self.program;
        tracing::error!(
            process = name,
            path,
            error,
            ?pause,
            "cannot be started; the next attempt follows the pause"
        );
        self.state = State::Resting { until: now + pause };
    }

    fn rest_after_exit(&mut self, exit: Exit, ran: Duration) {
        let pause = self.back_off.record_exit(ran);
        let (process, how) = (self.name(), exit);
        if self.back_off.is_loop() {
            tracing::error!(process, %how, ?pause, "restart loop: it exits again and again soon after its start; see its own log lines above");
        } else {
            tracing::warn!(process, %how, ?pause, "ended on its own; restarted after the pause");
        }
        self.state = State::Resting {
            until: Instant::now() + pause,
        };
    }

    /// Returns it for another program in this process.
    pub(super) fn hand_over(self, now: Instant) -> Option<HandedOver> {
        let condition = match self.state {
            State::Resting { until } => Condition::Resting {
                left: until.saturating_duration_since(now),
            },
            State::Running(running) => Condition::Running {
                pid: running.child.pid().as_raw(),
                ran: now.saturating_duration_since(running.since),
            },
            State::Stopping { running, killed_at } => Condition::Stopping {
                pid: running.child.pid().as_raw(),
                left: killed_at.saturating_duration_since(now),
            },
            State::Gone => return None,
        };
        Some(HandedOver {
            program: self.program,
            back_off: self.back_off,
            condition,
        })
    }

    /// Takes it over.
    pub(super) fn adopt(handed: HandedOver, children: &Children, now: Instant) -> Self {
        let state = match handed.condition {
            Condition::Resting { left } => State::Resting { until: now + left },
            Condition::Running { pid, ran } => match Running::adopt(pid, ran, children, now) {
                Some(running) => State::Running(running),
                None => State::Resting { until: now },
            },
            Condition::Stopping { pid, left } => {
                match Running::adopt(pid, Duration::ZERO, children, now) {
                    Some(running) => State::Stopping {
                        running,
                        killed_at: now + left,
                    },
                    None => State::Gone,
                }
            }
        };
        Self {
            program: handed.program,
            back_off: handed.back_off,
            state,
        }
    }
}

impl Running {
    fn adopt(pid: i32, ran: Duration, children: &Children, now: Instant) -> Option<Self> {
        let (child, ended) = children.adopt(Pid::from_raw(pid), Scope::Group)?;
        Some(Self {
            child,
            ended,
            since: now.checked_sub(ran).unwrap_or(now),
            launch: None,
            failure: None,
            exit: None,
        })
    }

    /// Polls the launch. Reports whether the program has just been executed.
    fn poll_launch(&mut self, context: &mut Context<'_>) -> bool {
        let Some(launch) = &mut self.launch else {
            return false;
        };
        let Poll::Ready(failure) = Pin::new(launch).poll(context) else {
            return false;
        };
        self.launch = None;
        self.failure = failure.ok().filter(|failure| !failure.is_empty());
        self.failure.is_none()
    }

    /// Waits for the exit, and for the result of the launch, which comes with the exit at the latest.
    fn poll_exit(&mut self, context: &mut Context<'_>) -> Poll<Exit> {
        let exit = match self.exit {
            Some(exit) => exit,
            None => *self
                .exit
                .insert(ready!(Pin::new(&mut self.ended).poll(context))),
        };
        if self.launch.is_some() {
            return Poll::Pending;
        }
        Poll::Ready(exit)
    }
}
