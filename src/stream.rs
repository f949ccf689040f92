//! A unix or a TCP stream as one type, for clients and for FastCGI servers alike.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// An open connection.
#[derive(Debug)]
pub enum Stream {
    /// Through a unix socket.
    Unix(UnixStream),
    /// Through TCP.
    Tcp(TcpStream),
}

impl Stream {
    /// Whether nothing has arrived and the other end is open: what an idle connection must be to
    /// be used again (behaviours no. 34). Asks the kernel, since the reactor may not know yet.
    pub fn is_quiet(&self) -> bool {
        let descriptor = match self {
            Self::Unix(stream) => stream.as_raw_fd(),
            Self::Tcp(stream) => stream.as_raw_fd(),
        };
        let mut byte = [0];
        recv(
            descriptor,
            &mut byte,
            MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT,
        ) == Err(Errno::EAGAIN)
    }

    /// Waits for bytes and copies them without taking them; 0 at the end.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.peek(buffer).await,
            Self::Unix(stream) => {
                let descriptor = stream.as_raw_fd();
                let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
                let look = || recv(descriptor, buffer, flags).map_err(io::Error::from);
                stream.async_io(Interest::READABLE, look).await
            }
        }
    }

    /// Whether it is TCP.
    pub fn is_tcp(&self) -> bool {
        matches!(self, Self::Tcp(_))
    }

    /// Makes closing take back what the server has not read yet: a request that still lies in its
    /// backlog is then never executed. On unix sockets closing does that by itself
    /// (php-fpm-facts no. 16).
    pub fn reset_on_close(&self) {
        if let Self::Tcp(stream) = self {
            // Where it fails the close is an ordinary one.
            let _ = SockRef::from(&stream.as_fd()).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
