//! Sender of messages to the service manager (sd_notify(3)).

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::cmsg_space;
use rustix::net::{
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, sendmsg_addr,
};
use sd_notify::NotifyState;

use super::message::{Announced, State, message};
use super::names;
use super::store::{Store, Stored};

/// Connection to the manager. Only the main process may use it (NotifyAccess=main). A message blocks for at most a second,
/// and a failure is logged: the service goes on.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<OsString>,
    announced: Announced,
    store: Store,
    /// The last message was not sent, which has been logged.
    has_failed: bool,
}

impl Notifier {
    /// Builds the sender to `$NOTIFY_SOCKET`; it is silent if that is not set.
    pub fn from_environment() -> Self {
        Self::to(std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()))
    }

    fn to(socket: Option<OsString>) -> Self {
        Self {
            socket,
            announced: Announced::new(),
            store: Store::default(),
            has_failed: false,
        }
    }

    /// Announces the state, with the line that `systemctl status` shows. Sends nothing if neither has changed.
    pub fn announce(&mut self, state: State, status: &str) {
        // Without a clock there is no reload either: CLOCK_MONOTONIC is always there.
        let now = match NotifyState::monotonic_usec_now() {
            Ok(NotifyState::MonotonicUsec(now)) => now,
            Ok(_) | Err(_) => 0,
        };
        let text = self.announced.change(state, status, now);
        if !text.is_empty() {
            self.send(&text, None);
        }
    }

    /// Tells the watchdog that the service is alive.
    pub fn feed_watchdog(&mut self) {
        self.send(&message(&[NotifyState::Watchdog]), None);
    }

    /// Records a listener that came back from the store, so that [`Notifier::store`] removes it there once it is unused.
    pub fn restore(&mut self, address: &str, socket: BorrowedFd<'_>) {
        if let Some(stored) = stored(address, socket) {
            self.store.restore(stored);
        }
    }

    /// Makes the store hold exactly these listeners, each with its address. Sockets of a `.socket` unit do not belong there,
    /// as their unit keeps them.
    pub fn store(&mut self, listeners: &[(String, BorrowedFd<'_>)]) {
        if self.socket.is_none() {
            return;
        }
        let all = listeners.iter();
        let named: Vec<_> = all
            .filter_map(|(address, socket)| Some((stored(address, *socket)?, *socket)))
            .collect();
        let contents = named.iter().map(|(stored, _)| stored.clone()).collect();
        let difference = self.store.replace(contents);
        for name in &difference.removed {
            let lines = [NotifyState::FdStoreRemove, NotifyState::FdName(name)];
            self.send(&message(&lines), None);
        }
        for (stored, socket) in named {
            if difference.added.contains(&stored) {
                let lines = [NotifyState::FdStore, NotifyState::FdName(&stored.name)];
                self.send(&message(&lines), Some(socket));
            }
        }
    }

    fn send(&mut self, text: &str, attached: Option<BorrowedFd<'_>>) {
        let Some(socket) = &self.socket else {
            return;
        };
        let sent = send(socket, text, attached);
        if let Err(error) = &sent
            && !self.has_failed
        {
            tracing::warn!(
                socket = %socket.display(), %error,
                "cannot reach the service manager ($NOTIFY_SOCKET)"
            );
        }
        self.has_failed = sent.is_err();
    }
}

/// Returns the listener as the store has it; `None` if it cannot be stored, which is logged.
fn stored(address: &str, socket: BorrowedFd<'_>) -> Option<Stored> {
    let Some(name) = names::stored(address) else {
        tracing::warn!(
            address,
            "a restart of the service closes the listener: its address is too long for the descriptor store of systemd"
        );
        return None;
    };
    // fstat(2) of an open descriptor does not fail.
    let inode = rustix::fs::fstat(socket).ok()?.st_ino;
    Some(Stored { name, inode })
}

/// Sends a message to the socket at a path, or with an abstract name that begins with `@`.
fn send(socket: &OsStr, text: &str, attached: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
        path => SocketAddrUnix::new(path)?,
    };
    let sender = UnixDatagram::unbound()?;
    sender.set_write_timeout(Some(LIMIT))?;
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let attached = attached.as_slice();
    if !attached.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(attached));
    }
    let text = [IoSlice::new(text.as_bytes())];
    sendmsg_addr(&sender, &address, &text, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Time limit of a message while the manager's queue is full: it must not hold up the reaping of children.
const LIMIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::io::IoSliceMut;
    use std::net::TcpListener;
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

    use super::*;

    /// Receives the messages that wait, each with its descriptors.
    fn received(manager: &UnixDatagram) -> Vec<(String, Vec<OwnedFd>)> {
        manager.set_nonblocking(true).unwrap();
        let mut messages = Vec::new();
        loop {
            let mut text = [0; 1024];
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(4))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut slices = [IoSliceMut::new(&mut text)];
            let Ok(read) = recvmsg(manager, &mut slices, &mut control, RecvFlags::empty()) else {
                return messages;
            };
            let mut descriptors = Vec::new();
            for part in control.drain() {
                if let RecvAncillaryMessage::ScmRights(received) = part {
                    descriptors.extend(received);
                }
            }
            let text = String::from_utf8(text[..read.bytes].to_vec()).unwrap();
            messages.push((text, descriptors));
        }
    }

    fn texts(manager: &UnixDatagram) -> Vec<String> {
        received(manager)
            .into_iter()
            .map(|(text, _)| text)
            .collect()
    }

    #[test]
    fn messages_arrive_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("fcgate-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
        for (manager, socket) in [
            (
                UnixDatagram::bind(&path).unwrap(),
                path.clone().into_os_string(),
            ),
            (
                UnixDatagram::bind_addr(&abstract_address).unwrap(),
                format!("@{name}").into(),
            ),
        ] {
            let mut notifier = Notifier::to(Some(socket));
            notifier.announce(State::Serving, "serves");
            notifier.feed_watchdog();
            assert_eq!(texts(&manager), ["READY=1\nSTATUS=serves", "WATCHDOG=1"]);
        }
    }

    #[test]
    fn a_reload_has_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let mut notifier = Notifier::to(Some(path.into_os_string()));
        notifier.announce(State::Serving, "");
        notifier.announce(State::Reloading, "");
        let texts = texts(&manager);
        let time = texts[1]
            .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
            .unwrap();
        assert!(time.parse::<u64>().unwrap() > 0, "{texts:?}");
    }

    #[test]
    fn listeners_are_stored_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut notifier = Notifier::to(Some(path.into_os_string()));
        // It came back from the store, and the configuration has it no more.
        notifier.restore("[::]:443", other.as_fd());
        notifier.store(&[("[::]:80".to_owned(), listener.as_fd())]);
        notifier.store(&[("[::]:80".to_owned(), listener.as_fd())]);
        let mut messages = received(&manager);
        let (text, mut descriptors) = messages.pop().unwrap();
        assert_eq!(text, "FDSTORE=1\nFDNAME=fcgate-listener=[%3A%3A]%3A80");
        let stored = TcpListener::from(descriptors.remove(0));
        assert_eq!(stored.local_addr().unwrap(), listener.local_addr().unwrap());
        let (text, descriptors) = messages.pop().unwrap();
        assert_eq!(
            text,
            "FDSTOREREMOVE=1\nFDNAME=fcgate-listener=[%3A%3A]%3A443"
        );
        assert_eq!((descriptors.len(), messages.len()), (0, 0));
    }

    #[test]
    fn no_manager_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("none").into_os_string();
        for socket in [None, Some(gone), Some("relative-and-missing".into())] {
            let is_set = socket.is_some();
            let mut notifier = Notifier::to(socket);
            notifier.announce(State::Serving, "");
            assert_eq!(notifier.has_failed, is_set);
        }
    }

    #[test]
    fn a_manager_that_does_not_read_holds_up_nobody_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _manager = UnixDatagram::bind(&path).unwrap();
        let mut notifier = Notifier::to(Some(path.into_os_string()));
        while !notifier.has_failed {
            notifier.feed_watchdog();
        }
    }
}
