//! A server as a child process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::file_server::{self, Permitted};
use super::state::Id;
use crate::control::{Channel, Intent, PROTOCOL, ToParent, ToServer, packet};
use crate::process::{self, Children, Ended, Exit, Scope};
use crate::service;

/// Something that came from a server. Its exit comes after all of its messages.
#[derive(Debug)]
pub(super) enum Received {
    Message(ToParent, Vec<OwnedFd>),
    /// Bytes that are no message.
    Unreadable,
    Exited(Exit),
}

/// The program of servers.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// The file to execute.
    pub(super) path: PathBuf,
    /// The configuration.
    pub(super) configuration: PathBuf,
}

/// A running server.
#[derive(Debug)]
pub(super) struct Child {
    process: process::Child,
    pub(super) since: Instant,
    pub(super) permitted: Permitted,
    channel: Arc<Channel>,
    files: Arc<Channel>,
    receiving: JoinHandle<()>,
}

impl Program {
    /// Returns the program of this process, whatever its file is now.
    pub(super) fn own(configuration: &Path) -> Self {
        Self::new(own_file(), configuration)
    }

    /// Returns the program in a file.
    pub(super) fn new(path: PathBuf, configuration: &Path) -> Self {
        Self {
            path,
            configuration: configuration.to_owned(),
        }
    }
}

/// Returns the file of this program. Where another has taken its name, /proc/self/exe is still this one; by its name it can be
/// watched (valgrind).
fn own_file() -> PathBuf {
    let named = std::env::current_exe().ok();
    // Of a removed file the kernel says so (proc_pid_exe(5)).
    let is_there = |file: &PathBuf| !file.as_os_str().as_encoded_bytes().ends_with(b" (deleted)");
    named
        .filter(is_there)
        .unwrap_or_else(|| PathBuf::from("/proc/self/exe"))
}

impl Child {
    /// Starts a server in a process group of its own: Ctrl-C in a terminal is for the parent. Its messages go to
    /// `inbox`.
    pub(super) fn start(
        program: &Program,
        (id, intent): (Id, Intent),
        bundle: Option<BorrowedFd<'_>>,
        (children, inbox): (&Children, &mpsc::Sender<(Id, Received)>),
    ) -> io::Result<Self> {
        let (control, control_of_server) = packet::pair()?;
        let (files, files_of_server) = packet::pair()?;
        let begin = ToServer::Begin {
            protocol: PROTOCOL,
            intent,
            grant: id.0,
        };
        let descriptors: Vec<_> = [files_of_server.as_fd()]
            .into_iter()
            .chain(bundle)
            .collect();
        packet::send(&control, &begin, &descriptors)?;
        let mut command = Command::new(&program.path);
        service::hide_from(&mut command);
        command
            .arg0("fcgate")
            .args(["server", "--config"])
            .arg(&program.configuration)
            .stdin(Stdio::from(control_of_server));
        let spawned = children.spawn(&mut command, Scope::Group)?;
        Self::attach(id, spawned, (control, files), inbox)
    }

    /// Takes the ends of a server's sockets.
    pub(super) fn attach(
        id: Id,
        (process, ended): (process::Child, Ended),
        (control, files): (OwnedFd, OwnedFd),
        inbox: &mpsc::Sender<(Id, Received)>,
    ) -> io::Result<Self> {
        let channel = Arc::new(Channel::new(control)?);
        let permitted = Permitted::default();
        let files = Arc::new(Channel::new(files)?);
        tokio::spawn(file_server::serve(Arc::clone(&files), permitted.clone()));
        let receiving = tokio::spawn(receive(id, Arc::clone(&channel), ended, inbox.clone()));
        Ok(Self {
            process,
            since: Instant::now(),
            permitted,
            channel,
            files,
            receiving,
        })
    }

    /// Sends a message. A server that does not read its messages hangs, and is killed.
    pub(super) fn send(&self, message: &ToServer, descriptors: &[BorrowedFd<'_>]) {
        match self.channel.try_send(message, descriptors) {
            Ok(()) => {}
            // It has ended, as its exit will tell.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                tracing::error!(pid = self.process.pid().as_raw(), %error, "the server does not take a message: killed");
                self.signal(Signal::SIGKILL);
            }
        }
    }

    /// Sends a signal, unless it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Returns its process ID.
    pub(super) fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Leaves all messages that have not been received to another program.
    pub(super) async fn stop_receiving(&mut self) {
        self.receiving.abort();
        // The panic hook has logged a task that panicked.
        let _ = (&mut self.receiving).await;
    }

    /// Receives messages again, and its exit.
    pub(super) fn receive_again(
        &mut self,
        id: Id,
        children: &Children,
        inbox: &mpsc::Sender<(Id, Received)>,
    ) {
        match children.adopt(self.pid(), Scope::Group) {
            Some((process, ended)) => {
                self.process = process;
                let received = receive(id, Arc::clone(&self.channel), ended, inbox.clone());
                self.receiving = tokio::spawn(received);
            }
            None => {
                let inbox = inbox.clone();
                self.receiving = tokio::spawn(async move {
                    // It has been reaped meanwhile.
                    let _ = inbox.send((id, Received::Exited(Exit::Code(1)))).await;
                });
            }
        }
    }

    /// Returns our ends of its sockets: messages, and requests for files.
    pub(super) fn sockets(&self) -> [BorrowedFd<'_>; 2] {
        [self.channel.as_fd(), self.files.as_fd()]
    }
}

/// Passes the messages of a server on, and then its exit. A server closes its end when it ends.
async fn receive(id: Id, channel: Arc<Channel>, ended: Ended, inbox: mpsc::Sender<(Id, Received)>) {
    loop {
        let received = match channel.receive::<ToParent>().await {
            Ok(Some((message, descriptors))) => Received::Message(message, descriptors),
            Ok(None) => break,
            Err(_) => Received::Unreadable,
        };
        let is_last = matches!(received, Received::Unreadable);
        if inbox.send((id, received)).await.is_err() {
            return;
        }
        if is_last {
            break;
        }
    }
    // The parent may be ending.
    let _ = inbox.send((id, Received::Exited(ended.await))).await;
}
