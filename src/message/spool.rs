//! Content that is received before PHP sees it: whole where its length is unknown, so that
//! CONTENT_LENGTH is true (behaviours no. 26: without it PHP-FPM reads nothing), and for as long as
//! the client is slow, so that it costs no worker's time. Memory first, then an unlinked file.

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

use super::lent::lend;
use super::{Upload, UploadError};
use crate::limits::budget::{Budget, Over, Owner, Part, Party, SiteKey};
use crate::limits::per_client::{Counted, PerClient};

/// Bytes kept in memory before a file is used: what most forms and API calls fit in. Up to here
/// every mode but `stream` waits for the end.
const MEMORY: usize = 64 * 1024;

/// Bytes that are gathered for a write where the client has its share of memory.
const GATHERED: usize = 4 * 1024;

/// Bytes read back at once.
const PIECE: usize = 64 * 1024;

/// A client that would send all that is left within this time, by its rate over the last [`SAMPLE`] or [`WINDOW`], is fast:
/// its content is streamed from there on.
const SOON: Duration = Duration::from_secs(2);

/// Over how many bytes or how long the rate is measured.
const SAMPLE: u64 = 64 * 1024;
const WINDOW: Duration = Duration::from_millis(256);

/// How long a fast client may be waited for by a worker that others wait for: rates vary.
const PATIENCE: Duration = Duration::from_secs(4);

/// How many uploads of one client workers may wait for at once: whoever begins fast and goes on slowly has so many workers
/// for four seconds and no more. What is beyond that is received first.
pub const STREAMED_UPLOADS: usize = 2;

/// How content is received (`request_body`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Small content whole; larger content for as long as the client is slow.
    Auto,
    /// As it comes, where its length is known.
    Stream,
    /// Always whole.
    Spool,
}

/// How content is received and how much of it there may be.
#[derive(Clone, Debug)]
pub struct SpoolSettings {
    /// When a worker is asked for.
    pub mode: Mode,
    /// The folder of the unlinked files.
    pub directory: PathBuf,
    /// What all files together may hold.
    pub budget: Arc<Budget>,
    /// What all content may hold in memory.
    pub memory: Arc<Budget>,
    /// Whose share both are taken from, beside the client's.
    pub site: SiteKey,
    /// Which uploads are streamed, of each client.
    pub streamed: Arc<PerClient>,
    /// `limits.body`, in bytes.
    pub limit: u64,
    /// `limits.body_pause`: how long the client may pause.
    pub pause: Duration,
    /// `limits.stream_rate`: what the client must send in a second while a worker waits for it.
    pub stream_rate: u64,
}

/// Content, or the beginning of some, that was received. Reading it does not use it up: each copy
/// begins anew.
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

/// An unlinked file; it vanishes with its last user, and its place in the quota with it.
#[derive(Debug)]
struct SpoolFile {
    file: Arc<File>,
    _part: Part,
}

/// Receives as much of `upload` as has to be received before a worker is asked for. What is over
/// the limit, breaks off or finds no room fails with what is left of the upload.
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
        upload.must_send(settings.stream_rate);
        return Ok(upload);
    }
    let mut spool = Spool::new(settings, known, owner);
    let is_whole = spool.fill(&mut upload).await?;
    let streamed = spool.streamed.take();
    let spooled = spool.finish().await?;
    if !is_whole {
        upload.must_send(settings.stream_rate);
        upload.promise(PATIENCE, streamed);
        return Ok(upload.resume_after(spooled));
    }
    Ok(match spooled {
        Spooled { length: 0, .. } => Upload::Empty,
        spooled => Upload::Spooled(spooled),
    })
}

/// Content while it is received.
struct Spool<'a> {
    settings: &'a SpoolSettings,
    known: Option<u64>,
    owner: Owner,
    /// What is not in the file, at most `room` bytes, which are charged to `charged`.
    memory: BytesMut,
    room: usize,
    charged: Part,
    file: Option<(Arc<File>, Part)>,
    length: u64,
    /// Once it is to be streamed.
    streamed: Option<Counted>,
    /// When the window began over which the rate is measured, and what came since.
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

    /// Whether the end was reached; otherwise the client turned out to be fast.
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

    /// Writes what is in memory to the file.
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
        // A disk may be slow, and the thread has others to serve.
        let written = spawn_blocking(move || file.write_all_at(&bytes, offset)).await;
        Ok(written.map_err(io::Error::other)??)
    }

    /// A fast client of known length is not spooled any further, unless it has its share of streamed uploads. Small content is always waited
    /// for: it can be sent again.
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
            None => Content::Memory(lend(self.memory.freeze(), self.charged)),
            Some((file, part)) => Content::File(Arc::new(SpoolFile { file, _part: part })),
        };
        Ok(Spooled {
            length: self.length,
            content,
            offset: 0,
        })
    }
}

/// Reports whether `left` bytes come within [`SOON`] from a client that has sent `bytes` in `elapsed`.
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
    /// The whole length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The same content from its beginning.
    pub fn replay(&self) -> Self {
        Self {
            length: self.length,
            content: self.content.clone(),
            offset: 0,
        }
    }

    /// The next piece; `None` at the end. Never pending: what was written a moment ago is read
    /// back from memory.
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
