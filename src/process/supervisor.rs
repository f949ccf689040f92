//! The task that owns all children. No other code starts one: each child that ends is reaped here.
//!
//! ```text
//! Resting(until) ──start──► Running ──ended──► Resting(until) …
//!                              │ not wanted any more
//!                              ▼
//!                          Stopping(killed at) ──ended──► gone
//! ```

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::back_off::BackOff;
use super::{Program, Wanted, output};

/// A time beyond every deadline, used if nothing is due.
const FAR: Duration = Duration::from_hours(24);

pub(super) struct Supervisor {
    ended: Signals,
    wanted: watch::Receiver<Wanted>,
    children: Vec<Child>,
}

#[derive(Debug)]
struct Child {
    program: Program,
    back_off: BackOff,
    state: State,
}

#[derive(Debug)]
enum State {
    Resting { until: Instant },
    Running { pid: Pid, since: Instant },
    Stopping { pid: Pid, killed_at: Instant },
    Gone,
}

impl Supervisor {
    /// Builds the supervisor, which receives SIGCHLD from now on.
    pub(super) fn new(wanted: watch::Receiver<Wanted>) -> std::io::Result<Self> {
        Ok(Self {
            ended: signal(SignalKind::child())?,
            wanted,
            children: Vec::new(),
        })
    }

    /// Runs until no program is wanted and all have ended.
    pub(super) async fn run(mut self) {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            self.reconcile(&wanted);
            self.reap();
            self.start_and_kill_due(Instant::now());
            self.children
                .retain(|child| !matches!(child.state, State::Gone));
            if self.children.is_empty() && !matches!(wanted, Wanted::Running(_)) {
                return;
            }
            let due = self.children.iter().filter_map(Child::due).min();
            tokio::select! {
                changed = self.wanted.changed() => if changed.is_err() { return },
                _ = self.ended.recv() => {}
                () = sleep_until(due.unwrap_or_else(|| Instant::now() + FAR)) => {}
            }
        }
    }

    /// Stops the programs that are no longer wanted, and adds new ones, due now.
    fn reconcile(&mut self, wanted: &Wanted) {
        let now = Instant::now();
        let programs = match wanted {
            Wanted::Running(programs) => programs.as_slice(),
            Wanted::Stopped => &[],
            Wanted::Killed => {
                self.children.iter_mut().for_each(Child::kill);
                return;
            }
        };
        for child in &mut self.children {
            if !programs.iter().any(|program| child.runs(program)) {
                child.stop(now);
            }
        }
        for program in programs {
            if !self.children.iter().any(|child| child.runs(program)) {
                self.children.push(Child {
                    program: program.clone(),
                    back_off: BackOff::default(),
                    state: State::Resting { until: now },
                });
            }
        }
    }

    /// Reaps ended children: one SIGCHLD may report many, and as PID 1 those of others too.
    fn reap(&mut self) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => {
                    self.record_exit(pid, &format!("exit code {code}"))
                }
                Ok(WaitStatus::Signaled(pid, by, _)) => self.record_exit(pid, by.as_str()),
                Err(Errno::EINTR) => {}
                // No child has ended, or there is none.
                Ok(_) | Err(_) => return,
            }
        }
    }

    fn record_exit(&mut self, pid: Pid, how: &str) {
        let ended = self
            .children
            .iter_mut()
            .find(|child| child.pid() == Some(pid));
        if let Some(child) = ended {
            child.handle_exit(how, Instant::now());
        }
    }

    /// Starts and kills the programs that are due.
    fn start_and_kill_due(&mut self, now: Instant) {
        // The same program under an old section has to be gone first: both use its socket.
        let stopping: Vec<_> = self
            .children
            .iter()
            .filter(|child| matches!(child.state, State::Stopping { .. }))
            .map(|child| child.program.name.clone())
            .collect();
        for child in &mut self.children {
            match child.state {
                State::Resting { until } if until <= now => {
                    if !stopping.contains(&child.program.name) {
                        child.start(now);
                    }
                }
                State::Stopping { killed_at, .. } if killed_at <= now => {
                    tracing::warn!(
                        process = child.program.name,
                        "did not exit within `stop`: killed"
                    );
                    child.kill();
                }
                State::Resting { .. }
                | State::Running { .. }
                | State::Stopping { .. }
                | State::Gone => {}
            }
        }
    }
}

impl Child {
    /// Reports whether it runs `program` with its current section, and is not stopping.
    fn runs(&self, program: &Program) -> bool {
        let stays = matches!(self.state, State::Resting { .. } | State::Running { .. });
        stays && self.program == *program
    }

    fn pid(&self) -> Option<Pid> {
        match self.state {
            State::Running { pid, .. } | State::Stopping { pid, .. } => Some(pid),
            State::Resting { .. } | State::Gone => None,
        }
    }

    fn due(&self) -> Option<Instant> {
        match self.state {
            State::Resting { until } => Some(until),
            State::Stopping { killed_at, .. } => Some(killed_at),
            State::Running { .. } | State::Gone => None,
        }
    }

    fn start(&mut self, now: Instant) {
        let name = &self.program.name;
        match spawn(&self.program) {
            Ok(pid) => {
                tracing::info!(process = name, pid = pid.as_raw(), "started");
                self.state = State::Running { pid, since: now };
            }
            Err(error) => {
                let pause = self.back_off.record_exit(Duration::ZERO);
                tracing::error!(process = name, path = self.program.path, %error, ?pause, "cannot be started; the next attempt follows the pause");
                self.state = State::Resting { until: now + pause };
            }
        }
    }

    fn stop(&mut self, now: Instant) {
        match self.state {
            State::Running { pid, .. } => {
                let name = &self.program.name;
                tracing::info!(
                    process = name,
                    signal = self.program.stop_signal,
                    "stopping"
                );
                // A child that has just ended is no error.
                let _ = kill(pid, Signal::try_from(self.program.stop_signal).ok());
                let killed_at = now + self.program.stop;
                self.state = State::Stopping { pid, killed_at };
            }
            State::Resting { .. } => self.state = State::Gone,
            State::Stopping { .. } | State::Gone => {}
        }
    }

    /// Kills the child with its process group; one that has just ended is no error.
    fn kill(&mut self) {
        self.state = match self.pid() {
            Some(pid) => {
                let _ = killpg(pid, Signal::SIGKILL);
                let killed_at = Instant::now() + FAR;
                State::Stopping { pid, killed_at }
            }
            None => State::Gone,
        };
    }

    fn handle_exit(&mut self, how: &str, now: Instant) {
        if let Some(pid) = self.pid() {
            // PHP's workers outlive a master that was killed and go on accepting beside the next one.
            let _ = killpg(pid, Signal::SIGKILL);
        }
        let name = &self.program.name;
        match self.state {
            State::Running { since, .. } => {
                let pause = self
                    .back_off
                    .record_exit(now.saturating_duration_since(since));
                if self.back_off.is_loop() {
                    tracing::error!(
                        process = name,
                        how,
                        ?pause,
                        "restart loop: it exits again and again soon after its start; see its own log lines above"
                    );
                } else {
                    tracing::warn!(
                        process = name,
                        how,
                        ?pause,
                        "ended on its own; restarted after the pause"
                    );
                }
                self.state = State::Resting { until: now + pause };
            }
            State::Stopping { .. } => {
                tracing::info!(process = name, how, "stopped");
                self.state = State::Gone;
            }
            State::Resting { .. } | State::Gone => {}
        }
    }
}

/// Starts `program` in a process group of its own: Ctrl-C is for the gateway, which stops it after the drain.
fn spawn(program: &Program) -> std::io::Result<Pid> {
    let (reader, writer) = std::io::pipe()?;
    let child = Command::new(&program.path)
        .args(&program.arguments)
        .env_clear()
        .envs(
            program
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()?;
    // A program with an unread pipe would block on it when it is full: logged as an error.
    if let Err(error) = output::pass_on(program.name.clone(), OwnedFd::from(reader)) {
        tracing::error!(process = program.name, %error, "its output cannot be read");
    }
    i32::try_from(child.id())
        .map(Pid::from_raw)
        .map_err(std::io::Error::other)
}
