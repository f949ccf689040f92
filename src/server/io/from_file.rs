//! Parts of files that stand for themselves in what hyper writes: the kernel sends them, or they are read here, a little
//! at a time and only when TLS has room for all of that. So a connection whose client does not read holds none of a file
//! but what is encrypted already.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::Write;

use super::ConnectionIo;
use crate::disk::is_as_opened;
use crate::handler::piece::{self, Unsent};
use crate::moment;
use crate::stream::TLS_BUFFER;
use crate::threads::{STRETCH, after_others};

thread_local! {
    /// What is read of a file on its way into TLS.
    static SPACE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl ConnectionIo {
    /// Writes `before`, which may be empty, and of the file that is next. One that is not what it was any more ends the
    /// connection: the client must see that it has no whole answer.
    pub(super) fn poll_write_file(
        &mut self,
        cx: &mut Context<'_>,
        before: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A client that takes all that it is sent would keep the thread.
        if moment::elapsed() >= STRETCH {
            return after_others(cx);
        }
        if !self.stream().can_send_files() {
            return self.poll_encrypt_file(cx, before);
        }
        if before.is_empty() {
            return self.poll_send_file(cx);
        }
        self.stream().poll_write_before_file(cx, before)
    }

    fn poll_send_file(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Unsent { file, span } = self.next_part()?;
        let count = usize::try_from(span.end - span.start).map_err(io::Error::other)?;
        let sent = match is_as_opened(&file) {
            true => ready!(
                self.stream()
                    .poll_send_file(cx, &file.descriptor, span.start, count)
            )?,
            false => 0,
        };
        if sent == 0 {
            return Poll::Ready(Err(self.broken(&io::ErrorKind::UnexpectedEof.into())));
        }
        self.connection.files().sent(sent);
        Poll::Ready(Ok(sent))
    }

    fn poll_encrypt_file(
        &mut self,
        cx: &mut Context<'_>,
        before: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Nothing is read in vain: what is encrypted leaves first.
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        let Unsent { file, span } = self.next_part()?;
        let head = before.iter().map(|slice| slice.len()).sum::<usize>();
        let room = TLS_BUFFER.saturating_sub(head) as u64;
        let count = usize::try_from(room.min(span.end - span.start)).map_err(io::Error::other)?;
        if count == 0 {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, before);
        }
        SPACE.with_borrow_mut(|space| {
            space.resize(TLS_BUFFER, 0);
            let space = space.get_mut(..count).unwrap_or_default();
            let read = piece::read(&file, span.start, space);
            let count = read.map_err(|error| self.broken(&error))?;
            let bytes = IoSlice::new(space.get(..count).unwrap_or_default());
            let slices: Vec<_> = before.iter().copied().chain([bytes]).collect();
            let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices))?;
            self.connection.files().sent(written.saturating_sub(head));
            Poll::Ready(Ok(written))
        })
    }

    fn next_part(&self) -> io::Result<Unsent> {
        let next = self.connection.files().first();
        next.ok_or_else(|| io::Error::other("there is no file to send"))
    }

    fn broken(&self, error: &io::Error) -> io::Error {
        tracing::error!(client = %self.connection.wire().remote_addr, %error, "a file was written to while it was sent: the answer was cut");
        io::ErrorKind::UnexpectedEof.into()
    }
}
