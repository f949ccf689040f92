//! The beginning of a connection: the TLS handshake where the listener has one, and by what was
//! agreed, or by the first bytes, which version of HTTP is spoken.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::sniff::{Sniffed, sniff};
use crate::message::Wire;
use crate::stream::Stream;
use crate::tls::Acceptor;

/// RFC 8446 §5.1: the first byte of a handshake record, with which no HTTP request can begin.
const HANDSHAKE: u8 = 22;

/// What a client reads that speaks HTTP where HTTPS is spoken.
const SPEAKS_HTTPS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 68\r\n\
    connection: close\r\n\r\n\
    This port speaks HTTPS: the address has to begin with https:// here\n";

/// For how long and how far what such a client has sent is read, so that it gets to read the answer
/// and not a reset (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 64 * 1024;

/// A connection on which HTTP begins.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) stream: Stream,
    pub(super) wire: Arc<Wire>,
    pub(super) sniffed: Sniffed,
}

/// Opens a connection; the handshake and the first bytes have each `limit` to come.
pub(super) async fn open(
    mut stream: Stream,
    wire: Arc<Wire>,
    tls: Option<Arc<Acceptor>>,
    limit: Duration,
) -> io::Result<Opened> {
    let Some(acceptor) = tls else {
        let sniffed = sniff(&mut stream, limit).await?;
        return Ok(Opened {
            stream,
            wire,
            sniffed,
        });
    };
    let accepted = timeout(limit, secure(stream, &acceptor));
    let mut accepted = accepted.await.map_err(|_| io::ErrorKind::TimedOut)??;
    let sniffed = match accepted.is_http2 {
        true => Sniffed::Http2(Bytes::new()),
        false => sniff(&mut accepted.stream, limit).await?,
    };
    Ok(Opened {
        stream: accepted.stream,
        wire: Arc::new(Arc::unwrap_or_clone(wire).with_tls(accepted.facts)),
        sniffed,
    })
}

async fn secure(mut stream: Stream, acceptor: &Acceptor) -> io::Result<crate::tls::Accepted> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if first == [HANDSHAKE] {
        return acceptor.accept(stream).await;
    }
    refuse(&mut stream).await?;
    Err(io::Error::other("clear text on a listener with tls"))
}

async fn refuse(stream: &mut Stream) -> io::Result<()> {
    stream.write_all(SPEAKS_HTTPS).await?;
    stream.shutdown().await?;
    let mut rest = stream.take(LINGER_BYTES);
    let mut nowhere = tokio::io::sink();
    // Whether the client has read it or not, that was all.
    let _ = timeout(LINGER, tokio::io::copy(&mut rest, &mut nowhere)).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_that_of_the_text() {
        let text = std::str::from_utf8(SPEAKS_HTTPS).unwrap();
        let (head, content) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", content.len())));
    }
}
