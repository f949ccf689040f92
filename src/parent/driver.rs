//! Performs what the state decides.

mod execute;
mod perform;

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::child::{Child, Received};
use super::granted::Granted;
use super::inherited::Inherited;
use super::manager::Manager;
use super::signals::{Effect, Signals};
use super::sockets::Sockets;
use super::state::{Event, Id, Origin, Request, State};
use super::upgrade;
use super::watch::Watch;
use crate::control::{Intent, ToParent, ToServer};
use crate::line_log::stderr::ErrorLog;
use crate::process::{Children, Exit, Launcher, Processes};

/// Messages of servers that wait for the parent. A server that sends more waits.
const INBOX: usize = 64;

/// Time for a server's orderly exit beyond its drain: its own watchdog ends it after six seconds.
const GRACE: Duration = Duration::from_secs(10);

/// A time beyond every deadline, used if nothing is due.
const FAR: Duration = Duration::from_hours(24);

type Inbox = (mpsc::Sender<(Id, Received)>, mpsc::Receiver<(Id, Received)>);

/// State of the process before it becomes the parent.
#[derive(Debug)]
pub struct Process {
    /// Sockets that were passed to it.
    pub inherited: Inherited,
    /// Starts programs.
    pub launcher: Launcher,
    /// The log of the parent.
    pub log: ErrorLog,
}

/// The parent at work.
#[derive(Debug)]
pub(super) struct Driver {
    configuration: PathBuf,
    /// The file that an upgrade executes.
    file: PathBuf,
    log: ErrorLog,
    state: State,
    launcher: Launcher,
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
        let launcher = process.launcher;
        let processes = Processes::start(&reaped, launcher.clone(), &[]);
        reaped.reap()?;
        let sockets = Sockets::new(process.inherited);
        let manager = Manager::from_environment(&sockets.stored());
        Ok(Self {
            configuration: configuration.to_owned(),
            file: upgrade::program_file(),
            log: process.log,
            state: State::default(),
            children: HashMap::new(),
            granted: HashMap::new(),
            in_force: None,
            sockets,
            launcher,
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

    /// Runs from the `event` to the end; returns the exit code, or the reason that nothing can be served.
    pub(super) async fn run(
        mut self,
        mut event: Event,
        mut signals: Signals,
    ) -> Result<u8, String> {
        loop {
            let actions = self.state.on(event);
            let finish = self.perform_all(actions);
            self.announce();
            if let Some((code, is_killing)) = finish {
                self.end_programs(is_killing, &mut signals).await;
                return self.failure.map_or(Ok(code), Err);
            }
            event = if self.state.is_executing() {
                self.execute().await
            } else {
                self.next(&mut signals).await
            };
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

    /// Reads the grant of a server that has no client yet. Nothing is done for one of another.
    fn grant(&mut self, id: Id, descriptors: Vec<OwnedFd>) -> Event {
        if !self.state.expects_grant(id) {
            let why = "it sent a second grant".to_owned();
            return Event::Unusable { id, why };
        }
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
}
