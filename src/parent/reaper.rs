//! Exits of servers.

use std::collections::VecDeque;
use std::io;

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Source of exits.
#[derive(Debug)]
pub(super) struct Reaper {
    ended: Signal,
    exits: VecDeque<(Pid, WaitStatus)>,
}

impl Reaper {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            ended: signal(SignalKind::child())?,
            exits: VecDeque::new(),
        })
    }

    /// Waits for the next exit of one of `pids`.
    pub(super) async fn exited(&mut self, pids: &[Pid]) -> (Pid, WaitStatus) {
        loop {
            if let Some(exit) = self.exits.pop_front() {
                return exit;
            }
            for pid in pids {
                if let Ok(status) = waitpid(*pid, Some(WaitPidFlag::WNOHANG))
                    && status != WaitStatus::StillAlive
                {
                    self.exits.push_back((*pid, status));
                }
            }
            if self.exits.is_empty() {
                self.ended.recv().await;
            }
        }
    }
}
