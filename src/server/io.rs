//! A client's connection as hyper reads and writes it: the head guard in front of hyper, one
//! coarse deadline in place of a timer per request, and an end that lets the client read its last
//! answer.

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

use super::deadline::{Deadline, Patience};
use super::farewell::Farewell;
use super::intake::Intake;
use super::pace::Stretch;
use super::service::Connection;
use crate::handler::piece::is_of_file;
use crate::message::Refusal;
use crate::stream::Stream;
use half_closed::HalfClosed;

/// Read at once, on the stack: connections that wait hold no buffer of ours.
const READ: usize = 32 * 1024;

/// How long we read on, after the last answer, what a client still sends: closing with bytes
/// unread resets the connection, and the reset can overtake the answer (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);

/// The same of an HTTP/2 client for whose place another waits: a round trip, from far away too.
const HURRIED: Duration = Duration::from_millis(500);

/// The connection.
#[derive(Debug)]
pub(super) struct ConnectionIo {
    stream: TokioIo<Stream>,
    intake: Intake,
    connection: Arc<Connection>,
    deadline: Deadline,
    /// All that hyper has written so far was taken by the kernel.
    flushed: bool,
    /// Wakes the task that reads on, or refuses, when all before is answered.
    reader: Option<Waker>,
    /// The client sends no more, and has answers to come.
    half_closed: Option<Box<HalfClosed>>,
    /// The last answer, when it is not hyper's.
    farewell: Option<Farewell>,
    /// When all was said.
    closed: Option<Instant>,
    /// Somebody waits for its place.
    hurries: bool,
    /// HTTP/2: what it has read without a pause.
    stretch: Stretch,
}

impl ConnectionIo {
    /// What `intake` holds was read before and is read again first.
    pub(super) fn new(
        stream: Stream,
        intake: Intake,
        connection: Arc<Connection>,
        patience: Patience,
    ) -> Self {
        Self {
            stream: TokioIo::new(stream),
            intake,
            connection,
            deadline: Deadline::new(patience),
            flushed: true,
            reader: None,
            half_closed: None,
            farewell: None,
            closed: None,
            hurries: false,
            stretch: Stretch::default(),
        }
    }

    /// The same connection for another hyper; `unused` had been passed on to the one before.
    pub(super) fn restore(&mut self, unused: &[u8]) {
        self.intake.restore(unused);
    }

    /// What carries the bytes.
    pub(super) fn stream(&self) -> &Stream {
        self.stream.inner()
    }

    /// Tells the watch whether nothing is owed and nothing begun on either side.
    fn note_rest(&self) {
        let begun = self.intake.is_in_content() || !self.intake.held().is_empty();
        let resting = !begun && self.farewell.is_none() && self.owes_nothing();
        let watch = self.connection.watch();
        // What HTTP/2 owes, h2 knows; what its requests are, the watch.
        watch.set_resting(resting || !self.intake.is_guarded());
    }

    /// Accounts for a write, and bounds the wait for a client that takes nothing.
    fn account_written(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let (Some(half_closed), Poll::Ready(Ok(1..))) = (&mut self.half_closed, &written) {
            half_closed.note_written();
        }
        self.bounded(written, cx)
    }

    /// A client that takes nothing of its answer holds the worker that makes it: not for ever.
    fn bounded<T>(
        &mut self,
        done: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if done.is_pending() {
            ready!(self.deadline.poll_stalled(cx));
            tracing::debug!(client = %self.connection.wire().remote_addr, "closed: the client took nothing of its answer for limits.send_pause");
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        self.deadline.note_taken();
        done
    }

    /// Ready when the client has taken too long.
    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let in_head = self.intake.is_guarded() && self.intake.is_in_head();
        let watch = self.connection.watch();
        self.deadline.poll_expired(watch, in_head, cx)
    }

    /// Reads what the client has sent and passes on what may pass; `false` at its end.
    fn poll_intake(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBufCursor<'_>,
    ) -> Poll<io::Result<bool>> {
        let mut space = [const { MaybeUninit::<u8>::uninit() }; READ];
        let mut read = ReadBuf::uninit(&mut space);
        match ready!(Pin::new(self.stream.inner_mut()).poll_read(cx, &mut read)) {
            // RFC 8446 §6.1: TLS ends without close_notify, and somebody else may have cut it. What is not complete
            // fails, as where TCP ends; what is complete was sent so.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Poll::Ready(Ok(false));
            }
            result => result?,
        }
        if read.filled().is_empty() {
            return Poll::Ready(Ok(false));
        }
        let passed = self.intake.take(read.filled_mut(), buffer);
        if passed || self.intake.is_in_head() {
            self.deadline.note_bytes(self.connection.watch());
        }
        Poll::Ready(Ok(true))
    }

    /// The guard in front of hyper: judged bytes pass.
    fn poll_guarded(
        &mut self,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        if self.farewell.is_some() || self.intake.give(&mut buffer) {
            return Poll::Ready(Ok(()));
        }
        loop {
            if let Some(refusal) = self.intake.refusal() {
                return self.poll_refuse(cx, refusal);
            }
            if self.half_closed.is_some() {
                return self.poll_half_closed(cx);
            }
            match self.poll_intake(cx, &mut buffer) {
                Poll::Ready(Ok(true)) if buffer.remaining() == room => {}
                Poll::Ready(Ok(false)) => {
                    self.half_closed = Some(Box::new(HalfClosed::new(Instant::now())));
                }
                Poll::Ready(result) => return Poll::Ready(result.map(drop)),
                Poll::Pending => {
                    self.note_rest();
                    if self.poll_given_up(cx).is_pending() {
                        ready!(self.poll_expired(cx));
                    }
                    return Poll::Ready(self.expire());
                }
            }
        }
    }

    /// What is wrong in a head ends the connection with an answer of ours, after those to the
    /// heads before it. What is wrong in content fails the request that hyper is reading.
    fn poll_refuse(&mut self, cx: &mut Context<'_>, refusal: Refusal) -> Poll<io::Result<()>> {
        if self.intake.is_in_content() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, refusal)));
        }
        if !self.owes_nothing() {
            self.reader = Some(cx.waker().clone());
            return self
                .poll_expired(cx)
                .map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        tracing::debug!(client = %self.connection.wire().remote_addr, cause = refusal.code(), "{refusal}");
        self.part(refusal.status(), refusal.code());
        Poll::Ready(Ok(()))
    }

    /// Whether each head that passed was answered, and the client sent all of it.
    fn owes_nothing(&self) -> bool {
        self.flushed && self.connection.watch().ended() == self.intake.heads()
    }

    /// Reads for h2, which judges all of it.
    fn poll_read_http2(
        &mut self,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.stretch.is_over() {
            self.stretch = Stretch::Rested;
            self.connection.watch().break_off();
            // Who sends without a pause ends in time too.
            return self.poll_part_http2(cx);
        }
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(result) => {
                self.stretch.go_on();
                self.deadline.note_bytes(self.connection.watch());
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.stretch = Stretch::Rested;
                self.poll_part_http2(cx)
            }
        }
    }

    /// An HTTP/2 connection that has had no request for too long ends with a GOAWAY (RFC 9113 §9.1), which is h2's to
    /// write; a client that takes no part in that has [`LINGER`], or [`HURRIED`].
    fn poll_part_http2(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.connection.watch().poll_expired().is_pending() {
            self.closed = None;
            ready!(self.poll_expired(cx));
            self.connection.watch().expire();
        }
        let patience = match self.connection.watch().hurries() {
            true => HURRIED,
            false => LINGER,
        };
        let deadline = *self.closed.get_or_insert_with(Instant::now) + patience;
        ready!(self.deadline.poll_sleep(deadline, cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// The client was too slow. Between requests that is told without a word: a 408 could be
    /// taken for the answer to a request that is on its way.
    fn expire(&mut self) -> io::Result<()> {
        if !self.intake.is_in_head() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // RFC 9110 §15.5.9.
        let cause = match self.hurries {
            true => "HEAD_GIVEN_UP",
            false => "HEAD_TIMEOUT",
        };
        self.part(StatusCode::REQUEST_TIMEOUT, cause);
        Ok(())
    }

    /// Lets hyper see the end of the connection; the answer is written when hyper shuts it down.
    fn part(&mut self, status: StatusCode, cause: &'static str) {
        let head = self.intake.held();
        let has_content = !head.trim_ascii_start().starts_with(b"HEAD ");
        let entry = self.connection.refused(head, status, cause);
        self.farewell = Some(Farewell::new(status, has_content, entry));
    }

    /// Ready when the client has read its answer, or had the time to.
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

/// An answer whose end is the connection's (RFC 9112 §6.3: HTTP/1.0) and that was cut must not end
/// like a whole one.
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
        if this.intake.is_guarded() {
            return this.poll_guarded(cx, buffer);
        }
        if this.intake.give(&mut buffer) {
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
        // hyper writes so where its queue is flattened, which ours never is: zeros in place of a
        // file must not leave.
        if is_of_file(bytes) {
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.account_written(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        ready!(self.bounded(flushed, cx))?;
        // hyper flushes when it has nothing more to write.
        self.flushed = true;
        self.note_rest();
        if self.owes_nothing()
            && let Some(waker) = self.reader.take()
        {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(farewell) = &mut this.farewell {
            ready!(farewell.poll_write(cx, &mut this.stream))?;
        }
        let is_within = this.intake.is_in_content() || !this.intake.held().is_empty();
        let lingers = is_within && !this.hurries;
        // Without TLS and with nobody to wait for, close(2) comes next and says the same.
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
