//! Placeholders of files in hyper's writes: the kernel sends the files (sendfile), or they are read here in pieces, only
//! when the TLS buffer has room. A connection whose client does not read holds only the encrypted bytes.

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
use crate::threads::{TIME_SLICE, yield_to_runtime};

thread_local! {
    /// Buffer between a file and TLS.
    static SPACE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl ConnectionIo {
    /// Writes `before`, which may be empty, and a part of the next file. A file that has changed ends the connection, so
    /// that the client sees an incomplete response.
    pub(super) fn poll_write_file(
        &mut self,
        cx: &mut Context<'_>,
        before: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // A fast client would occupy the thread.
        if moment::elapsed() >= TIME_SLICE {
            return yield_to_runtime(cx);
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
        let sent = if is_as_opened(&file) {
            ready!(
                self.stream()
                    .poll_send_file(cx, &file.descriptor, span.start, count)
            )?
        } else {
            0
        };
        if sent == 0 {
            return Poll::Ready(Err(self.log_cut(&io::ErrorKind::UnexpectedEof.into())));
        }
        self.connection.files().sent(sent);
        Poll::Ready(Ok(sent))
    }

    fn poll_encrypt_file(
        &mut self,
        cx: &mut Context<'_>,
        before: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Encrypted bytes are sent first, so that the buffer has room for the read.
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
            let count = read.map_err(|error| self.log_cut(&error))?;
            let bytes = IoSlice::new(space.get(..count).unwrap_or_default());
            let slices: Vec<_> = before.iter().copied().chain([bytes]).collect();
            let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &slices))?;
            self.connection.files().sent(written.saturating_sub(head));
            Poll::Ready(Ok(written))
        })
    }

    fn next_part(&self) -> io::Result<Unsent> {
        let next = self.connection.files().first();
        next.ok_or_else(|| io::Error::other("no file is queued"))
    }

    fn log_cut(&self, error: &io::Error) -> io::Error {
        tracing::error!(client = %self.connection.wire().remote_addr, %error, "file changed while it was sent: response cut");
        io::ErrorKind::UnexpectedEof.into()
    }
}
