//! The connection to the parent while the server serves.

use std::io;
use std::mem::take;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::boot::Parent;
use super::shared::Shared;
use crate::admin::Command;
use crate::control::file_access::ParentFiles;
use crate::control::{Channel, Outcome, Source, ToParent, ToServer, packet};

/// Limit of reloads that wait for their result. The admin listener permits fewer.
const PENDING: usize = 16;

/// Time limit for closing the listening sockets.
const CLOSING: Duration = Duration::from_secs(1);

/// The connection, with the reloads that clients of the admin listener wait for.
#[derive(Debug)]
pub(super) struct ParentLink {
    channel: Arc<Channel>,
    pub(super) files: Arc<ParentFiles>,
    /// The configuration, for messages.
    pub(super) path: PathBuf,
    commands: mpsc::Receiver<Command>,
    pending: Vec<(u32, oneshot::Sender<Outcome>)>,
    token: u32,
    listeners: Vec<(Source, Vec<OwnedFd>)>,
    /// Signals for the parent that were sent to this process: without effect.
    _ignored: [Signal; 3],
}

/// An instruction of the parent.
#[derive(Debug)]
pub(super) enum Event {
    Swap(Swap),
    ReopenLogs,
    /// A reload was refused before it came here.
    ReloadRefused,
    ListenersClosed,
    /// Report at this interval that all threads serve.
    Report(Duration),
    /// Another server has taken over.
    Drain,
    /// The parent has ended.
    Ended,
}

/// A configuration that replaces the one in force.
#[derive(Debug)]
pub(super) struct Swap {
    pub(super) listeners: Vec<(Source, Vec<OwnedFd>)>,
    pub(super) bundle: Option<OwnedFd>,
    pub(super) grant: u32,
    pub(super) is_preview: bool,
}

impl ParentLink {
    pub(super) fn new(parent: Parent, commands: mpsc::Receiver<Command>) -> io::Result<Self> {
        Ok(Self {
            channel: Arc::new(Channel::new(parent.control)?),
            files: parent.files,
            path: parent.path,
            commands,
            pending: Vec::new(),
            token: 0,
            listeners: Vec::new(),
            _ignored: [
                signal(SignalKind::hangup())?,
                signal(SignalKind::user_defined1())?,
                signal(SignalKind::user_defined2())?,
            ],
        })
    }

    /// Waits for the next instruction, and passes reloads of the admin listener on meanwhile.
    pub(super) async fn next(&mut self) -> Event {
        loop {
            tokio::select! {
                Some(command) = self.commands.recv(), if !self.commands.is_closed() => {
                    self.ask(command).await;
                }
                received = self.channel.receive() => {
                    let Ok(Some((message, descriptors))) = received else {
                        return Event::Ended;
                    };
                    if let Some(event) = self.handle(message, descriptors) {
                        return event;
                    }
                }
            }
        }
    }

    /// Fails pending reloads at once, and later ones too: the drain has begun.
    pub(super) fn refuse_reloads(&mut self) {
        self.commands.close();
        self.pending.clear();
    }

    /// Has the parent close the listening sockets, and waits until it has, at most a second.
    pub(super) async fn close_listeners(&mut self, shared: &Shared) {
        self.send(&ToParent::CloseListeners).await;
        // A parent that has ended holds no sockets.
        let _ = timeout(CLOSING, self.tend(shared)).await;
    }

    /// Reopens the logs when the parent says so, until it has closed the listening sockets or ended. For the drain.
    pub(super) async fn tend(&mut self, shared: &Shared) {
        loop {
            match self.next().await {
                Event::ReopenLogs => shared.live.load().logs.all.reopen(),
                Event::Swap(_) => {
                    let stopping = Err("the server is stopping".to_owned());
                    self.report_swapped(stopping).await;
                }
                Event::Drain | Event::ReloadRefused | Event::Report(_) => {}
                Event::ListenersClosed | Event::Ended => return,
            }
        }
    }

    /// Returns the channel, for reports.
    pub(super) fn channel(&self) -> Arc<Channel> {
        Arc::clone(&self.channel)
    }

    /// Tells the parent that connections are accepted.
    pub(super) async fn report_serving(&self) {
        self.send(&ToParent::Serving).await;
    }

    /// Tells the parent the result of a [`Swap`].
    pub(super) async fn report_swapped(&self, outcome: Outcome) {
        let outcome = outcome.map(packet::shortened).map_err(packet::shortened);
        self.send(&ToParent::Swapped(outcome)).await;
    }

    async fn ask(&mut self, command: Command) {
        let Command::Reload { dry_run, answer } = command;
        if self.pending.len() >= PENDING {
            // Its client learns that the answer does not come.
            return;
        }
        self.token = self.token.wrapping_add(1);
        self.pending.push((self.token, answer));
        let reload = ToParent::Reload {
            token: self.token,
            is_preview: dry_run,
        };
        self.send(&reload).await;
    }

    fn handle(&mut self, message: ToServer, descriptors: Vec<OwnedFd>) -> Option<Event> {
        match message {
            ToServer::Listener(source) => self.listeners.push((source, descriptors)),
            ToServer::Swap { is_preview, grant } => {
                return Some(Event::Swap(Swap {
                    listeners: take(&mut self.listeners),
                    bundle: descriptors.into_iter().next(),
                    grant,
                    is_preview,
                }));
            }
            ToServer::Answer { token, outcome } => {
                let at = self.pending.iter().position(|(known, _)| *known == token)?;
                let (_, answer) = self.pending.swap_remove(at);
                // The client may have disconnected.
                let _ = answer.send(outcome);
            }
            ToServer::ReopenLogs => return Some(Event::ReopenLogs),
            ToServer::ReloadRefused => return Some(Event::ReloadRefused),
            ToServer::ListenersClosed => return Some(Event::ListenersClosed),
            ToServer::Report(interval) => return Some(Event::Report(interval)),
            ToServer::Drain => return Some(Event::Drain),
            // Messages to a server that starts.
            ToServer::Begin { .. } | ToServer::Admin | ToServer::Serve | ToServer::Leave => {}
        }
        None
    }

    /// Sends a message. That the parent has ended is found by the next receipt.
    async fn send(&self, message: &ToParent) {
        let _ = self.channel.send(message).await;
    }
}
