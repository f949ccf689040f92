//! The children of this process. One task reaps all of them, and the orphans that come to it, and hands each exit to the
//! owner of the child.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use rustix::io::Errno;
use rustix::process::{WaitOptions, WaitStatus, wait};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// The running children of this process, cheap to clone. No other code may wait for a child.
#[derive(Clone, Debug, Default)]
pub struct Children(Arc<Mutex<HashMap<Pid, Registered>>>);

/// A child that has not been reaped.
#[derive(Debug)]
struct Registered {
    exit: oneshot::Sender<Exit>,
    scope: Scope,
}

/// Extent of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The process alone.
    Process,
    /// The process group that it leads. The rest of the group is killed when the leader exits.
    Group,
}

/// A child, to send it signals.
#[derive(Clone, Debug)]
pub struct Child {
    pid: Pid,
    children: Children,
}

/// The future exit of a child. It never completes if the child was adopted again.
#[derive(Debug)]
pub struct Ended(oneshot::Receiver<Exit>);

/// Cause of the end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl Children {
    /// Starts the task that reaps, and makes orphans of the children children of this process, as they are of an init.
    /// Must be called within a runtime, after all adoptions.
    pub fn reap(&self) -> io::Result<()> {
        let mut ended = signal(SignalKind::child())?;
        // Where that is refused, orphans go to the init.
        let _ = set_child_subreaper(true);
        let children = self.clone();
        tokio::spawn(async move {
            // One SIGCHLD may report many exits, and those before the task began are reported by none.
            loop {
                children.reap_ended();
                if ended.recv().await.is_none() {
                    return;
                }
            }
        });
        Ok(())
    }

    /// Starts a child. For [`Scope::Group`] it leads a process group of its own.
    pub fn spawn(&self, command: &mut Command, scope: Scope) -> io::Result<(Child, Ended)> {
        use std::os::unix::process::CommandExt;
        if scope == Scope::Group {
            command.process_group(0);
        }
        // With the lock, so that it is registered before it can be reaped.
        let mut registered = self.lock();
        let child = command.spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        Ok(self.register(Pid::from_raw(pid), scope, &mut registered))
    }

    /// Takes over a child that this process started before it executed its present program. `None` if it has no such
    /// child.
    pub fn adopt(&self, pid: Pid, scope: Scope) -> Option<(Child, Ended)> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let mut registered = self.lock();
        let is_child = waitid(Id::Pid(pid), flags) != Err(nix::errno::Errno::ECHILD);
        is_child.then(|| self.register(pid, scope, &mut registered))
    }

    fn register(
        &self,
        pid: Pid,
        scope: Scope,
        registered: &mut HashMap<Pid, Registered>,
    ) -> (Child, Ended) {
        let (exit, ended) = oneshot::channel();
        registered.insert(pid, Registered { exit, scope });
        let children = self.clone();
        (Child { pid, children }, Ended(ended))
    }

    /// Reaps all children that have ended, and orphans.
    fn reap_ended(&self) {
        loop {
            let mut registered = self.lock();
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let pid = Pid::from_raw(pid.as_raw_nonzero().get());
                    if let Some(child) = registered.remove(&pid) {
                        child.report(pid, Exit::of(status));
                    }
                }
                Err(Errno::INTR) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Pid, Registered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registered {
    fn report(self, pid: Pid, exit: Exit) {
        if self.scope == Scope::Group {
            // PHP's workers outlive a master that was killed and go on accepting beside the next one.
            let _ = killpg(pid, Signal::SIGKILL);
        }
        // The owner may not be interested any more.
        let _ = self.exit.send(exit);
    }
}

impl Child {
    /// Returns its process ID.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal to the process, unless it has been reaped: its ID may belong to another then.
    pub fn signal(&self, signal: Signal) {
        self.unless_reaped(|| kill(self.pid, signal));
    }

    /// Kills the process group that it leads, unless it has been reaped.
    pub fn kill_group(&self) {
        self.unless_reaped(|| killpg(self.pid, Signal::SIGKILL));
    }

    fn unless_reaped(&self, send: impl FnOnce() -> nix::Result<()>) {
        let registered = self.children.lock();
        if registered.contains_key(&self.pid) {
            // A child that has just ended is no error.
            let _ = send();
        }
    }
}

impl Future for Ended {
    type Output = Exit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Exit> {
        ready!(Pin::new(&mut self.0).poll(context)).map_or(Poll::Pending, Poll::Ready)
    }
}

impl Exit {
    fn of(status: WaitStatus) -> Self {
        match status.terminating_signal() {
            Some(signal) => Self::Signal(signal),
            None => Self::Code(status.exit_status().unwrap_or_default()),
        }
    }

    /// Returns the exit code that a shell shows.
    pub fn code(self) -> u8 {
        let code = match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        };
        u8::try_from(code).unwrap_or(u8::MAX)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => f.write_str(signal.as_str()),
                Err(_) => write!(f, "signal {number}"),
            },
        }
    }
}
