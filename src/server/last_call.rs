//! The end of accepting: whoever is connected by then may still ask once, also where the kernel had
//! not handed the connection to us yet. A client cannot know that it came too late, and a reset
//! instead of an answer is a failed request behind every load balancer that retries connects only.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::socket::Acceptor;
use crate::message::Wire;
use crate::stream::Stream;

/// How long a connection without a request may take to begin one; longer than a round trip, and
/// short beside any drain.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// When a connection that has not asked anything yet is to end.
pub(super) async fn last_call(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(FIRST_REQUEST).await;
}

/// Closes the socket and returns what was connected to it and is not accepted yet. By system calls of
/// our own: the runtime may not have heard of the last ones.
pub(super) fn close(acceptor: Acceptor) -> Vec<(Stream, Arc<Wire>)> {
    let mut rest = Vec::new();
    let mut next: Box<dyn FnMut() -> io::Result<(Stream, Arc<Wire>)>> = match acceptor {
        Acceptor::Tcp(listener, _) => {
            let Ok(listener) = listener.into_std() else {
                return rest;
            };
            Box::new(move || {
                let (stream, remote) = listener.accept()?;
                stream.set_nonblocking(true)?;
                let wire = Wire::tcp(remote, stream.local_addr()?);
                Ok((Stream::Tcp(TcpStream::from_std(stream)?), Arc::new(wire)))
            })
        }
        Acceptor::Unix(listener, wire) => {
            let Ok(listener) = listener.into_std() else {
                return rest;
            };
            Box::new(move || {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok((
                    Stream::Unix(UnixStream::from_std(stream)?),
                    Arc::clone(&wire),
                ))
            })
        }
    };
    // None more, or none that can be had.
    while let Ok(connection) = next() {
        rest.push(connection);
    }
    rest
}
