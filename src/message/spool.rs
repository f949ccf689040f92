//! Spooling of request content before PHP gets it: whole where its length is unknown, so that
//! CONTENT_LENGTH is correct (without it PHP-FPM reads nothing: docs/internals/php-fpm.md, "Workers and connections"),
//! and for as long as the client is slow, so that it occupies no worker. Memory first, then an unlinked file.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nix::sys::uio::pread;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::charged_bytes::charge_bytes;
use super::{Upload, UploadError};
use crate::limits::budget::{Budget, Over, Owner, Part, Party, SiteKey};
use crate::limits::per_client::{Counted, PerClient};

/// Bytes kept in memory before a file is used: enough for most forms and API calls. Up to this size
/// every mode but `stream` waits for the end.
const MEMORY: usize = 64 * 1024;

/// Bytes gathered for a write where the client's share of memory is exhausted.
const GATHERED: usize = 4 * 1024;

/// Bytes of one read from the file.
const PIECE: usize = 64 * 1024;

/// Time within which a fast client sends the rest, by its rate over the last [`SAMPLE`] or [`WINDOW`]: its content is
/// streamed from there on.
const SOON: Duration = Duration::from_secs(2);

/// Bytes over which the rate is measured.
const SAMPLE: u64 = 64 * 1024;

/// Time over which the rate is measured, if fewer bytes arrive.
const WINDOW: Duration = Duration::from_millis(256);

/// Time that a worker waits for a fast client while other requests wait for the worker: rates vary.
const PATIENCE: Duration = Duration::from_secs(4);

/// Streamed uploads of one client at a time: a client that begins fast and goes on slowly occupies so many workers
/// for four seconds and no more. Further uploads are spooled.
pub const STREAMED_UPLOADS: usize = 2;

/// Mode of receiving content (`request_body`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Spools small content whole, larger content for as long as the client is slow.
    Auto,
    /// Streams content of known length.
    Stream,
    /// Spools all content whole.
    Spool,
}

/// Settings and limits of receiving content.
#[derive(Clone, Debug)]
pub struct SpoolSettings {
    /// The mode, which decides when a worker is requested.
    pub mode: Mode,
    /// The folder of the unlinked files.
    pub directory: PathBuf,
    /// Quota of all files together.
    pub budget: Arc<Budget>,
    /// Budget of all content in memory.
    pub memory: Arc<Budget>,
    /// The site whose share both are charged to, beside the client's.
    pub site: SiteKey,
    /// Streamed uploads of each client.
    pub streamed: Arc<PerClient>,
    /// `limits.body`, in bytes.
    pub limit: u64,
    /// `limits.body_pause`: the longest pause of the client.
    pub pause: Duration,
    /// `limits.stream_rate`: the minimum rate, in bytes a second, while a worker waits for the client.
    pub stream_rate: u64,
}

/// Received content, or its beginning. Reading does not consume it: each copy begins anew.
#[derive(Debug)]
pub struct Spooled {
    length: u64,
    content: Content,
    offset: u64,
}

#[derive(Clone, Debug)]
enum Content {
    Memory(Bytes),
    File(Arc<SpoolFile>),
}

/// An unlinked file; dropping the last reference frees it and its part of the quota.
#[derive(Debug)]
struct SpoolFile {
    file: Arc<File>,
    _part: Part,
}

/// Receives as much of `upload` as is required before a worker is requested. Fails on content that
/// exceeds the limit, ends early or finds no room.
pub async fn receive(
    mut upload: Upload,
    settings: &SpoolSettings,
    party: Party,
) -> Result<Upload, UploadError> {
    let known = upload.length();
    if known == Some(0) {
        return Ok(upload);
    }
    let owner = Owner {
        party,
        site: settings.site,
    };
    upload.charge(Part::new(&settings.memory, owner));
    if known.is_some() && settings.mode == Mode::Stream {
        upload.set_minimum_rate(settings.stream_rate);
        return Ok(upload);
    }
    let mut spool = Spool::new(settings, known, owner);
    let is_whole = spool.fill(&mut upload).await?;
    let streamed = spool.streamed.take();
    let spooled = spool.finish().await?;
    if !is_whole {
        upload.set_minimum_rate(settings.stream_rate);
        upload.bound_wait(PATIENCE, streamed);
        return Ok(upload.resume_after(spooled));
    }
    Ok(match spooled {
        Spooled { length: 0, .. } => Upload::Empty,
        spooled => Upload::Spooled(spooled),
    })
}

/// Content being received.
struct Spool<'a> {
    settings: &'a SpoolSettings,
    known: Option<u64>,
    owner: Owner,
    /// Content not yet in the file, at most `room` bytes, which are charged to `charged`.
    memory: BytesMut,
    room: usize,
    charged: Part,
    file: Option<(Arc<File>, Part)>,
    length: u64,
    /// The slot of a streamed upload, once the client is fast.
    streamed: Option<Counted>,
    /// Start of the window over which the rate is measured, and the bytes received since.
    window: (Instant, u64),
}

impl<'a> Spool<'a> {
    fn new(settings: &'a SpoolSettings, known: Option<u64>, owner: Owner) -> Self {
        let wanted = known.map_or(MEMORY as u64, |length| length.min(MEMORY as u64));
        let mut charged = Part::new(&settings.memory, owner);
        let room = match charged.grow(wanted) {
            Ok(()) => usize::try_from(wanted).unwrap_or(MEMORY),
            Err(_) => GATHERED,
        };
        Self {
            owner,
            settings,
            known,
            memory: BytesMut::new(),
            room,
            charged,
            file: None,
            length: 0,
            streamed: None,
            window: (Instant::now(), 0),
        }
    }

    /// Receives until the end, or until the client is fast; reports whether the end was reached.
    async fn fill(&mut self, upload: &mut Upload) -> Result<bool, UploadError> {
        while let Some(piece) = next_piece(upload, self.settings.pause).await? {
            let count = piece.len() as u64;
            self.take(piece).await?;
            if self.is_fast(count) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn take(&mut self, mut piece: Bytes) -> Result<(), UploadError> {
        self.length = self.length.saturating_add(piece.len() as u64);
        let limit = self.settings.limit;
        if self.length > limit {
            return Err(UploadError::TooLarge { limit });
        }
        loop {
            let room = self.room.saturating_sub(self.memory.len());
            self.memory
                .extend_from_slice(&piece.split_to(piece.len().min(room)));
            if piece.is_empty() {
                return Ok(());
            }
            self.write().await?;
        }
    }

    /// Moves the content in memory to the file.
    async fn write(&mut self) -> Result<(), UploadError> {
        let settings = self.settings;
        let (file, part) = match &mut self.file {
            Some(file) => file,
            None => {
                let file = tempfile::tempfile_in(&settings.directory)?;
                let part = Part::new(&settings.budget, self.owner);
                self.file.insert((Arc::new(file), part))
            }
        };
        let (offset, bytes) = (part.used(), self.memory.split());
        let total = settings.budget.total();
        let full = |over: Over| UploadError::SpoolFull { over, total };
        part.grow(bytes.len() as u64).map_err(full)?;
        let file = Arc::clone(file);
        // A disk may be slow, and the thread serves other requests.
        let written = spawn_blocking(move || file.write_all_at(&bytes, offset)).await;
        Ok(written.map_err(io::Error::other)??)
    }

    /// Reports whether the rest is to be streamed: the client is fast, the length is known, and a slot of
    /// [`STREAMED_UPLOADS`] is free. Small content is always spooled whole: it can be sent again.
    fn is_fast(&mut self, count: u64) -> bool {
        let Some(known) = self.known.filter(|length| *length > MEMORY as u64) else {
            return false;
        };
        if self.settings.mode != Mode::Auto || known == self.length {
            return false;
        }
        let (begun, bytes) = &mut self.window;
        *bytes += count;
        let elapsed = begun.elapsed();
        if *bytes < SAMPLE && elapsed < WINDOW {
            return false;
        }
        let is_fast = comes_soon(known.saturating_sub(self.length), *bytes, elapsed);
        self.window = (Instant::now(), 0);
        if is_fast {
            self.streamed = self.settings.streamed.begin(self.owner.party);
        }
        self.streamed.is_some()
    }

    async fn finish(mut self) -> Result<Spooled, UploadError> {
        if self.file.is_some() && !self.memory.is_empty() {
            self.write().await?;
        }
        let content = match self.file {
            None => Content::Memory(charge_bytes(self.memory.freeze(), self.charged)),
            Some((file, part)) => Content::File(Arc::new(SpoolFile { file, _part: part })),
        };
        Ok(Spooled {
            length: self.length,
            content,
            offset: 0,
        })
    }
}

/// Reports whether `left` bytes arrive within [`SOON`] from a client that has sent `bytes` in `elapsed`.
fn comes_soon(left: u64, bytes: u64, elapsed: Duration) -> bool {
    u128::from(left) * elapsed.as_micros() <= u128::from(bytes) * SOON.as_micros()
}

async fn next_piece(upload: &mut Upload, pause: Duration) -> Result<Option<Bytes>, UploadError> {
    match timeout(pause, poll_fn(|cx| upload.poll_data(cx))).await {
        Ok(piece) => piece.transpose(),
        Err(_) => Err(UploadError::Stalled { pause }),
    }
}

impl Spooled {
    /// Returns the whole length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Returns the same content from its beginning.
    pub fn replay(&self) -> Self {
        Self {
            length: self.length,
            content: self.content.clone(),
            offset: 0,
        }
    }

    /// Returns the next piece; `None` at the end. Never pending: a file written a moment ago is read
    /// from the page cache.
    pub fn poll_data(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadError>>> {
        if self.offset >= self.length {
            return Poll::Ready(None);
        }
        let piece = match &self.content {
            Content::Memory(bytes) => Ok(bytes.clone()),
            Content::File(spool) => read(&spool.file, self.offset, self.length),
        };
        if let Ok(piece) = &piece {
            self.offset += piece.len() as u64;
        }
        Poll::Ready(Some(piece.map_err(UploadError::from)))
    }
}

fn read(file: &File, offset: u64, end: u64) -> io::Result<Bytes> {
    let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
    let mut piece = BytesMut::zeroed(left.min(PIECE));
    let offset = i64::try_from(offset).map_err(io::Error::other)?;
    let count = pread(file, &mut piece, offset)?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    piece.truncate(count);
    Ok(piece.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_decides_with_the_rate() {
        const MIB: u64 = 1 << 20;
        for (left, bytes, millis, soon) in [
            (2 * MIB, MIB, 1000, true),
            (2 * MIB + 1, MIB, 1000, false),
            (100 * MIB, 64 * 1024, 1, true),
            (100 * MIB, 64 * 1024, 2, false),
            (100 * MIB, 64 * 1024, 0, true),
            (1, 0, 256, false),
            (u64::MAX, u64::MAX, 2000, true),
        ] {
            let elapsed = Duration::from_millis(millis);
            assert_eq!(
                comes_soon(left, bytes, elapsed),
                soon,
                "{left} {bytes} {millis}"
            );
        }
    }
}
