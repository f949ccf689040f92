//! Content that is received before PHP sees it: whole where its length is unknown, so that
//! CONTENT_LENGTH is true (behaviours no. 26: without it PHP-FPM reads nothing), and for as long as
//! the client is slow, so that it costs no worker's time. Memory first, then an unlinked file.

use std::future::poll_fn;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nix::sys::uio::pread;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::time::{Instant, timeout};

use super::{Upload, UploadError};
use crate::limits::budget::{Budget, Over, Owner, Part, Party, SiteKey};

/// Bytes kept in memory before a file is used: what most forms and API calls fit in. Up to here
/// every mode but `stream` waits for the end.
const MEMORY: usize = 64 * 1024;

/// Bytes read back at once.
const PIECE: usize = 64 * 1024;

/// A client that sends this much a second, over the last [`WINDOW`], is fast: its content is
/// streamed from there on.
const FAST: u64 = 1024 * 1024;

/// Over how long the rate is measured.
const WINDOW: Duration = Duration::from_millis(250);

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
    /// Whose share the files are taken from, beside the client's.
    pub site: SiteKey,
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
    file: std::fs::File,
    _part: Part,
}

/// Receives as much of `upload` as has to be received before a worker is asked for. What is over
/// the limit, breaks off or finds no room fails with what is left of the upload.
pub async fn receive(
    mut upload: Upload,
    settings: &SpoolSettings,
    party: Party,
) -> Result<Upload, (UploadError, Upload)> {
    let known = upload.length();
    if known == Some(0) {
        return Ok(upload);
    }
    if known.is_some() && settings.mode == Mode::Stream {
        upload.must_send(settings.stream_rate);
        return Ok(upload);
    }
    let mut spool = Spool::new(settings, known, party);
    match spool.fill(&mut upload).await {
        Ok(whole) => match spool.finish().await {
            Ok(Spooled { length: 0, .. }) if whole => Ok(Upload::Empty),
            Ok(spooled) if whole => Ok(Upload::Spooled(spooled)),
            Ok(spooled) => {
                upload.must_send(settings.stream_rate);
                Ok(upload.resume_after(spooled))
            }
            Err(error) => Err((error, upload)),
        },
        Err(error) => Err((error, upload)),
    }
}

impl SpoolSettings {
    fn grow(&self, part: &mut Part, bytes: usize) -> Result<(), UploadError> {
        let total = self.budget.total();
        let full = |over: Over| UploadError::SpoolFull { over, total };
        part.grow(bytes as u64).map_err(full)
    }
}

/// Content while it is received.
struct Spool<'a> {
    settings: &'a SpoolSettings,
    known: Option<u64>,
    memory: BytesMut,
    owner: Owner,
    file: Option<(BufWriter<File>, Part)>,
    length: u64,
    /// When the window began over which the rate is measured, and what came since.
    window: (Instant, u64),
}

impl<'a> Spool<'a> {
    fn new(settings: &'a SpoolSettings, known: Option<u64>, party: Party) -> Self {
        let site = settings.site;
        Self {
            owner: Owner { party, site },
            settings,
            known,
            memory: BytesMut::new(),
            file: None,
            length: 0,
            window: (Instant::now(), 0),
        }
    }

    /// Whether the end was reached; otherwise the client turned out to be fast.
    async fn fill(&mut self, upload: &mut Upload) -> Result<bool, UploadError> {
        while let Some(piece) = next_piece(upload, self.settings.pause).await? {
            self.take(&piece).await?;
            if self.is_fast(piece.len() as u64) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn take(&mut self, piece: &[u8]) -> Result<(), UploadError> {
        self.length = self.length.saturating_add(piece.len() as u64);
        let limit = self.settings.limit;
        if self.length > limit {
            return Err(UploadError::TooLarge { limit });
        }
        if self.file.is_none() && self.memory.len() + piece.len() <= MEMORY {
            self.memory.extend_from_slice(piece);
            return Ok(());
        }
        let (file, part) = match &mut self.file {
            Some(file) => file,
            None => {
                let mut part = Part::new(&self.settings.budget, self.owner);
                self.settings.grow(&mut part, self.memory.len())?;
                let file = File::from_std(tempfile::tempfile_in(&self.settings.directory)?);
                // Each write of tokio's is a thread's: a client's tiny pieces are gathered first.
                let mut file = BufWriter::with_capacity(PIECE, file);
                file.write_all(&self.memory.split()).await?;
                self.file.insert((file, part))
            }
        };
        self.settings.grow(part, piece.len())?;
        Ok(file.write_all(piece).await?)
    }

    /// A fast client of known length is not spooled any further. Small content is always waited
    /// for: it can be sent again.
    fn is_fast(&mut self, count: u64) -> bool {
        let small = self.known.is_none_or(|length| length <= MEMORY as u64);
        if small || self.settings.mode != Mode::Auto || self.known == Some(self.length) {
            return false;
        }
        let (begun, bytes) = &mut self.window;
        *bytes += count;
        let elapsed = begun.elapsed();
        // Half a window's worth tells enough when it came at once.
        let enough = *bytes >= MEMORY as u64;
        let fast = enough && u128::from(*bytes) * 1000 >= u128::from(FAST) * elapsed.as_millis();
        if elapsed >= WINDOW {
            self.window = (Instant::now(), 0);
        }
        fast
    }

    async fn finish(self) -> Result<Spooled, UploadError> {
        let content = match self.file {
            None => Content::Memory(self.memory.freeze()),
            Some((mut file, part)) => {
                file.flush().await?;
                let file = file.into_inner().into_std().await;
                Content::File(Arc::new(SpoolFile { file, _part: part }))
            }
        };
        Ok(Spooled {
            length: self.length,
            content,
            offset: 0,
        })
    }
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

fn read(file: &std::fs::File, offset: u64, end: u64) -> std::io::Result<Bytes> {
    let left = usize::try_from(end - offset).unwrap_or(usize::MAX);
    let mut piece = BytesMut::zeroed(left.min(PIECE));
    let offset = i64::try_from(offset).map_err(std::io::Error::other)?;
    let count = pread(file, &mut piece, offset)?;
    if count == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    piece.truncate(count);
    Ok(piece.freeze())
}
