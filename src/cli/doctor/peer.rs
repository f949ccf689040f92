//! Connections to a FastCGI server, outside of the queue of requests. Scripts of the application are
//! requested with `--run` alone.

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

/// Timeout of connecting.
const CONNECT: Duration = Duration::from_secs(2);

/// Timeout of an answer to a probe; longer than that of the gateway, since no request waits here.
const SILENCE: Duration = Duration::from_secs(3);

/// Timeout of a request.
const ANSWER: Duration = Duration::from_secs(10);

/// Maximum length kept of each stream of a reply, in bytes.
const MOST: usize = 64 * 1024;

/// Reaction of a server to a probe; the terms of `upstream::fpm::admission`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Answers and keeps the connection.
    Kept,
    /// Answers during other requests.
    Multiplexed,
    /// Answers once a worker is free, and none was.
    Busy,
    /// Answers and closes the connection.
    Closes,
    /// Does not answer.
    Silent,
    /// Another reaction, with its description.
    Foreign(String),
}

/// The reply to a request.
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

/// Checks that the address accepts connections.
pub(super) async fn check_connect(address: &Address) -> io::Result<()> {
    Peer::connect(address).await.map(drop)
}

/// Reports whether each of these upstreams has a server that accepts connections.
pub(super) async fn has_one_in_each(upstreams: &[Vec<Address>]) -> bool {
    for servers in upstreams {
        let mut is_up = false;
        for address in servers {
            is_up = is_up || check_connect(address).await.is_ok();
        }
        if !is_up {
            return false;
        }
    }
    true
}

/// Reports whether the error is a reply that is no FastCGI.
pub(super) fn is_foreign(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(ProtocolError::WrongVersion(_)))
}

/// Classifies the server by its reaction to probes, as the gateway does.
pub(super) async fn classify(address: &Address) -> io::Result<Class> {
    let mut peer = Peer::connect(address).await?;
    let found = match timeout(SILENCE, inquiry::inquire(&mut peer.stream, Inquiry::Probe)).await {
        Ok(found @ (Reaction::Acknowledged(_) | Reaction::HungUp(_) | Reaction::Foreign(_))) => {
            found
        }
        Ok(Reaction::Unacknowledged) | Err(_) => {
            let mut other = Peer::connect(address).await?;
            match timeout(SILENCE, inquiry::inquire(&mut other.stream, Inquiry::Role)).await {
                // It answers probes, and no worker was free for the first.
                Ok(Reaction::Acknowledged(_)) | Err(_) => return Ok(Class::Busy),
                Ok(found) => found,
            }
        }
    };
    Ok(match found {
        Reaction::Unacknowledged => Class::Silent,
        Reaction::HungUp(error) => Class::Foreign(format!("it closes the connection: {error}")),
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

/// Sends a request with these variables and without content, and reads the reply.
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
                return Err(io::Error::other("it closes the connection"));
            }
        }
    }
}

impl Reply {
    /// Returns the status (RFC 3875 §6.3.3), 200 without a Status field.
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

    /// Reports whether PHP-FPM does not find the script.
    pub(super) fn is_unknown(&self) -> bool {
        self.has_error("Primary script unknown")
            || (self.status() == 404 && self.body() == "File not found.\n")
    }

    /// Reports whether the error stream contains a text.
    pub(super) fn has_error(&self, words: &str) -> bool {
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
