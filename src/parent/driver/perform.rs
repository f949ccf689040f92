//! The effects of events.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::Instant;

use super::{Driver, GRACE};
use crate::control::{Intent, ToServer, packet};
use crate::parent::child::{Child, Program};
use crate::parent::signals::{Effect, Signals};
use crate::parent::state::{Action, Event, Id, Level, Origin};

impl Driver {
    /// Performs the actions; returns the exit code with the last one.
    pub(super) fn perform_all(&mut self, actions: Vec<Action>) -> Option<(u8, bool)> {
        let mut finish = None;
        for action in actions {
            if let Action::Finish { code, is_killing } = action {
                finish = Some((code, is_killing));
            } else if let Some(event) = self.perform(action) {
                let more = self.state.on(event);
                finish = self.perform_all(more).or(finish);
            }
        }
        finish
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn(id, intent) => return self.spawn(id, intent),
            Action::Serve(id) => self.serve(id),
            Action::Swap {
                from,
                to,
                is_preview,
            } => self.swap(from, to, is_preview),
            Action::Leave(id) => self.send(id, &ToServer::Leave),
            Action::Enforce(id) => self.enforce(id),
            Action::Drain(id) => self.send(id, &ToServer::Drain),
            Action::Terminate(id) => self.signal(id, Signal::SIGTERM),
            Action::Kill(id) => self.signal(id, Signal::SIGKILL),
            Action::Answer(Origin::Server(id, token), outcome) => {
                let outcome = outcome.map(packet::shortened).map_err(packet::shortened);
                self.send(id, &ToServer::Answer { token, outcome });
            }
            Action::RestartAfter(pause) => self.restart = Some(Instant::now() + pause),
            Action::LimitEnd { is_short } => {
                let in_force = self.in_force.as_ref().filter(|_| !is_short);
                let drain = in_force.map_or(Duration::ZERO, |it| it.grant.drain);
                self.end = Some(Instant::now() + drain + GRACE);
            }
            Action::CountRefused => {
                if let Some(current) = self.state.current() {
                    self.send(current, &ToServer::ReloadRefused);
                }
            }
            Action::Log(level, text) => log(level, &text),
            Action::Fail(why) => self.failure = Some(why),
            Action::Answer(Origin::Nobody, _) | Action::Execute | Action::Finish { .. } => {}
        }
        None
    }

    fn spawn(&mut self, id: Id, intent: Intent) -> Option<Event> {
        let program = if intent == Intent::Upgrade {
            Program::new(self.file.clone(), &self.configuration)
        } else {
            Program::own(&self.configuration)
        };
        let last = self.in_force.as_ref().filter(|_| intent == Intent::Restart);
        let bundle = last.map(|it| it.bundle.as_fd());
        match Child::start(
            &program,
            (id, intent),
            bundle,
            (&self.reaped, &self.inbox.0),
        ) {
            Ok(child) => {
                self.children.insert(id, child);
                None
            }
            Err(error) => Some(Event::Unstarted {
                id,
                why: format!("cannot start {}: {error}", program.path.display()),
            }),
        }
    }

    /// Sends all sockets to a new server.
    fn serve(&mut self, id: Id) {
        let (Some(child), Some(granted)) = (self.children.get(&id), self.granted.get(&id)) else {
            return;
        };
        child.permitted.add(granted.names(id.0));
        for (source, sockets) in granted.sockets.all() {
            child.send(&ToServer::Listener(source), &sockets);
        }
        if let Some(socket) = granted.sockets.admin() {
            child.send(&ToServer::Admin, &[socket]);
        }
        child.send(&ToServer::Serve, &[]);
    }

    /// Sends the configuration of one server to another.
    fn swap(&mut self, from: Id, to: Id, is_preview: bool) {
        let (Some(child), Some(granted)) = (self.children.get(&to), self.granted.get(&from)) else {
            return;
        };
        if !is_preview {
            child.permitted.add(granted.names(from.0));
            for (source, sockets) in granted.sockets.changes() {
                child.send(&ToServer::Listener(source), &sockets);
            }
        }
        let swap = ToServer::Swap {
            is_preview,
            grant: from.0,
        };
        child.send(&swap, &[granted.bundle.as_fd()]);
    }

    /// Puts the configuration of a server in force.
    fn enforce(&mut self, id: Id) {
        let Some(mut granted) = self.granted.remove(&id) else {
            return;
        };
        let is_first = self.in_force.is_none();
        let is_swapped = self.state.current() != Some(id);
        if let Some(before) = self.in_force.take_if(|_| is_swapped) {
            // The server has the rights that it started with.
            granted.grant.confinement = before.grant.confinement;
        } else if let Some(interval) = self.manager.interval() {
            self.send(id, &ToServer::Report(interval));
        }
        self.granted.clear();
        self.sockets.replace(granted.sockets.clone());
        if is_first {
            self.sockets.report_unused();
        }
        self.processes.follow(&granted.grant.programs);
        self.manager.store(&granted.sockets);
        self.watch.set(granted.grant.watched.clone());
        self.log.apply(&granted.grant.log, None);
        self.in_force = Some(granted);
    }

    /// Closes all listening sockets: the parent's copies would let clients wait in vain.
    pub(super) fn close_listeners(&mut self) {
        self.granted.clear();
        self.in_force = None;
        self.sockets.close();
    }

    /// Ends the programs; a second signal kills them.
    pub(super) async fn end_programs(&mut self, is_killing: bool, signals: &mut Signals) {
        let is_orderly = !is_killing
            && tokio::select! {
                () = self.processes.stop() => true,
                () = stopped(signals) => false,
            };
        if !is_orderly {
            // A process in uninterruptible sleep is left to the kernel.
            let _ = tokio::time::timeout(KILL, self.processes.kill()).await;
        }
    }

    pub(super) fn send(&self, id: Id, message: &ToServer) {
        if let Some(child) = self.children.get(&id) {
            child.send(message, &[]);
        }
    }

    pub(super) fn send_all(&self, message: &ToServer) {
        self.children
            .values()
            .for_each(|child| child.send(message, &[]));
    }

    fn signal(&self, id: Id, signal: Signal) {
        if let Some(child) = self.children.get(&id) {
            child.signal(signal);
        }
    }
}

/// Time limit for killed programs to exit.
const KILL: Duration = Duration::from_secs(1);

/// Waits for another signal that ends the process.
async fn stopped(signals: &mut Signals) {
    while !matches!(signals.next().await, Effect::On(Event::Stop)) {}
}

fn log(level: Level, text: &str) {
    match level {
        Level::Info => tracing::info!("{text}"),
        Level::Error => tracing::error!("{text}"),
    }
}
