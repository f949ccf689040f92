//! The bytes of a file, read by position in pieces: one file can be read from many places and a
//! file that shrinks or is overwritten meanwhile breaks this transfer and nothing else.

use std::io;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use nix::sys::uio::pread;

use crate::disk::is_as_opened;
use crate::handler::body::{Body, Cut};
use crate::message::OpenFile;

/// Bytes read at once: 2 sendmsg of the usual socket buffer.
const PIECE: u64 = 128 * 1024;

/// What is read whole before the answer begins, so that head and content leave in one write.
const SMALL: u64 = 64 * 1024;

/// A part of a file that is still to be sent.
#[derive(Debug)]
pub struct FileContent {
    file: OpenFile,
    left: Range<u64>,
}

impl FileContent {
    /// The bytes of `file` in `span`.
    pub fn new(file: OpenFile, span: Range<u64>) -> Self {
        Self { file, left: span }
    }

    /// Sends another part of the same file next.
    pub(super) fn go_on_with(&mut self, span: Range<u64>) {
        self.left = span;
    }

    /// Bytes still to be sent.
    pub fn left(&self) -> u64 {
        self.left.end - self.left.start
    }

    pub(super) fn into_body(mut self) -> io::Result<Body> {
        if self.left() > SMALL {
            return Ok(Body::file(self));
        }
        let mut whole = BytesMut::new();
        while self.left() > 0 {
            whole.unsplit(self.read()?);
        }
        Ok(Body::bytes(whole))
    }

    /// The next piece; a file that became shorter than announced cuts the answer.
    pub fn next_piece(&mut self) -> Option<Result<Bytes, Cut>> {
        if self.left() == 0 {
            return None;
        }
        match self.read().and_then(|piece| self.unchanged(piece)) {
            Ok(piece) => Some(Ok(piece.freeze())),
            Err(error) => {
                self.left.start = self.left.end;
                tracing::error!(%error, "a file could not be read to its end while it was sent");
                Some(Err(Cut("DISK")))
            }
        }
    }

    /// What was announced is one version of the file: a piece of another one is not sent as if it
    /// were of this.
    fn unchanged(&self, piece: BytesMut) -> io::Result<BytesMut> {
        if is_as_opened(&self.file) {
            return Ok(piece);
        }
        Err(io::Error::other("it was written to meanwhile"))
    }

    fn read(&mut self) -> io::Result<BytesMut> {
        let wanted = usize::try_from(self.left().min(PIECE)).map_err(io::Error::other)?;
        let mut piece = BytesMut::zeroed(wanted);
        let offset = i64::try_from(self.left.start).map_err(io::Error::other)?;
        let count = pread(&self.file.descriptor, &mut piece, offset)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        piece.truncate(count);
        self.left.start += count as u64;
        Ok(piece)
    }
}
