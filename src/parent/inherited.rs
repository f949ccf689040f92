//! Listening sockets passed to the process at start: by units of systemd (sd_listen_fds(3)), and by its store, which has
//! those of the process before a restart.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;
use socket2::SockRef;

use crate::control::Address;
use crate::service::names::Source;

/// Passed sockets, kept for the life of the process: a reload may remove a listener and another may add it again.
#[derive(Debug, Default)]
pub struct Inherited(Vec<Passed>);

#[derive(Debug)]
struct Passed {
    source: Source,
    socket: Socket,
}

/// Sockets that were found for a listener.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) sockets: Vec<OwnedFd>,
    /// They were bound here before a restart, and kept by the manager meanwhile.
    pub(super) are_own: bool,
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
            let source = Source::of(names.next().unwrap_or_default());
            let socket = match descriptors.take_tcp_listener(index) {
                Ok(listener) => listener.map(Socket::Tcp),
                Err(_) => descriptors.take_unix_listener(index)?.map(Socket::Unix),
            };
            passed.extend(socket.map(|socket| Passed { source, socket }));
        }
        Ok(Self(passed))
    }

    /// Returns the sockets for `address`: all with its name, or those bound to it. A name without a socket is an error.
    pub(super) fn find(&self, address: &Address) -> io::Result<Found> {
        let fitting = self.0.iter().filter(|passed| passed.is_for(address));
        let (own, units): (Vec<_>, Vec<_>) = fitting.partition(|passed| passed.is_own());
        let are_own = units.is_empty();
        let found = if are_own { own } else { units }.into_iter();
        let sockets: Vec<_> = found.map(Passed::socket).collect::<Result<_, _>>()?;
        match address {
            Address::Systemd(_) if sockets.is_empty() => Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!(
                    "no socket with this name was passed: LISTEN_FDNAMES has {}",
                    self.names()
                ),
            )),
            Address::Systemd(_) | Address::Tcp(_) | Address::Unix(_) => {
                Ok(Found { sockets, are_own })
            }
        }
    }

    /// Returns the listeners that the manager has kept, each with its address.
    pub(super) fn stored(&self) -> Vec<(&str, BorrowedFd<'_>)> {
        let stored = self.0.iter().filter_map(|passed| match &passed.source {
            Source::Store(address) => Some((address.as_str(), passed.socket.as_fd())),
            Source::Unit(_) => None,
        });
        stored.collect()
    }

    /// Returns the sockets of units, each with its name.
    pub(super) fn units(&self) -> Vec<(&str, BorrowedFd<'_>)> {
        let units = self.0.iter().filter(|passed| !passed.is_own());
        units
            .map(|passed| (passed.name(), passed.socket.as_fd()))
            .collect()
    }

    /// Takes sockets of units from the program before, by their names; `None` if one is missing.
    pub(super) fn adopt(
        names: &[String],
        descriptors: &mut impl Iterator<Item = OwnedFd>,
    ) -> Option<Self> {
        let passed = names.iter().map(|name| {
            let socket = descriptors.next()?;
            let is_unix = SockRef::from(&socket).local_addr().ok()?.is_unix();
            Some(Passed {
                source: Source::Unit(name.clone()),
                socket: if is_unix {
                    Socket::Unix(socket.into())
                } else {
                    Socket::Tcp(socket.into())
                },
            })
        });
        passed.collect::<Option<_>>().map(Self)
    }

    /// Warns of sockets of units whose address none of `used` has, and closes the others.
    pub(super) fn report_unused(&mut self, used: &[&Address]) {
        self.0.retain(|passed| !passed.is_own());
        let is_used = |passed: &&Passed| used.iter().any(|address| passed.is_for(address));
        for passed in self.0.iter().filter(|passed| !is_used(passed)) {
            tracing::warn!(
                name = passed.name(),
                "no [[listen]] uses a socket passed by systemd: add address = \"systemd:NAME\""
            );
        }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self
            .0
            .iter()
            .map(|passed| format!("`{}`", passed.name()))
            .collect();
        if names.is_empty() {
            "none (LISTEN_FDS is unset or 0)".to_owned()
        } else {
            names.join(", ")
        }
    }
}

impl Passed {
    fn is_own(&self) -> bool {
        matches!(self.source, Source::Store(_))
    }

    fn name(&self) -> &str {
        match &self.source {
            Source::Unit(name) | Source::Store(name) => name,
        }
    }

    fn is_for(&self, address: &Address) -> bool {
        match (address, &self.socket) {
            (Address::Systemd(name), _) => !self.is_own() && *name == self.name(),
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
        self.socket.as_fd().try_clone_to_owned()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}
