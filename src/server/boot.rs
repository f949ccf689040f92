//! The start of a server: it loads the configuration with the rights of its parent, tells the parent what it needs, and
//! receives its sockets. Blocks: no runtime is there yet.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::grant::grant;
use crate::config;
use crate::control::file_access::{Names, ParentFiles};
use crate::control::{Intent, PROTOCOL, Source, ToParent, ToServer, blob, packet};
use crate::privilege::Confinement;
use crate::site::Snapshot;

/// A server before it serves.
#[derive(Debug)]
pub struct Boot {
    control: OwnedFd,
    files: Arc<ParentFiles>,
    intent: Intent,
    grant: u32,
    bundle: Option<OwnedFd>,
}

/// The sockets of a server.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Those of each listener, in the order of the configuration.
    pub(super) listeners: Vec<(Source, Vec<OwnedFd>)>,
    pub(super) admin: Option<OwnedFd>,
}

/// The connection to the parent.
#[derive(Debug)]
pub struct Parent {
    pub(super) control: OwnedFd,
    pub(super) files: Arc<ParentFiles>,
    /// The configuration, for messages.
    pub(super) path: PathBuf,
}

impl Boot {
    /// Takes the socket on standard input, and receives the first message. Standard input reads nothing afterwards.
    pub fn begin() -> anyhow::Result<Self> {
        let control = io::stdin().as_fd().try_clone_to_owned()?;
        let null = std::fs::File::open("/dev/null").context("/dev/null")?;
        rustix::stdio::dup2_stdin(null)?;
        let Some((message, descriptors)) = receive(&control)? else {
            bail!("the parent has ended");
        };
        let ToServer::Begin {
            protocol,
            intent,
            grant,
        } = message
        else {
            bail!("the parent sent {message:?} first");
        };
        if protocol != PROTOCOL {
            send(&control, &ToParent::Protocol(PROTOCOL), &[])?;
            bail!("the parent speaks another version of the protocol: {protocol}, not {PROTOCOL}");
        }
        let mut descriptors = descriptors.into_iter();
        let files = descriptors
            .next()
            .context("the parent sent no socket for files")?;
        Ok(Self {
            files: ParentFiles::new(files, Names::default()),
            control,
            intent,
            grant,
            bundle: descriptors.next(),
        })
    }

    /// Returns the purpose of the server.
    pub fn intent(&self) -> Intent {
        self.intent
    }

    /// Loads the configuration with the rights of the parent.
    pub fn load(&self, path: &Path) -> Result<Snapshot, config::Invalid> {
        config::load(path, None)
    }

    /// Tells the parent that the configuration is invalid.
    pub fn refuse(&self, invalid: &config::Invalid) -> io::Result<()> {
        let outline = packet::shortened(invalid.outline().to_owned());
        send(&self.control, &ToParent::Refused(outline), &[])
    }

    /// Tells the parent what the configuration needs.
    pub fn send_grant(&self, snapshot: &Snapshot, confinement: &Confinement) -> io::Result<()> {
        let grant = grant(snapshot, confinement);
        self.files.set_names(Names {
            grant: self.grant,
            files: grant.files.clone(),
            logs: grant.logs.clone(),
        });
        let bundle = blob::write(&())?;
        let grant = blob::write(&grant)?;
        send(
            &self.control,
            &ToParent::Grant,
            &[grant.as_fd(), bundle.as_fd()],
        )
    }

    /// Receives the sockets; `None` if the parent needs no server any more.
    pub fn receive_sockets(&self) -> anyhow::Result<Option<Sockets>> {
        let mut sockets = Sockets::default();
        loop {
            match receive(&self.control)? {
                None | Some((ToServer::Leave, _)) => return Ok(None),
                Some((ToServer::Listener(source), descriptors)) => {
                    sockets.listeners.push((source, descriptors));
                }
                Some((ToServer::Admin, descriptors)) => {
                    sockets.admin = descriptors.into_iter().next();
                }
                Some((ToServer::Serve, _)) => return Ok(Some(sockets)),
                Some((message, _)) => bail!("the parent sent {message:?} before the sockets"),
            }
        }
    }

    /// Returns the connection to the parent.
    pub fn finish(self, path: PathBuf) -> Parent {
        Parent {
            control: self.control,
            files: self.files,
            path,
        }
    }
}

fn send(
    control: &OwnedFd,
    message: &ToParent,
    descriptors: &[std::os::fd::BorrowedFd<'_>],
) -> io::Result<()> {
    packet::send(control, message, descriptors)
}

/// Waits for the next message.
fn receive(control: &OwnedFd) -> io::Result<Option<(ToServer, Vec<OwnedFd>)>> {
    loop {
        let mut polled = [PollFd::new(control.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) => return packet::receive(control),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
