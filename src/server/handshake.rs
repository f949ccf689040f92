//! The beginning of a connection: the TLS handshake on a listener with TLS, and the version of HTTP, from ALPN
//! (RFC 7301) or from the first bytes.

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

/// ContentType `handshake` (RFC 8446 §5.1): no HTTP request begins with this byte.
const HANDSHAKE: u8 = 22;

/// Response to a plain HTTP request on a TLS listener.
const SPEAKS_HTTPS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 68\r\n\
    connection: close\r\n\r\n\
    This port speaks HTTPS: the address has to begin with https:// here\n";

/// Time and bytes for which the rest of such a request is read, so that the client reads the response and not
/// a reset (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 64 * 1024;

/// A connection with a known version of HTTP.
#[derive(Debug)]
pub(super) struct Negotiated {
    pub(super) stream: Stream,
    pub(super) wire: Arc<Wire>,
    pub(super) sniffed: Sniffed,
}

/// Performs the handshake and detects the version of HTTP, each within `limit`.
pub(super) async fn negotiate(
    mut stream: Stream,
    wire: Arc<Wire>,
    tls: Option<Arc<Acceptor>>,
    limit: Duration,
) -> io::Result<Negotiated> {
    let Some(acceptor) = tls else {
        let sniffed = sniff(&mut stream, limit).await?;
        return Ok(Negotiated {
            stream,
            wire,
            sniffed,
        });
    };
    let mut accepted = timeout(limit, secure(stream, &acceptor))
        .await
        .map_err(|_| io::ErrorKind::TimedOut)??;
    let sniffed = if accepted.is_http2 {
        Sniffed::Http2(Bytes::new())
    } else {
        sniff(&mut accepted.stream, limit).await?
    };
    Ok(Negotiated {
        stream: accepted.stream,
        wire: Arc::new(Arc::unwrap_or_clone(wire).with_tls(accepted.facts)),
        sniffed,
    })
}

/// Performs the TLS handshake; answers plain HTTP with [`SPEAKS_HTTPS`].
async fn secure(mut stream: Stream, acceptor: &Acceptor) -> io::Result<crate::tls::Accepted> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if first == [HANDSHAKE] {
        return acceptor.accept(stream).await;
    }
    send_plain_http_error(&mut stream).await?;
    Err(io::Error::other("plain HTTP on a TLS listener"))
}

async fn send_plain_http_error(stream: &mut Stream) -> io::Result<()> {
    stream.write_all(SPEAKS_HTTPS).await?;
    stream.shutdown().await?;
    let mut rest = stream.take(LINGER_BYTES);
    let mut nowhere = tokio::io::sink();
    // The connection ends here, read or unread.
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
