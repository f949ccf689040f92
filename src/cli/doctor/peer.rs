//! A conversation with a FastCGI server, outside of the queue that requests wait in. Nothing here
//! names a script of the application but where its user wants that.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::fastcgi::decoder::{Decoder, Event};
use crate::fastcgi::params::{ParamsEncoder, end_of_params};
use crate::fastcgi::record::{Id, ProtocolError, begin_request, stdin_header};
use crate::stream::Stream;
use crate::upstream::Address;
use crate::upstream::fpm::inquiry::{self, Inquiry, Reaction};

/// For one attempt to connect.
const CONNECT: Duration = Duration::from_secs(2);

/// For an answer to a probe; longer than requests wait for it, as nobody waits for them here.
const SILENCE: Duration = Duration::from_secs(3);

/// For an answer to a request.
const ANSWER: Duration = Duration::from_secs(10);

/// Of an answer nothing more is kept, in bytes.
const MOST: usize = 64 * 1024;

/// What the server does with a probe; the words of `upstream::fpm::admission`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Answers and serves on.
    Kept,
    /// Answers whatever else it does.
    Multiplexed,
    /// Answers when a worker is free, and none was.
    Busy,
    /// Answers and hangs up.
    Closes,
    /// Does not answer.
    Silent,
    /// Does something else: what.
    Foreign(String),
}

/// What a request was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// An open connection.
struct Peer {
    stream: Stream,
    decoder: Decoder,
    input: BytesMut,
}

/// Whether something accepts connections.
pub(super) async fn knock(address: &Address) -> io::Result<()> {
    Peer::connect(address).await.map(drop)
}

/// Whether each of these upstreams has a server that accepts connections.
pub(super) async fn has_one_in_each(upstreams: &[Vec<Address>]) -> bool {
    for servers in upstreams {
        let mut is_up = false;
        for address in servers {
            is_up = is_up || knock(address).await.is_ok();
        }
        if !is_up {
            return false;
        }
    }
    true
}

/// Whether it says that what came is no FastCGI.
pub(super) fn is_foreign(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(ProtocolError::WrongVersion(_)))
}

/// Finds out what the server does with probes, as the gateway does it.
pub(super) async fn classify(address: &Address) -> io::Result<Class> {
    let mut peer = Peer::connect(address).await?;
    let found = match timeout(SILENCE, inquiry::inquire(&mut peer.stream, Inquiry::Probe)).await {
        Ok(found @ (Reaction::Acknowledged(_) | Reaction::HungUp(_) | Reaction::Foreign(_))) => {
            found
        }
        Ok(Reaction::Unacknowledged) | Err(_) => {
            let mut other = Peer::connect(address).await?;
            match timeout(SILENCE, inquiry::inquire(&mut other.stream, Inquiry::Role)).await {
                // It knows probes, and nobody was free for the first.
                Ok(Reaction::Acknowledged(_)) | Err(_) => return Ok(Class::Busy),
                Ok(found) => found,
            }
        }
    };
    Ok(match found {
        Reaction::Unacknowledged => Class::Silent,
        Reaction::HungUp(error) => Class::Foreign(format!("it hangs up: {error}")),
        Reaction::Foreign(error) => Class::Foreign(error.to_string()),
        Reaction::Acknowledged(_) => {
            match timeout(SILENCE, inquiry::inquire(&mut peer.stream, Inquiry::Probe)).await {
                Ok(Reaction::Acknowledged(values)) if values.multiplexes => Class::Multiplexed,
                Ok(Reaction::Acknowledged(_)) => Class::Kept,
                Ok(Reaction::Unacknowledged | Reaction::HungUp(_) | Reaction::Foreign(_))
                | Err(_) => Class::Closes,
            }
        }
    })
}

/// Sends a request with these variables and without content, and reads the answer.
pub(super) async fn ask(address: &Address, variables: &[(&str, &[u8])]) -> io::Result<Reply> {
    let mut peer = Peer::connect(address).await?;
    let answer = timeout(ANSWER, peer.request(variables)).await;
    answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

impl Peer {
    async fn connect(address: &Address) -> io::Result<Self> {
        let connected = timeout(CONNECT, connect(address)).await;
        Ok(Self {
            stream: connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?,
            decoder: Decoder::new(Id::FIRST),
            input: BytesMut::new(),
        })
    }

    async fn request(&mut self, variables: &[(&str, &[u8])]) -> io::Result<Reply> {
        let mut records = Vec::new();
        begin_request(&mut records);
        let mut params = ParamsEncoder::new(&mut records);
        for (name, value) in variables {
            params.pair(name.as_bytes(), value);
        }
        params.finish();
        end_of_params(&mut records);
        records.extend_from_slice(&stdin_header(Id::FIRST, 0));
        self.stream.write_all(&records).await?;
        let mut reply = Reply::default();
        loop {
            match self.event().await? {
                Event::Stdout(piece) => keep(&mut reply.stdout, &piece),
                Event::Stderr(piece) => keep(&mut reply.stderr, &piece),
                Event::End { .. } => return Ok(reply),
                Event::Values(_) => {}
            }
        }
    }

    async fn event(&mut self) -> io::Result<Event> {
        loop {
            let event = self.decoder.next(&mut self.input);
            if let Some(event) = event.map_err(io::Error::other)? {
                return Ok(event);
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::Error::other("it hangs up"));
            }
        }
    }
}

impl Reply {
    /// RFC 3875 §6.3.3: the status, 200 where none is named.
    pub(super) fn status(&self) -> u16 {
        let text = String::from_utf8_lossy(&self.stdout);
        let head = text.lines().take_while(|line| !line.is_empty());
        let mut status = head.filter_map(|line| line.strip_prefix("Status:"));
        let code = status
            .next()
            .and_then(|rest| rest.split_whitespace().next());
        code.and_then(|code| code.parse().ok()).unwrap_or(200)
    }

    pub(super) fn body(&self) -> String {
        let text = String::from_utf8_lossy(&self.stdout);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
        body.unwrap_or_default().to_owned()
    }

    /// Whether PHP-FPM says that it knows no such script.
    pub(super) fn is_unknown(&self) -> bool {
        self.says("Primary script unknown")
            || (self.status() == 404 && self.body() == "File not found.\n")
    }

    /// Whether the error stream has these words.
    pub(super) fn says(&self, words: &str) -> bool {
        String::from_utf8_lossy(&self.stderr).contains(words)
    }
}

fn keep(kept: &mut Vec<u8>, piece: &[u8]) {
    let room = MOST.saturating_sub(kept.len());
    kept.extend(piece.iter().take(room));
}

async fn connect(address: &Address) -> io::Result<Stream> {
    match address {
        Address::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        Address::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await;
            stream.map(Stream::Tcp)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read() {
        let reply = Reply {
            stdout: b"Status: 404 Not Found\r\nX-A: 1\r\n\r\nFile not found.\n".to_vec(),
            stderr: b"Primary script unknown".to_vec(),
        };
        assert_eq!(reply.status(), 404);
        assert!(reply.is_unknown());
        let reply = Reply {
            stdout: b"X-A: 1\r\n\r\nStatus: 500\r\n".to_vec(),
            stderr: Vec::new(),
        };
        assert_eq!(
            (reply.status(), reply.body().as_str()),
            (200, "Status: 500\r\n")
        );
        assert!(!reply.is_unknown());
    }
}
