//! Where something listens: a TCP address, or the path of a unix socket.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

/// An address; its text is what the configuration takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// A connection of either kind.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {
    /// Makes the close to come a reset, where the kind of socket has that.
    fn reset_on_close(&self) {}
}

impl Duplex for UnixStream {}

impl Duplex for TcpStream {
    fn reset_on_close(&self) {
        let zero = Some(std::time::Duration::ZERO);
        socket2::SockRef::from(self).set_linger(zero).unwrap();
    }
}

pub(crate) type Stream = Box<dyn Duplex>;

impl Address {
    pub(crate) fn parse(text: &str) -> Self {
        match text.strip_prefix("unix:") {
            Some(path) => Self::Unix(path.into()),
            None => Self::Tcp(
                text.parse()
                    .unwrap_or_else(|_| panic!("not an address: {text:?}")),
            ),
        }
    }

    pub(crate) async fn try_connect(&self) -> std::io::Result<Stream> {
        Ok(match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                // Head and content are two writes.
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
            Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
        })
    }

    /// Connects to a TCP address as the client `from`, with a receive buffer of so many bytes.
    pub(crate) async fn connect_from(
        &self,
        from: IpAddr,
        receive_buffer: Option<u32>,
    ) -> std::io::Result<Stream> {
        let Self::Tcp(address) = self else {
            panic!("{self} has no clients with addresses")
        };
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.bind((from, 0).into())?;
        let stream = socket.connect(*address).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    pub(crate) async fn connect(&self) -> Stream {
        match self.try_connect().await {
            Ok(stream) => stream,
            Err(error) => panic!("cannot connect to {self}: {error}"),
        }
    }

    /// The port of a TCP address.
    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Tcp(address) => address.port(),
            Self::Unix(path) => panic!("{} has no port", path.display()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
