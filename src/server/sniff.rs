//! Which protocol a clear-text connection speaks: HTTP/2 begins with a preface that no HTTP/1
//! request line can be (RFC 9113 §3.4).

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::timeout;
use tokio_util::io::read_buf;

use crate::stream::Stream;

/// RFC 9113 §3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sniffed {
    /// HTTP/1.0 or HTTP/1.1, or something that is neither; these bytes were read.
    Http1(Bytes),
    /// HTTP/2 with prior knowledge; these bytes were read.
    Http2(Bytes),
}

/// Reads until the first bytes tell; `limit` bounds it.
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
        match verdict(&read) {
            Some(true) => return Ok(Sniffed::Http2(read.freeze())),
            Some(false) => return Ok(Sniffed::Http1(read.freeze())),
            None => {}
        }
    }
}

/// Whether these first bytes are HTTP/2; `None` while they could be either.
fn verdict(read: &[u8]) -> Option<bool> {
    let compared = read.len().min(PREFACE.len());
    match read.get(..compared) == PREFACE.get(..compared) {
        false => Some(false),
        true if compared == PREFACE.len() => Some(true),
        true => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_is_told_from_its_first_bytes() {
        assert_eq!(verdict(b"G"), Some(false));
        assert_eq!(verdict(b"PRI"), None);
        assert_eq!(verdict(b"PRI /"), Some(false));
        assert_eq!(verdict(PREFACE), Some(true));
        assert_eq!(verdict(&[PREFACE, b"more"].concat()), Some(true));
        assert_eq!(verdict(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX"), Some(false));
    }
}
