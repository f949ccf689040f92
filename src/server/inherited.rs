//! Listening sockets passed to the process at start: systemd's socket activation (sd_listen_fds(3)).

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;

use super::socket::Acceptor;
use crate::site::{ListenAddress, Listener};

/// Passed sockets, kept for the life of the process: a reload may remove a listener and another may add it again.
#[derive(Debug, Default)]
pub struct Inherited(Vec<Passed>);

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
    pub fn from_environment() -> io::Result<Self> {
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
    pub(super) fn find(&self, address: &ListenAddress) -> io::Result<Vec<Acceptor>> {
        let fitting = self.0.iter().filter(|passed| passed.is_for(address));
        let found: Vec<_> = fitting.map(Passed::acceptor).collect::<Result<_, _>>()?;
        match address {
            ListenAddress::Systemd(_) if found.is_empty() => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!(
                    "no socket with this name was passed: LISTEN_FDNAMES has {}",
                    self.names()
                ),
            )),
            ListenAddress::Systemd(_) | ListenAddress::Tcp(_) | ListenAddress::Unix(_) => Ok(found),
        }
    }

    /// Warns of sockets without a listener: nothing accepts their clients.
    pub(super) fn report_unused(&self, listeners: &[Listener]) {
        let unused = self.0.iter().filter(|passed| {
            !listeners
                .iter()
                .any(|listener| passed.is_for(&listener.address))
        });
        for passed in unused {
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
    fn is_for(&self, address: &ListenAddress) -> bool {
        match (address, &self.socket) {
            (ListenAddress::Systemd(name), _) => *name == self.name,
            (ListenAddress::Tcp(address), Socket::Tcp(listener)) => {
                listener.local_addr().is_ok_and(|local| local == *address)
            }
            (ListenAddress::Unix(path), Socket::Unix(listener)) => listener
                .local_addr()
                .is_ok_and(|local| local.as_pathname() == Some(path)),
            (ListenAddress::Tcp(_), Socket::Unix(_)) | (ListenAddress::Unix(_), Socket::Tcp(_)) => {
                false
            }
        }
    }

    fn acceptor(&self) -> io::Result<Acceptor> {
        match &self.socket {
            Socket::Tcp(listener) => Acceptor::passed(listener.try_clone()?),
            Socket::Unix(listener) => Acceptor::unix(listener.try_clone()?),
        }
    }
}
