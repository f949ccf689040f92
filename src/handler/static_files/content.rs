//! The bytes of a file, read by position in pieces: many transfers share one descriptor, and a file that shrinks or is
//! overwritten meanwhile breaks its transfers and nothing else. Pages in the page cache are read at once; all others by
//! a thread that may block.

use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::UNIX_EPOCH;

use bytes::{Bytes, BytesMut};
use nix::sys::uio::pread;
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::disk::{SMALL, is_as_opened};
use crate::handler::coded::Identity;
use crate::handler::cut::Cut;
use crate::handler::piece::{FileQueue, MOST, Piece, Progress, Unread};
use crate::handler::share::Share;
use crate::limits::budget::Part;
use crate::message::OpenFile;

/// Bytes of one read for an encoder.
const PIECE: u64 = 16 * 1024;

/// Bytes that a stream may hold outside every budget, even if its client never reads them.
const UNCOUNTED: u64 = 4 * 1024;

/// Bytes of a part that is read while it is sent: the log counts them as sent, as h2 does.
const PART: u64 = 256 * 1024;

/// Cause code of an answer that breaks off because its file cannot be read further.
const CAUSE: &str = "DISK";

/// The part of a file that remains to be sent.
#[derive(Debug)]
pub struct FileContent {
    file: Arc<OpenFile>,
    left: Range<u64>,
    /// A read on a thread that may block.
    waiting: Option<JoinHandle<io::Result<BytesMut>>>,
    delivery: Delivery,
}

/// The content of an answer, read or to be read.
#[derive(Debug)]
pub(super) enum Prepared {
    /// Bytes in memory.
    Read(Bytes),
    /// A file that is read while it is sent.
    Sent(Box<FileContent>),
}

/// The way of the bytes to the connection.
#[derive(Debug)]
enum Delivery {
    /// The cached bytes of a small file, shared by its transfers.
    Kept(Bytes),
    /// The same, counted against the client's share until they are sent: HTTP/2.
    Counted(Bytes, Part),
    /// Pieces that are read here: for content codings.
    Read,
    /// Parts in the queue of the connection's IO: HTTP/1.
    Queue(FileQueue),
    /// Parts that are read when they are sent: HTTP/2.
    Unread(Arc<Progress>),
}

impl FileContent {
    /// Builds the content of the bytes of `file` in `span`.
    pub fn new(file: Arc<OpenFile>, span: Range<u64>) -> Self {
        Self {
            file,
            left: span,
            waiting: None,
            delivery: Delivery::Read,
        }
    }

    /// Leaves the bytes to the connection's IO, by `queue`.
    pub(in crate::handler) fn send_by(&mut self, queue: FileQueue) {
        if self.whole().is_none() {
            self.delivery = Delivery::Queue(queue);
        }
    }

    /// Defers reading until the bytes are sent. Cached bytes are sent from memory while the client has a share of the budget
    /// left: its stream may hold them longer than the cache does.
    pub(in crate::handler) fn defer_reading(&mut self, share: &Share<'_>) {
        if let Delivery::Kept(bytes) = &self.delivery {
            let mut part = share.part();
            if part.grow(self.file.length).is_ok() {
                self.delivery = Delivery::Counted(bytes.clone(), part);
                return;
            }
        }
        let kept = self.file.cache.as_ref();
        if kept.is_some_and(|kept| kept.content.get().is_some()) {
            let Ok(uncached) = without_cache(&self.file) else {
                return;
            };
            self.file = Arc::new(uncached);
        }
        self.delivery = Delivery::Unread(Arc::default());
    }

    /// Returns all of the bytes if they are in memory.
    pub(in crate::handler) fn whole(&self) -> Option<&Bytes> {
        if let Delivery::Kept(bytes) = &self.delivery {
            return Some(bytes);
        }
        None
    }

    /// Replaces the part that is sent by another one of the same file.
    pub(super) fn continue_with(&mut self, span: Range<u64>) {
        self.left = span;
    }

    /// Returns the number of bytes that remain to be sent.
    pub fn left(&self) -> u64 {
        self.left.end - self.left.start
    }

    /// Returns the file and its version if the content is the whole of it.
    pub(in crate::handler) fn identity(&self) -> Option<Identity> {
        let stat = nix::sys::stat::fstat(&self.file.descriptor).ok()?;
        let whole = self.left == (0..u64::try_from(stat.st_size).ok()?);
        whole.then_some(Identity {
            node: (stat.st_dev, stat.st_ino),
            length: stat.st_size,
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
        })
    }

    /// Reads small content before the answer begins, so that head and content leave in one write; up to [`SMALL`] bytes if
    /// the cache shares them.
    pub(super) async fn prepare(mut self) -> io::Result<Prepared> {
        let Some(kept) = self
            .file
            .cache
            .as_ref()
            .filter(|_| self.file.length <= SMALL)
        else {
            if self.left() > UNCOUNTED {
                return Ok(Prepared::Sent(Box::new(self)));
            }
            return read_all(&self.file, self.left.clone())
                .await
                .map(Prepared::Read);
        };
        let whole = match kept.content.get() {
            Some(whole) => whole,
            None => {
                let whole = read_all(&self.file, 0..self.file.length).await?;
                kept.content.get_or_init(|| whole)
            }
        };
        let index = |at| usize::try_from(at).map_err(io::Error::other);
        let span = index(self.left.start)?..index(self.left.end)?;
        let is_part = span.len() < whole.len();
        let bytes = whole.slice(span);
        if self.left() > UNCOUNTED {
            self.delivery = Delivery::Kept(bytes);
            return Ok(Prepared::Sent(Box::new(self)));
        }
        // A slice would keep the whole in memory.
        Ok(Prepared::Read(if is_part {
            Bytes::copy_from_slice(&bytes)
        } else {
            bytes
        }))
    }

    /// Returns the next piece; a file that is shorter than announced cuts the answer.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, Cut>>> {
        if self.left() == 0 {
            return Poll::Ready(None);
        }
        match std::mem::replace(&mut self.delivery, Delivery::Read) {
            Delivery::Kept(bytes) => self.finish_with(Piece::Bytes(bytes)),
            Delivery::Counted(bytes, part) => self.finish_with(Piece::counted(bytes, part)),
            Delivery::Queue(queue) => {
                let polled = self.poll_queued(&queue, cx);
                self.delivery = Delivery::Queue(queue);
                polled
            }
            Delivery::Unread(progress) => {
                let polled = self.poll_unread(&progress, cx);
                self.delivery = Delivery::Unread(progress);
                polled
            }
            Delivery::Read => self.poll_bytes(cx),
        }
    }

    fn finish_with(&mut self, piece: Piece) -> Poll<Option<Result<Piece, Cut>>> {
        self.left.start = self.left.end;
        Poll::Ready(Some(Ok(piece)))
    }

    fn poll_queued(
        &mut self,
        queue: &FileQueue,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece, Cut>>> {
        let unread = self.left.start..self.left.end.min(self.left.start + MOST);
        if let Err(error) = ready!(self.poll_fetched(&unread, cx)) {
            return Poll::Ready(Some(Err(self.cut(&error))));
        }
        self.left.start = unread.end;
        Poll::Ready(Some(Ok(queue.push(Arc::clone(&self.file), unread))))
    }

    /// Returns one part after the other, each after h2 has taken all before it. The last one is read at once: its frame
    /// carries END_STREAM, which must not be sent before the bytes are known.
    fn poll_unread(
        &mut self,
        progress: &Arc<Progress>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Piece, Cut>>> {
        if ready!(progress.poll_taken(cx)).is_err() {
            self.left.start = self.left.end;
            return Poll::Ready(Some(Err(Cut(CAUSE))));
        }
        let end = self.left.end.saturating_sub(UNCOUNTED);
        let unread = self.left.start..end.min(self.left.start + PART);
        if unread.is_empty() {
            return self.poll_bytes(cx);
        }
        if let Err(error) = ready!(self.poll_fetched(&unread, cx)) {
            return Poll::Ready(Some(Err(self.cut(&error))));
        }
        self.left.start = unread.end;
        let part = Unread::new(Arc::clone(&self.file), unread, progress);
        Poll::Ready(Some(Ok(Piece::Unread(Box::new(part)))))
    }

    /// Returns the next piece as bytes.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, Cut>>> {
        let span = self.left.start..self.left.end.min(self.left.start + PIECE);
        let read = ready!(self.poll_read(&span, cx)).and_then(|piece| self.unchanged(piece));
        Poll::Ready(Some(match read {
            Ok(piece) => {
                self.left.start += piece.len() as u64;
                Ok(Piece::Bytes(piece.freeze()))
            }
            Err(error) => Err(self.cut(&error)),
        }))
    }

    fn cut(&mut self, error: &io::Error) -> Cut {
        self.left.start = self.left.end;
        tracing::error!(%error, "reading a file failed during transfer");
        Cut(CAUSE)
    }

    /// Fails if the file has changed: the announced fields describe one version, and no piece of another one is sent
    /// under them.
    fn unchanged(&self, piece: BytesMut) -> io::Result<BytesMut> {
        if is_as_opened(&self.file) {
            return Ok(piece);
        }
        Err(io::Error::other("the file changed during transfer"))
    }

    fn poll_read(&mut self, span: &Range<u64>, cx: &mut Context<'_>) -> Poll<io::Result<BytesMut>> {
        if self.waiting.is_none()
            && let Some(read) = read_now(&self.file, span)
        {
            return Poll::Ready(read);
        }
        self.poll_waiting(span, cx)
    }

    /// Waits until the page cache has `span`: sending it must not wait for the disk.
    fn poll_fetched(&mut self, span: &Range<u64>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting.is_none() && self.is_fetched(span) {
            return Poll::Ready(Ok(()));
        }
        self.poll_waiting(span, cx).map_ok(drop)
    }

    /// Reports whether the page cache has the first and the last byte. A cached file of one piece is examined once a
    /// second.
    fn is_fetched(&self, span: &Range<u64>) -> bool {
        let whole = span.start == 0 && self.file.length <= MOST;
        let known = self.file.cache.as_ref().filter(|_| whole);
        let second = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
        if known.is_some_and(|kept| kept.fetched.load(Ordering::Relaxed) == second) {
            return true;
        }
        let is_here = |at: u64| read_now(&self.file, &(at..at + 1)).is_some();
        let fetched = is_here(span.start) && is_here(span.end - 1);
        if let Some(kept) = known.filter(|_| fetched) {
            kept.fetched.store(second, Ordering::Relaxed);
        }
        fetched
    }

    fn poll_waiting(
        &mut self,
        span: &Range<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<BytesMut>> {
        let waiting = self.waiting.get_or_insert_with(|| {
            let (file, span) = (Arc::clone(&self.file), span.clone());
            spawn_blocking(move || read(&file, &span))
        });
        let read = ready!(Pin::new(waiting).poll(cx));
        self.waiting = None;
        Poll::Ready(read.map_err(io::Error::other).flatten())
    }
}

/// Returns the same file without its cached content.
fn without_cache(file: &OpenFile) -> io::Result<OpenFile> {
    Ok(OpenFile {
        descriptor: file.descriptor.try_clone()?,
        length: file.length,
        modified: file.modified,
        cache: None,
    })
}

async fn read_all(file: &Arc<OpenFile>, span: Range<u64>) -> io::Result<Bytes> {
    let mut content = FileContent::new(Arc::clone(file), span);
    let mut whole = BytesMut::new();
    while content.left() > 0 {
        let span = content.left.clone();
        let piece = std::future::poll_fn(|cx| content.poll_read(&span, cx)).await?;
        content.left.start += piece.len() as u64;
        whole.unsplit(piece);
    }
    Ok(whole.freeze())
}

/// Reads by preadv2(2) with RWF_NOWAIT; `None` if that would block or is not supported.
fn read_now(file: &OpenFile, span: &Range<u64>) -> Option<io::Result<BytesMut>> {
    let read = into_buffer(span, |buffer| {
        let buffer = &mut [IoSliceMut::new(buffer)];
        let count = preadv2(&file.descriptor, buffer, span.start, ReadWriteFlags::NOWAIT)?;
        Ok(count)
    });
    match read {
        Err(error) if [Errno::AGAIN, Errno::OPNOTSUPP, Errno::NOSYS].contains(&raw(&error)) => None,
        read => Some(read),
    }
}

fn raw(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// Reads by pread(2), which may block on the disk.
fn read(file: &OpenFile, span: &Range<u64>) -> io::Result<BytesMut> {
    let offset = i64::try_from(span.start).map_err(io::Error::other)?;
    into_buffer(span, |buffer| Ok(pread(&file.descriptor, buffer, offset)?))
}

fn into_buffer(
    span: &Range<u64>,
    read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
) -> io::Result<BytesMut> {
    let wanted = usize::try_from(span.end - span.start).map_err(io::Error::other)?;
    let mut buffer = BytesMut::zeroed(wanted);
    let count = read(&mut buffer)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    buffer.truncate(count);
    Ok(buffer)
}
