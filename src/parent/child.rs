//! A server as a child process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::file_server::{self, Permitted};
use super::state::Id;
use crate::control::{Channel, Intent, PROTOCOL, ToParent, ToServer, packet};

/// A message of a server; `None` for what is no message.
pub(super) type Received = (Id, Option<(ToParent, Vec<OwnedFd>)>);

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
    pub(super) pid: Pid,
    pub(super) since: Instant,
    pub(super) permitted: Permitted,
    channel: Arc<Channel>,
    files: Arc<Channel>,
}

impl Program {
    /// Returns the program of this process, whatever its file is now.
    pub(super) fn own(configuration: &Path) -> Self {
        Self {
            path: PathBuf::from("/proc/self/exe"),
            configuration: configuration.to_owned(),
        }
    }
}

impl Child {
    /// Starts a server in a process group of its own: Ctrl-C in a terminal is for the parent. Its messages go to
    /// `inbox`.
    pub(super) fn start(
        program: &Program,
        (id, intent): (Id, Intent),
        bundle: Option<BorrowedFd<'_>>,
        inbox: &mpsc::Sender<Received>,
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
        let child = Command::new(&program.path)
            .arg0("fcgate")
            .args(["server", "--config"])
            .arg(&program.configuration)
            .process_group(0)
            .stdin(Stdio::from(control_of_server))
            .spawn()?;
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        Self::attach(id, Pid::from_raw(pid), (control, files), inbox)
    }

    /// Takes the ends of a server's sockets.
    pub(super) fn attach(
        id: Id,
        pid: Pid,
        (control, files): (OwnedFd, OwnedFd),
        inbox: &mpsc::Sender<Received>,
    ) -> io::Result<Self> {
        let channel = Arc::new(Channel::new(control)?);
        let permitted = Permitted::default();
        let files = Arc::new(Channel::new(files)?);
        tokio::spawn(file_server::serve(Arc::clone(&files), permitted.clone()));
        tokio::spawn(receive(id, Arc::clone(&channel), inbox.clone()));
        Ok(Self {
            pid,
            since: Instant::now(),
            permitted,
            channel,
            files,
        })
    }

    /// Sends a message. A server that does not read its messages hangs, and is killed.
    pub(super) fn send(&self, message: &ToServer, descriptors: &[BorrowedFd<'_>]) {
        match self.channel.try_send(message, descriptors) {
            Ok(()) => {}
            // It has ended, as its exit will tell.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                tracing::error!(pid = self.pid.as_raw(), %error, "the server does not take a message: killed");
                self.signal(Signal::SIGKILL);
            }
        }
    }

    /// Sends a signal; one that has just ended is no error.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = kill(self.pid, signal);
    }

    /// Returns our ends of its sockets: messages, and requests for files.
    pub(super) fn sockets(&self) -> [BorrowedFd<'_>; 2] {
        [self.channel.as_fd(), self.files.as_fd()]
    }
}

/// Passes the messages of a server on, and `None` for what is no message. A server closes its end when it ends.
async fn receive(id: Id, channel: Arc<Channel>, inbox: mpsc::Sender<Received>) {
    loop {
        let received = match channel.receive::<ToParent>().await {
            Ok(Some(received)) => Some(received),
            Ok(None) => return,
            Err(_) => None,
        };
        let is_end = received.is_none();
        if inbox.send((id, received)).await.is_err() || is_end {
            return;
        }
    }
}
