//! Write buffer between h2 and the connection. h2 flushes after each DATA frame of 256 bytes or more, so that every small
//! answer would be a system call and a TLS record of its own. Here a flush waits until h2 has nothing more to write: it
//! then flushes twice with no write in between. The buffer wakes the connection's task for the second flush.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use hyper::rt::{Read, ReadBufCursor, Write};

use super::reset_count::ResetCount;
use crate::handler::piece::is_filler;
use crate::upstream::numbers::Count;

/// Size of the buffer, in bytes: one TLS record (RFC 8446 §5.1).
const MOST: usize = 16 * 1024;

/// Size from which a write is not copied, in bytes.
const LARGE: usize = 4 * 1024;

/// A connection with buffered frames.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    io: T,
    held: BytesMut,
    /// h2 has written since the last flush.
    more: bool,
    /// The stream of a frame without content has had its turn to reset.
    yielded: bool,
    resets: ResetCount,
}

impl<T: Write + Unpin> Outbox<T> {
    /// Builds an empty buffer; counts streams reset with an error as `stream_errors`.
    pub(super) fn new(io: T, stream_errors: Arc<Count>) -> Self {
        Self {
            io,
            held: BytesMut::new(),
            more: false,
            yielded: false,
            resets: ResetCount::new(stream_errors),
        }
    }

    /// Yields once to the stream's task if the bytes of a file could not be read, so that it resets the stream behind this
    /// frame. h2 would continue with the next frame.
    fn poll_after_failure(&mut self, slices: &[IoSlice<'_>], cx: &mut Context<'_>) -> Poll<()> {
        let failed = slices.iter().any(|slice| is_filler(slice));
        self.yielded = failed && !self.yielded;
        if self.yielded {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    /// Sends the buffered bytes; keeps their memory until the next flush.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let sent = ready!(Pin::new(&mut self.io).poll_write(cx, &self.held))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.held.advance(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Write + Unpin> Write for Outbox<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_after_failure(slices, cx));
        let length = slices.iter().map(|slice| slice.len()).sum::<usize>();
        if this.held.len() + length > MOST || length >= LARGE {
            ready!(this.poll_send(cx))?;
            if length >= LARGE {
                this.more = true;
                let written = ready!(Pin::new(&mut this.io).poll_write_vectored(cx, slices))?;
                this.resets.parse(slices, written);
                return Poll::Ready(Ok(written));
            }
        }
        this.more = true;
        this.resets.parse(slices, length);
        if this.held.is_empty() {
            this.held.reserve(MOST);
        }
        for slice in slices {
            this.held.extend_from_slice(slice);
        }
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.more) && !this.held.is_empty() {
            cx.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_send(cx))?;
        // An idle connection holds no buffer.
        this.held = BytesMut::new();
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

impl<T: Read + Unpin> Read for Outbox<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(cx, buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    /// A stream that takes `room` bytes, and records the size of each write.
    #[derive(Debug, Default)]
    struct Wire {
        room: usize,
        writes: Vec<usize>,
        flushes: usize,
    }

    impl Write for Wire {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Poll::Pending;
            }
            self.room -= taken;
            self.writes.push(taken);
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushes += 1;
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn outbox(room: usize) -> Outbox<Wire> {
        let wire = Wire {
            room,
            ..Wire::default()
        };
        Outbox::new(wire, Arc::default())
    }

    fn write(outbox: &mut Outbox<Wire>, cx: &mut Context<'_>, bytes: usize) -> Poll<usize> {
        let written = Pin::new(outbox).poll_write(cx, &vec![0; bytes]);
        written.map(Result::unwrap)
    }

    fn flush(outbox: &mut Outbox<Wire>, cx: &mut Context<'_>) -> bool {
        Pin::new(outbox).poll_flush(cx).is_ready()
    }

    #[test]
    fn small_answers_go_together_when_nothing_more_comes() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = &mut Context::from_waker(&waker);
        let mut outbox = outbox(usize::MAX);
        for _ in 0..5 {
            assert_eq!(write(&mut outbox, cx, 1000), Poll::Ready(1000));
            assert!(flush(&mut outbox, cx));
        }
        assert!(outbox.io.writes.is_empty());
        assert_eq!(woken.0.load(Ordering::Relaxed), 5);
        assert!(flush(&mut outbox, cx));
        assert_eq!((&outbox.io.writes, outbox.io.flushes), (&vec![5000], 1));
    }

    #[test]
    fn no_more_is_held_than_a_record_and_large_pieces_are_not() {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut outbox = outbox(usize::MAX);
        for _ in 0..9 {
            assert_eq!(write(&mut outbox, cx, 2000), Poll::Ready(2000));
        }
        assert_eq!(outbox.io.writes, [16000]);
        assert_eq!(write(&mut outbox, cx, LARGE), Poll::Ready(LARGE));
        assert_eq!(outbox.io.writes, [16000, 2000, LARGE]);
    }

    #[test]
    fn a_client_that_takes_nothing_stops_the_writer_and_the_end_waits_for_all() {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut outbox = outbox(0);
        assert_eq!(write(&mut outbox, cx, 3000), Poll::Ready(3000));
        assert!(flush(&mut outbox, cx));
        assert!(!flush(&mut outbox, cx));
        assert!(write(&mut outbox, cx, LARGE).is_pending());
        assert!(Pin::new(&mut outbox).poll_shutdown(cx).is_pending());
        outbox.io.room = 1000;
        assert!(!flush(&mut outbox, cx));
        outbox.io.room = 9000;
        assert!(Pin::new(&mut outbox).poll_shutdown(cx).is_ready());
        assert_eq!(outbox.io.writes, [1000, 2000]);
    }
}
