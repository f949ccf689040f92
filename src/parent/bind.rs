//! Binding of sockets.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::control::{Address, AdminPlan, ListenerPlan};
use crate::stream::listen_unix;

/// Backlog of the admin listener (listen(2)).
const ADMIN_BACKLOG: i32 = 64;

/// Reason that a socket cannot be bound.
#[derive(Debug, thiserror::Error)]
pub(super) enum BindError {
    /// A listener.
    #[error("cannot listen on {address}: {error}{hint}")]
    Listener {
        address: String,
        error: io::Error,
        hint: &'static str,
    },
    /// The admin listener.
    #[error("cannot listen on {address} (admin.address): {error}{}", folder_hint(.address, .error))]
    Admin { address: String, error: io::Error },
}

/// Binds a listener; sockets of systemd are passed, never bound.
pub(super) fn listener(plan: &ListenerPlan) -> Result<OwnedFd, BindError> {
    let bound = match &plan.address {
        Address::Tcp(address) => tcp(*address, plan.backlog),
        Address::Unix(path) => listen_unix(path, plan.mode, plan.backlog).map(OwnedFd::from),
        Address::Systemd(_) => Err(io::ErrorKind::NotFound.into()),
    };
    bound.map_err(|error| listener_error(&plan.address, error))
}

/// Binds the admin listener. Replaces a unix socket without a listener, and no other file.
pub(super) fn admin(plan: &AdminPlan) -> Result<OwnedFd, BindError> {
    let bound = match &plan.address {
        Address::Tcp(address) => tcp(*address, ADMIN_BACKLOG),
        Address::Unix(path) => listen_unix(path, plan.mode, ADMIN_BACKLOG).map(OwnedFd::from),
        Address::Systemd(_) => Err(io::ErrorKind::NotFound.into()),
    };
    bound.map_err(|error| BindError::Admin {
        address: plan.address.to_string(),
        error,
    })
}

/// Returns the error of a listener with its remedy.
pub(super) fn listener_error(address: &Address, error: io::Error) -> BindError {
    let address = address.to_string();
    let hint = match error.raw_os_error().map(Errno::from_raw) {
        _ if address.starts_with("unix:") => folder_hint(&address, &error),
        Some(Errno::EADDRINUSE) => ": another process listens there (ss -ltnp shows which)",
        Some(Errno::EACCES) => ": ports below 1024 need the capability CAP_NET_BIND_SERVICE",
        Some(Errno::EADDRNOTAVAIL) => ": no interface of this machine has the address",
        Some(_) | None => "",
    };
    BindError::Listener {
        address,
        error,
        hint,
    }
}

fn folder_hint(address: &str, error: &io::Error) -> &'static str {
    if !address.starts_with("unix:") {
        return "";
    }
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT) => ": create its folder, or mount one there",
        Some(Errno::EACCES) => {
            ": the user that starts the gateway may not write to its folder: write a folder that it may"
        }
        Some(Errno::EADDRINUSE) => ": another process listens there (ss -lxp shows which)",
        Some(_) | None => "",
    }
}

fn tcp(address: SocketAddr, backlog: i32) -> io::Result<OwnedFd> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    // A restart does not wait for connections in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&SockAddr::from(address))?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_socket_has_remedies_of_its_own() {
        let tcp = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 80)));
        let unix = Address::Unix("/run/a.sock".into());
        for (address, errno, expected) in [
            (&tcp, Errno::EACCES, "CAP_NET_BIND_SERVICE"),
            (&unix, Errno::EACCES, "may not write to its folder"),
            (&tcp, Errno::EADDRINUSE, "ss -ltnp"),
            (&unix, Errno::EADDRINUSE, "ss -lxp"),
            (&unix, Errno::ENOENT, "create its folder"),
        ] {
            let error = io::Error::from_raw_os_error(errno as i32);
            let text = listener_error(address, error).to_string();
            assert!(text.contains(expected), "{text}");
        }
    }
}
