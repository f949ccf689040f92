//! A client's connection as hyper reads and writes it: one coarse deadline in place of a timer per
//! request, and the bytes that were read to tell the protocol, read again.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep, sleep_until};

use super::watch::Watch;
use crate::stream::Stream;

/// RFC 9110 §15.5.9, written by us: hyper closes without a word.
const REQUEST_TIMEOUT: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a head that has begun; none in HTTP/2, whose frames may come at any time.
    pub(super) header: Option<Duration>,
    /// Between requests.
    pub(super) keep_alive: Duration,
}

/// The connection.
#[derive(Debug)]
pub(super) struct ConnectionIo {
    stream: TokioIo<Stream>,
    replay: Bytes,
    watch: Arc<Watch>,
    patience: Patience,
    /// A part of a head was read.
    head_begun: bool,
    /// Requests that had begun when this was looked at last.
    begun: usize,
    /// When the wait began that goes on now.
    since: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl ConnectionIo {
    /// `replay` was read before and is read again first.
    pub(super) fn new(
        stream: Stream,
        replay: Bytes,
        watch: Arc<Watch>,
        patience: Patience,
    ) -> Self {
        Self {
            stream: TokioIo::new(stream),
            head_begun: false,
            begun: 0,
            replay,
            watch,
            patience,
            since: None,
            sleep: None,
        }
    }

    /// Ready when the client has taken too long.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.note_requests();
        if !self.watch.is_idle() {
            return Poll::Pending;
        }
        let limit = match self.patience.header {
            Some(header) if self.head_begun => header,
            Some(_) | None => self.patience.keep_alive,
        };
        let deadline = *self.since.get_or_insert_with(Instant::now) + limit;
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }

    /// A request that began since the last look ended the wait for its head.
    fn note_requests(&mut self) {
        let begun = self.watch.begun();
        if begun != self.begun || !self.watch.is_idle() {
            self.begun = begun;
            self.head_begun = false;
            self.since = None;
        }
    }

    /// Notes that bytes came: the head's time counts from its first byte, not from its last.
    fn note_bytes(&mut self) {
        self.note_requests();
        if self.watch.is_idle() && !self.head_begun {
            self.head_begun = true;
            self.since = None;
        }
    }
}

impl Read for ConnectionIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.replay.is_empty() {
            let count = this.replay.len().min(buffer.remaining());
            buffer.put_slice(&this.replay.split_to(count));
            this.note_bytes();
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Ready(result) => {
                this.note_bytes();
                Poll::Ready(result)
            }
            Poll::Pending => {
                ready!(this.poll_expired(cx));
                if this.head_begun && this.patience.header.is_some() {
                    // Best effort: a client that reads learns why it is cut off.
                    let _ = Pin::new(&mut this.stream).poll_write(cx, REQUEST_TIMEOUT);
                }
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl Write for ConnectionIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}
