//! One end of the pair, in a runtime.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::packet;

/// One end of a pair of sockets.
#[derive(Debug)]
pub struct Channel(AsyncFd<OwnedFd>);

impl Channel {
    /// Registers a non-blocking `socket` with the current runtime.
    pub fn new(socket: OwnedFd) -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "for types that change their descriptor; the new name is unsafe, and OwnedFd keeps its own"
        )]
        AsyncFd::new(socket).map(Self)
    }

    /// Receives the next message; `None` at the end. Can be cancelled without loss.
    pub async fn receive<M: DeserializeOwned>(&self) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
        self.0
            .async_io(Interest::READABLE, |socket| packet::receive(socket))
            .await
    }

    /// Sends a message, and waits for room.
    pub async fn send(&self, message: &impl Serialize) -> io::Result<()> {
        self.0
            .async_io(Interest::WRITABLE, |socket| {
                packet::send(socket, message, &[])
            })
            .await
    }

    /// Sends a message if there is room.
    pub fn try_send(
        &self,
        message: &impl Serialize,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        packet::send(self.0.as_fd(), message, descriptors)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
