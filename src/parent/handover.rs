//! The state and the descriptors of the parent, for the program that is executed in its place: in a socket that becomes
//! standard input (execve(2) keeps it, and closes all others).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::state::{Id, Servers};
use crate::control::file_access::Names;
use crate::control::{Grant, PROTOCOL, blob, packet};
use crate::process;

/// The state. Its descriptors follow in the order of the fields.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Handover {
    /// [`PROTOCOL`] of the program that writes.
    pub(super) protocol: u16,
    /// The servers and the requests that wait.
    pub(super) servers: Servers,
    /// The processes of the servers, each with the sockets of its messages and of its requests for files.
    pub(super) processes: Vec<Server>,
    /// The grant in force. Its bundle is a descriptor.
    pub(super) grant: Grant,
    /// Each listener of the grant: its sockets were passed to the parent, and their number.
    pub(super) listeners: Vec<(bool, u16)>,
    /// The admin listener has a socket.
    pub(super) has_admin: bool,
    /// Names of the sockets that systemd passed, each with its descriptor.
    pub(super) inherited: Vec<String>,
    /// The programs, with the pipes of their output.
    pub(super) programs: process::Handover,
}

/// A server.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Server {
    pub(super) id: Id,
    pub(super) pid: i32,
    /// The files that it may ask for.
    pub(super) permitted: Vec<Names>,
}

/// A packet of the socket.
#[derive(Debug, Serialize, Deserialize)]
enum Packet {
    /// Descriptor: the state in a file.
    State,
    /// Descriptors of the state.
    Descriptors,
}

impl Handover {
    /// Writes the state with its descriptors; returns the socket to read them from.
    pub(super) fn write(&self, descriptors: &[BorrowedFd<'_>]) -> io::Result<OwnedFd> {
        let (writer, reader) = packet::pair()?;
        let state = blob::write(self)?;
        packet::send(&writer, &Packet::State, &[state.as_fd()])?;
        for some in descriptors.chunks(packet::DESCRIPTORS) {
            packet::send(&writer, &Packet::Descriptors, some)?;
        }
        Ok(reader)
    }

    /// Reads the state with its descriptors from standard input, which reads nothing afterwards.
    pub(super) fn take() -> anyhow::Result<(Self, Vec<OwnedFd>)> {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null").context("/dev/null")?)?;
        Self::read(&socket)
    }

    fn read(socket: &OwnedFd) -> anyhow::Result<(Self, Vec<OwnedFd>)> {
        let Some((Packet::State, state)) = packet::receive(socket)? else {
            bail!("no state was handed over");
        };
        let state = state.into_iter().next().context("the state is missing")?;
        let handover: Self = blob::read(state)?;
        if handover.protocol != PROTOCOL {
            bail!("the state is of another version");
        }
        let mut descriptors = Vec::new();
        while let Some((Packet::Descriptors, some)) = packet::receive(socket)? {
            descriptors.extend(some);
        }
        Ok((handover, descriptors))
    }
}
