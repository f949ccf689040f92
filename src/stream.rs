//! A unix, TCP or TLS stream as one type, for clients and for FastCGI servers; only a client's may
//! have TLS.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::MSG_MORE;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::sendfile::sendfile64;
use nix::sys::socket::{MsgFlags, recv, sendmsg};
use socket2::{Domain, SockAddr, SockRef, Socket as RawSocket, Type};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// The most bytes that TLS has encrypted and the kernel has not accepted: three and a half records (RFC 8446 §5.1).
/// More per system call was no faster, and a client that does not read holds as much.
pub const TLS_BUFFER: usize = 56 * 1024;

/// An open connection.
#[derive(Debug)]
pub enum Stream {
    /// A unix stream.
    Unix(UnixStream),
    /// A TCP stream.
    Tcp(TcpStream),
    /// A client's TLS stream, after its handshake.
    Tls(Box<TlsStream<Self>>),
}

/// A connection without a runtime, which can move to another thread.
#[derive(Debug)]
pub enum DetachedStream {
    /// A unix stream.
    Unix(std::os::unix::net::UnixStream),
    /// A TCP stream.
    Tcp(std::net::TcpStream),
}

impl DetachedStream {
    /// Registers the connection, which is non-blocking already, with the runtime of this thread.
    pub fn attach(self) -> io::Result<Stream> {
        match self {
            Self::Unix(stream) => UnixStream::from_std(stream).map(Stream::Unix),
            Self::Tcp(stream) => TcpStream::from_std(stream).map(Stream::Tcp),
        }
    }
}

impl AsRawFd for DetachedStream {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Self::Unix(stream) => stream.as_raw_fd(),
            Self::Tcp(stream) => stream.as_raw_fd(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Socket<'a> {
    Unix(&'a UnixStream),
    Tcp(&'a TcpStream),
}

impl Stream {
    /// Waits for bytes and copies them without consuming them; returns their number, 0 at the end.
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut look = |descriptor| Ok(recv(descriptor, buffer, MsgFlags::MSG_PEEK)?);
        let readable = Interest::READABLE;
        match self.socket() {
            Socket::Unix(stream) => stream.async_io(readable, || look(stream.as_raw_fd())).await,
            Socket::Tcp(stream) => stream.async_io(readable, || look(stream.as_raw_fd())).await,
        }
    }

    /// Deregisters the connection from its runtime. Fails for connections with TLS, which stay in their thread.
    pub fn detach(self) -> io::Result<DetachedStream> {
        match self {
            Self::Unix(stream) => stream.into_std().map(DetachedStream::Unix),
            Self::Tcp(stream) => stream.into_std().map(DetachedStream::Tcp),
            Self::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Returns the socket below any TLS.
    fn socket(&self) -> Socket<'_> {
        match self {
            Self::Unix(stream) => Socket::Unix(stream),
            Self::Tcp(stream) => Socket::Tcp(stream),
            Self::Tls(stream) => stream.get_ref().0.socket(),
        }
    }

    /// Reports whether no bytes have arrived and the peer is open, the condition for reusing an idle connection
    /// (docs/cgi.md, "The behaviours, one by one", no. 34). Asks the kernel, since the reactor may not know yet.
    pub fn is_quiet(&self) -> bool {
        let descriptor = match self.socket() {
            Socket::Unix(stream) => stream.as_raw_fd(),
            Socket::Tcp(stream) => stream.as_raw_fd(),
        };
        let mut byte = [0];
        recv(
            descriptor,
            &mut byte,
            MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT,
        ) == Err(Errno::EAGAIN)
    }

    /// Reports whether the peer accepts no more: it has reset the connection or, on a unix socket, closed it. A
    /// closed TCP connection looks half-closed until something is written to it.
    pub fn is_hung_up(&self) -> bool {
        let descriptor = match self.socket() {
            Socket::Unix(stream) => stream.as_fd(),
            Socket::Tcp(stream) => stream.as_fd(),
        };
        // poll(2): POLLHUP and POLLERR are reported without being requested.
        let mut descriptors = [PollFd::new(descriptor, PollFlags::empty())];
        poll(&mut descriptors, PollTimeout::ZERO).is_ok_and(|events| events > 0)
    }

    /// Reports whether the kernel can send files through it: it has no TLS.
    pub fn can_send_files(&self) -> bool {
        !matches!(self, Self::Tls(_))
    }

    /// Sends at most `count` bytes of `file` from `offset` on; returns their number. Not for
    /// connections with TLS.
    pub fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: &OwnedFd,
        offset: u64,
        count: usize,
    ) -> Poll<io::Result<usize>> {
        self.poll_writable(cx, |socket| {
            let mut offset = i64::try_from(offset).map_err(io::Error::other)?;
            Ok(sendfile64(socket, file, Some(&mut offset), count)?)
        })
    }

    /// Writes bytes that a file follows, so that they share a packet with the beginning of the file
    /// (send(2), MSG_MORE). Not for connections with TLS.
    pub fn poll_write_before_file(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let more = MsgFlags::from_bits_retain(MSG_MORE);
        let flags = more | MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        self.poll_writable(cx, |socket| {
            let descriptor = socket.as_raw_fd();
            Ok(sendmsg::<()>(descriptor, slices, &[], flags, None)?)
        })
    }

    fn poll_writable(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let socket = self.socket();
        loop {
            let (ready, descriptor) = match socket {
                Socket::Unix(stream) => (stream.poll_write_ready(cx), stream.as_fd()),
                Socket::Tcp(stream) => (stream.poll_write_ready(cx), stream.as_fd()),
            };
            ready!(ready)?;
            let written = match socket {
                Socket::Unix(stream) => stream.try_io(Interest::WRITABLE, || write(descriptor)),
                Socket::Tcp(stream) => stream.try_io(Interest::WRITABLE, || write(descriptor)),
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// Reports whether it is TCP, with or without TLS.
    pub fn is_tcp(&self) -> bool {
        matches!(self.socket(), Socket::Tcp(_))
    }

    /// Makes closing discard the bytes that the server has not read yet: a request still in its backlog
    /// is then never executed. On unix sockets every close does that
    /// (docs/internals/php-fpm.md, "Taking a request back").
    pub fn reset_on_close(&self) {
        if let Socket::Tcp(stream) = self.socket() {
            // On failure the close is an ordinary one.
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
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
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
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
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
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(_) | Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}

/// Listens at `path`, with the permissions `mode` where given, and with this backlog. An abandoned
/// socket is replaced, any other file is not. No client can connect before the mode is set: that
/// takes `listen`.
pub fn listen_unix(
    path: &Path,
    mode: Option<u32>,
    backlog: i32,
) -> io::Result<std::os::unix::net::UnixListener> {
    let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
    let address = SockAddr::unix(path)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            remove_abandoned(path)?;
            socket.bind(&address)?;
        }
        result => result?,
    }
    if let Some(mode) = mode {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    socket.listen(backlog)?;
    Ok(socket.into())
}

/// Removes a socket file without a listener, the remains of a killed process; one that accepts is in use.
fn remove_abandoned(path: &Path) -> io::Result<()> {
    if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
        let message = "the path exists and is not a socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Ok(_) | Err(_) => Err(Errno::EADDRINUSE.into()),
    }
}
