//! Performs what the state decides.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Process;
use super::child::{Child, Program, Received};
use super::granted::Granted;
use super::manager::Manager;
use super::signals::{Effect, Signals};
use super::sockets::Sockets;
use super::state::{Action, Event, Id, Level, Origin, Request, State};
use super::watch::Watch;
use crate::control::{Intent, ToParent, ToServer, packet};
use crate::line_log::stderr::ErrorLog;
use crate::process::{Children, Exit, Processes};

/// Messages of servers that wait for the parent. A server that sends more waits.
const INBOX: usize = 64;

/// Time for a server's orderly exit beyond its drain: its own watchdog ends it after six seconds.
const GRACE: Duration = Duration::from_secs(10);

/// A time beyond every deadline, used if nothing is due.
const FAR: Duration = Duration::from_hours(24);

type Inbox = (mpsc::Sender<(Id, Received)>, mpsc::Receiver<(Id, Received)>);

/// The parent at work.
#[derive(Debug)]
pub(super) struct Driver {
    configuration: PathBuf,
    log: ErrorLog,
    state: State,
    /// The children of this process: servers and programs.
    reaped: Children,
    children: HashMap<Id, Child>,
    /// Configurations of candidates.
    granted: HashMap<Id, Granted>,
    in_force: Option<Granted>,
    sockets: Sockets,
    processes: Processes,
    watch: Watch,
    manager: Manager,
    inbox: Inbox,
    restart: Option<Instant>,
    end: Option<Instant>,
    failure: Option<String>,
}

impl Driver {
    /// Builds the parent; must be called within a runtime. Fails only if signals cannot be received.
    pub(super) fn new(configuration: &Path, process: Process) -> io::Result<Self> {
        let reaped = Children::default();
        let processes = Processes::start(&reaped, process.launcher, &[]);
        reaped.reap()?;
        let sockets = Sockets::new(process.inherited);
        let manager = Manager::from_environment(&sockets.stored());
        Ok(Self {
            configuration: configuration.to_owned(),
            log: process.log,
            state: State::default(),
            children: HashMap::new(),
            granted: HashMap::new(),
            in_force: None,
            sockets,
            reaped,
            processes,
            watch: Watch::default(),
            manager,
            inbox: mpsc::channel(INBOX),
            restart: None,
            end: None,
            failure: None,
        })
    }

    /// Runs to the end; returns the exit code, or the reason that nothing can be served.
    pub(super) async fn run(mut self, mut signals: Signals) -> Result<u8, String> {
        let mut event = Event::Begun;
        loop {
            let actions = self.state.on(event);
            let finish = self.perform_all(actions);
            self.announce();
            if let Some((code, is_killing)) = finish {
                self.end_programs(is_killing, &mut signals).await;
                return self.failure.map_or(Ok(code), Err);
            }
            event = self.next(&mut signals).await;
        }
    }

    /// Tells the service manager what has changed.
    fn announce(&mut self) {
        let in_force = self.in_force.as_ref();
        let drain = in_force.map_or(Duration::ZERO, |it| it.grant.drain);
        self.manager.announce(self.state.phase(), drain);
    }

    /// Waits for the next event.
    async fn next(&mut self, signals: &mut Signals) -> Event {
        loop {
            let far = Instant::now() + FAR;
            tokio::select! {
                effect = signals.next() => match effect {
                    Effect::On(event) => return event,
                    Effect::ReopenLogs => self.send_all(&ToServer::ReopenLogs),
                },
                Some((id, received)) = self.inbox.1.recv() => {
                    if let Some(event) = self.receive(id, received) {
                        return event;
                    }
                }
                () = sleep_until(self.restart.unwrap_or(far)) => {
                    self.restart = None;
                    return Event::Due;
                }
                () = sleep_until(self.end.unwrap_or(far)) => {
                    self.end = None;
                    return Event::Overdue;
                }
                () = self.watch.changed() => return Event::Asked(Request::of(Intent::Reload)),
            }
        }
    }

    /// Handles a message or the exit of a server.
    fn receive(&mut self, id: Id, received: Received) -> Option<Event> {
        let (message, descriptors) = match received {
            Received::Message(message, descriptors) => (message, descriptors),
            Received::Unreadable => {
                let why = "it sent what is no message".to_owned();
                return Some(Event::Unusable { id, why });
            }
            Received::Exited(exit) => return self.exited(id, exit),
        };
        Some(match message {
            ToParent::Grant => self.grant(id, descriptors),
            ToParent::Refused(outline) => Event::Refused(id, outline),
            ToParent::Protocol(version) => Event::Unusable {
                id,
                why: format!(
                    "the program speaks version {version} of the protocol between parent and server, and this one {}: restart the service instead",
                    crate::control::PROTOCOL
                ),
            },
            ToParent::Serving => Event::Serving(id),
            ToParent::Swapped(outcome) => Event::Swapped(id, outcome),
            ToParent::Reload { token, is_preview } => Event::Asked(Request {
                origin: Origin::Server(id, token),
                intent: if is_preview {
                    Intent::Preview
                } else {
                    Intent::Reload
                },
            }),
            ToParent::CloseListeners => {
                if self.state.is_ending() {
                    self.close_listeners();
                }
                self.send(id, &ToServer::ListenersClosed);
                return None;
            }
            ToParent::Alive(load) => {
                if self.state.current() == Some(id) {
                    self.manager.report_alive(load);
                    self.announce();
                }
                return None;
            }
        })
    }

    /// Reads a grant, once for each server.
    fn grant(&mut self, id: Id, descriptors: Vec<OwnedFd>) -> Event {
        let granted = match Granted::receive(descriptors, &self.sockets) {
            Ok(granted) => granted,
            Err(error) => {
                return Event::Unusable {
                    id,
                    why: format!("{error:#}"),
                };
            }
        };
        let in_force = self.in_force.as_ref();
        let beyond = in_force.map_or_else(Vec::new, |it| it.grant.changes_beyond(&granted.grant));
        if self.granted.contains_key(&id) {
            let why = "a server sent two grants".to_owned();
            return Event::Unusable { id, why };
        }
        self.granted.insert(id, granted);
        Event::Granted { id, beyond }
    }

    fn exited(&mut self, id: Id, exit: Exit) -> Option<Event> {
        let child = self.children.remove(&id)?;
        let code = match exit {
            Exit::Code(code) => u8::try_from(code).unwrap_or(1),
            Exit::Signal(_) => 1,
        };
        Some(Event::Ended {
            id,
            how: exit.to_string(),
            code,
            ran: child.since.elapsed(),
        })
    }

    /// Performs the actions; returns the exit code with the last one.
    fn perform_all(&mut self, actions: Vec<Action>) -> Option<(u8, bool)> {
        let mut finish = None;
        for action in actions {
            match action {
                Action::Finish { code, is_killing } => finish = Some((code, is_killing)),
                action => {
                    let Some(event) = self.perform(action) else {
                        continue;
                    };
                    let more = self.state.on(event);
                    finish = self.perform_all(more).or(finish);
                }
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
            Action::Answer(Origin::Nobody, _) | Action::Execute(_) | Action::Finish { .. } => {}
        }
        None
    }

    fn spawn(&mut self, id: Id, intent: Intent) -> Option<Event> {
        let program = Program::own(&self.configuration);
        let in_force = self.in_force.as_ref();
        let bundle = in_force.filter(|_| intent == Intent::Restart);
        let bundle = bundle.map(|it| it.bundle.as_fd());
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
                why: format!("cannot start it: {error}"),
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
        let Some(granted) = self.granted.remove(&id) else {
            return;
        };
        let is_first = self.in_force.is_none();
        self.granted.clear();
        self.sockets.replace(granted.sockets.clone());
        if is_first {
            self.sockets.report_unused();
        }
        self.processes.follow(&granted.grant.programs);
        self.manager.store(&granted.sockets);
        if let Some(interval) = self.manager.interval() {
            self.send(
                self.state.current().unwrap_or(id),
                &ToServer::Report(interval),
            );
        }
        self.watch.set(granted.grant.watched.clone());
        self.log.apply(&granted.grant.log, None);
        self.in_force = Some(granted);
    }

    /// Closes all listening sockets: the parent's copies would let clients wait in vain.
    fn close_listeners(&mut self) {
        self.granted.clear();
        self.in_force = None;
        self.sockets.close();
    }

    /// Ends the programs; a second signal kills them.
    async fn end_programs(&mut self, is_killing: bool, signals: &mut Signals) {
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

    fn send(&self, id: Id, message: &ToServer) {
        if let Some(child) = self.children.get(&id) {
            child.send(message, &[]);
        }
    }

    fn send_all(&self, message: &ToServer) {
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
        Level::Warn => tracing::warn!("{text}"),
        Level::Error => tracing::error!("{text}"),
    }
}
