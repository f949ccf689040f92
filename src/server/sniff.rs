//! Detection of HTTP/2 by its connection preface, which is no HTTP/1 request line (RFC 9113 §3.4).

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::timeout;
use tokio_util::io::read_buf;

use crate::stream::Stream;

/// The connection preface (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Detected protocol, with the bytes read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sniffed {
    /// HTTP/1.0, HTTP/1.1 or neither version.
    Http1(Bytes),
    /// HTTP/2 with prior knowledge.
    Http2(Bytes),
}

/// Reads until the protocol is known, within `limit`.
pub(super) async fn sniff(stream: &mut Stream, limit: Duration) -> io::Result<Sniffed> {
    timeout(limit, read_enough(stream))
        .await
        .map_err(|_| io::ErrorKind::TimedOut)?
}

async fn read_enough(stream: &mut Stream) -> io::Result<Sniffed> {
    let mut read = BytesMut::with_capacity(1024);
    loop {
        if read_buf(stream, &mut read).await? == 0 {
            return Ok(Sniffed::Http1(read.freeze()));
        }
        match is_http2(&read) {
            Some(true) => return Ok(Sniffed::Http2(read.freeze())),
            Some(false) => return Ok(Sniffed::Http1(read.freeze())),
            None => {}
        }
    }
}

/// Reports whether the first bytes are HTTP/2; `None` while they could be either protocol.
fn is_http2(read: &[u8]) -> Option<bool> {
    let compared = read.len().min(PREFACE.len());
    if read.get(..compared) != PREFACE.get(..compared) {
        Some(false)
    } else if compared == PREFACE.len() {
        Some(true)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_is_recognised_by_its_first_bytes() {
        assert_eq!(is_http2(b"G"), Some(false));
        assert_eq!(is_http2(b"PRI"), None);
        assert_eq!(is_http2(b"PRI /"), Some(false));
        assert_eq!(is_http2(PREFACE), Some(true));
        assert_eq!(is_http2(&[PREFACE, b"more"].concat()), Some(true));
        assert_eq!(is_http2(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX"), Some(false));
    }
}
