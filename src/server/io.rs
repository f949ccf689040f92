//! A client's connection as hyper reads and writes it: the head guard in front of hyper, one coarse deadline
//! instead of a timer per request, and a lingering close, so that the client reads its last response.

mod from_file;
mod given_up;
mod half_closed;

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use http::StatusCode;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

use super::deadline::{ClientTimeouts, Deadline};
use super::final_response::FinalResponse;
use super::pace::ReadSlice;
use super::receive_buffer::ReceiveBuffer;
use super::service::Connection;
use crate::handler::piece::is_of_file;
use crate::message::Refusal;
use crate::stream::Stream;
use half_closed::HalfClosed;

/// Size of a read, on the stack: idle connections hold no buffer.
const READ: usize = 32 * 1024;

/// Time for which bytes are read and discarded after the last response: closing with unread bytes resets the
/// connection, and the reset can overtake the response (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);

/// The same for an HTTP/2 connection that makes room for another: a round trip, even a long one.
const SHORT_LINGER: Duration = Duration::from_millis(500);

/// A connection under hyper.
#[derive(Debug)]
pub(super) struct ConnectionIo {
    stream: TokioIo<Stream>,
    received: ReceiveBuffer,
    connection: Arc<Connection>,
    deadline: Deadline,
    /// The kernel has taken everything that hyper has written.
    flushed: bool,
    /// Wakes the reading task once all earlier requests are answered.
    reader: Option<Waker>,
    /// The client has closed its sending half and awaits responses.
    half_closed: Option<Box<HalfClosed>>,
    /// The last response, unless hyper writes it.
    final_response: Option<FinalResponse>,
    /// Start of the lingering close.
    closed: Option<Instant>,
    /// The connection is closed to make room for another.
    is_displaced: bool,
    /// HTTP/2: reads without a pause.
    slice: ReadSlice,
}

impl ConnectionIo {
    /// Builds the connection; hyper reads the bytes held in `received` first.
    pub(super) fn new(
        stream: Stream,
        received: ReceiveBuffer,
        connection: Arc<Connection>,
        timeouts: ClientTimeouts,
    ) -> Self {
        Self {
            stream: TokioIo::new(stream),
            received,
            connection,
            deadline: Deadline::new(timeouts),
            flushed: true,
            reader: None,
            half_closed: None,
            final_response: None,
            closed: None,
            is_displaced: false,
            slice: ReadSlice::default(),
        }
    }

    /// Prepares the connection for another hyper connection; `unused` are bytes passed to the previous one.
    pub(super) fn restore(&mut self, unused: &[u8]) {
        self.received.restore(unused);
    }

    /// Returns the byte stream.
    pub(super) fn stream(&self) -> &Stream {
        self.stream.inner()
    }

    /// Records in the watch whether the connection is at rest: no response owed and no head begun.
    fn update_resting(&self) {
        let begun = self.received.is_in_content() || !self.received.held().is_empty();
        let resting = !begun && self.final_response.is_none() && self.owes_nothing();
        let watch = self.connection.watch();
        // In HTTP/2 h2 tracks outstanding frames, and the watch the requests.
        watch.set_resting(resting || !self.received.is_guarded());
    }

    /// Records a write, and applies `limits.send_pause`.
    fn account_written(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let (Some(half_closed), Poll::Ready(Ok(1..))) = (&mut self.half_closed, &written) {
            half_closed.record_write();
        }
        self.limit_stall(written, cx)
    }

    /// Applies `limits.send_pause`: a client that takes nothing of its response must not hold a worker for ever.
    fn limit_stall<T>(
        &mut self,
        done: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if done.is_pending() {
            ready!(self.deadline.poll_stalled(cx));
            tracing::debug!(client = %self.connection.wire().remote_addr, "connection closed: the client read nothing of its response for limits.send_pause");
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.deadline.record_progress();
        done
    }

    /// Polls the header or keep-alive timeout.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let in_head = self.received.is_guarded() && self.received.is_in_head();
        let watch = self.connection.watch();
        self.deadline.poll_expired(watch, in_head, cx)
    }

    /// Reads from the client and moves accepted bytes to `buffer`; `false` at the end of the stream.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBufCursor<'_>,
    ) -> Poll<io::Result<bool>> {
        let mut space = [const { MaybeUninit::<u8>::uninit() }; READ];
        let mut read = ReadBuf::uninit(&mut space);
        match ready!(Pin::new(self.stream.inner_mut()).poll_read(cx, &mut read)) {
            // RFC 8446 §6.1: without close_notify an attacker may have cut the stream. As at the end of TCP, an
            // incomplete request fails and a complete one is served.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Poll::Ready(Ok(false));
            }
            result => result?,
        }
        if read.filled().is_empty() {
            return Poll::Ready(Ok(false));
        }
        let passed = self.received.receive(read.filled_mut(), buffer);
        if passed || self.received.is_in_head() {
            self.deadline.record_bytes(self.connection.watch());
        }
        Poll::Ready(Ok(true))
    }

    /// Reads for HTTP/1: only bytes that the head guard has accepted pass.
    fn poll_guarded(
        &mut self,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        if self.final_response.is_some() || self.received.fill(&mut buffer) {
            return Poll::Ready(Ok(()));
        }
        loop {
            if let Some(refusal) = self.received.refusal() {
                return self.poll_refuse(cx, refusal);
            }
            if self.half_closed.is_some() {
                return self.poll_half_closed(cx);
            }
            match self.poll_receive(cx, &mut buffer) {
                Poll::Ready(Ok(true)) if buffer.remaining() == room => {}
                Poll::Ready(Ok(false)) => {
                    self.half_closed = Some(Box::new(HalfClosed::new(Instant::now())));
                }
                Poll::Ready(result) => return Poll::Ready(result.map(drop)),
                Poll::Pending => {
                    self.update_resting();
                    if self.poll_given_up(cx).is_pending() {
                        ready!(self.poll_expired(cx));
                    }
                    return Poll::Ready(self.expire());
                }
            }
        }
    }

    /// Refuses a malformed head with a final response, after the responses to earlier heads. Malformed content
    /// fails the request that hyper is reading.
    fn poll_refuse(&mut self, cx: &mut Context<'_>, refusal: Refusal) -> Poll<io::Result<()>> {
        if self.received.is_in_content() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, refusal)));
        }
        if !self.owes_nothing() {
            self.reader = Some(cx.waker().clone());
            return self
                .poll_expired(cx)
                .map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        self.connection.log_refusal(refusal);
        self.queue_final_response(refusal.status(), refusal.code());
        Poll::Ready(Ok(()))
    }

    /// Reports whether each head that passed is answered, and the answer is flushed.
    fn owes_nothing(&self) -> bool {
        self.flushed && self.connection.watch().ended() == self.received.heads()
    }

    /// Reads for h2, which judges all bytes.
    fn poll_read_http2(
        &mut self,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.slice.is_over() {
            self.slice = ReadSlice::Rested;
            self.connection.watch().mark_slice_over();
            // A client that sends without a pause expires too.
            return self.poll_close_http2(cx);
        }
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(result) => {
                self.slice.record_read();
                self.deadline.record_bytes(self.connection.watch());
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.slice = ReadSlice::Rested;
                self.poll_close_http2(cx)
            }
        }
    }

    /// Expires an idle HTTP/2 connection. h2 then sends GOAWAY (RFC 9113 §9.1); a client that does not close has
    /// [`LINGER`] or [`SHORT_LINGER`].
    fn poll_close_http2(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.connection.watch().poll_expired().is_pending() {
            self.closed = None;
            ready!(self.poll_expired(cx));
            self.connection.watch().expire();
        }
        let limit = if self.connection.watch().is_displaced() {
            SHORT_LINGER
        } else {
            LINGER
        };
        let deadline = *self.closed.get_or_insert_with(Instant::now) + limit;
        ready!(self.deadline.poll_sleep(deadline, cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Ends a connection whose client was too slow. Between requests it is closed without a response: a client could
    /// take a 408 for the response to a request that it is sending.
    fn expire(&mut self) -> io::Result<()> {
        if !self.received.is_in_head() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // RFC 9110 §15.5.9.
        let cause = if self.is_displaced {
            "HEAD_GIVEN_UP"
        } else {
            "HEAD_TIMEOUT"
        };
        self.queue_final_response(StatusCode::REQUEST_TIMEOUT, cause);
        Ok(())
    }

    /// Queues a final response, and shows hyper the end of the stream. It is written when hyper shuts down.
    fn queue_final_response(&mut self, status: StatusCode, cause: &'static str) {
        let head = self.received.held();
        let has_content = !head.trim_ascii_start().starts_with(b"HEAD ");
        let entry = self.connection.refusal_entry(head, status, cause);
        self.final_response = Some(FinalResponse::new(status, has_content, entry));
    }

    /// Discards received bytes until the client closes, or [`LINGER`] has passed.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = *self.closed.get_or_insert_with(Instant::now) + LINGER;
        loop {
            let mut space = [const { MaybeUninit::<u8>::uninit() }; READ];
            let mut read = ReadBuf::uninit(&mut space);
            match Pin::new(self.stream.inner_mut()).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                    if Instant::now() >= deadline {
                        return Poll::Ready(());
                    }
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.deadline.poll_sleep(deadline, cx),
            }
        }
    }
}

/// Resets a connection whose response was cut and ends with the connection (RFC 9112 §6.3: HTTP/1.0): a close would
/// mark it as complete.
impl Drop for ConnectionIo {
    fn drop(&mut self) {
        if self.connection.watch().is_cut() {
            self.stream.inner().reset_on_close();
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
        if this.received.is_guarded() {
            return this.poll_guarded(cx, buffer);
        }
        if this.received.fill(&mut buffer) {
            return Poll::Ready(Ok(()));
        }
        this.poll_read_http2(cx, buffer)
    }
}

impl Write for ConnectionIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.flushed = false;
        // hyper does this only with a flattened queue, which vectored writes rule out. The zeros that stand for
        // a file must not be sent.
        if is_of_file(bytes) {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.account_written(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        ready!(self.limit_stall(flushed, cx))?;
        // hyper flushes when it has nothing more to write.
        self.flushed = true;
        self.update_resting();
        if self.owes_nothing()
            && let Some(waker) = self.reader.take()
        {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(final_response) = &mut this.final_response {
            ready!(final_response.poll_write(cx, &mut this.stream))?;
        }
        let is_within = this.received.is_in_content() || !this.received.held().is_empty();
        let lingers = is_within && !this.is_displaced;
        // Without TLS and without a linger, close(2) follows and sends the same FIN.
        if lingers || !this.stream().can_send_files() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        if lingers {
            ready!(this.poll_linger(cx));
        }
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.flushed = false;
        let written = match slices.iter().position(|slice| is_of_file(slice)) {
            None => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
            Some(first) => self.poll_write_file(cx, slices.get(..first).unwrap_or_default()),
        };
        self.account_written(written, cx)
    }
}
