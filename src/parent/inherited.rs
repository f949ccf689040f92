//! Listening sockets passed to the process at start: systemd's socket activation (sd_listen_fds(3)).

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;

use crate::control::Address;

/// Passed sockets, kept for the life of the process: a reload may remove a listener and another may add it again.
#[derive(Debug, Default)]
pub(super) struct Inherited(Vec<Passed>);

#[derive(Debug)]
struct Passed {
    name: String,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Inherited {
    /// Takes the sockets of LISTEN_FDS. Must be called once, before any thread starts: it changes the environment,
    /// so that child processes do not take the sockets for theirs. A descriptor that is no stream socket is an
    /// error.
    pub(super) fn from_environment() -> io::Result<Self> {
        let variable = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = variable.split(':');
        let mut descriptors = ListenFd::from_env();
        let mut passed = Vec::new();
        for index in 0..descriptors.len() {
            let name = names.next().unwrap_or_default().to_owned();
            let socket = match descriptors.take_tcp_listener(index) {
                Ok(listener) => listener.map(Socket::Tcp),
                Err(_) => descriptors.take_unix_listener(index)?.map(Socket::Unix),
            };
            passed.extend(socket.map(|socket| Passed { name, socket }));
        }
        Ok(Self(passed))
    }

    /// Returns the sockets for `address`: all with its name, or the one bound to it. A name without a socket is
    /// an error.
    pub(super) fn find(&self, address: &Address) -> io::Result<Vec<OwnedFd>> {
        let fitting = self.0.iter().filter(|passed| passed.is_for(address));
        let found: Vec<_> = fitting.map(Passed::socket).collect::<Result<_, _>>()?;
        match address {
            Address::Systemd(_) if found.is_empty() => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!(
                    "no socket with this name was passed: LISTEN_FDNAMES has {}",
                    self.names()
                ),
            )),
            Address::Systemd(_) | Address::Tcp(_) | Address::Unix(_) => Ok(found),
        }
    }

    /// Warns of sockets whose address none of `used` has.
    pub(super) fn report_unused(&self, used: &[&Address]) {
        let is_used = |passed: &&Passed| used.iter().any(|address| passed.is_for(address));
        for passed in self.0.iter().filter(|passed| !is_used(passed)) {
            tracing::warn!(
                name = passed.name,
                "no [[listen]] uses a socket passed by systemd: add address = \"systemd:NAME\""
            );
        }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self
            .0
            .iter()
            .map(|passed| format!("`{}`", passed.name))
            .collect();
        if names.is_empty() {
            "none (LISTEN_FDS is unset or 0)".to_owned()
        } else {
            names.join(", ")
        }
    }
}

impl Passed {
    fn is_for(&self, address: &Address) -> bool {
        match (address, &self.socket) {
            (Address::Systemd(name), _) => *name == self.name,
            (Address::Tcp(address), Socket::Tcp(listener)) => {
                listener.local_addr().is_ok_and(|local| local == *address)
            }
            (Address::Unix(path), Socket::Unix(listener)) => listener
                .local_addr()
                .is_ok_and(|local| local.as_pathname() == Some(path)),
            (Address::Tcp(_), Socket::Unix(_)) | (Address::Unix(_), Socket::Tcp(_)) => false,
        }
    }

    fn socket(&self) -> io::Result<OwnedFd> {
        match &self.socket {
            Socket::Tcp(listener) => listener.as_fd().try_clone_to_owned(),
            Socket::Unix(listener) => listener.as_fd().try_clone_to_owned(),
        }
    }
}
