//! Content of unknown length, received whole before PHP sees it, so that CONTENT_LENGTH is true
//! (behaviours no. 26: without it PHP-FPM reads nothing). Memory first, then an unlinked file.

use std::future::poll_fn;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::io::poll_read_buf;

use super::{Upload, UploadError};

/// Bytes kept in memory before a file is used: what most forms and API calls fit in.
const MEMORY: usize = 64 * 1024;

/// Bytes read back at once.
const PIECE: usize = 64 * 1024;

/// Where content is spooled and how much of it there may be.
#[derive(Clone, Debug)]
pub struct SpoolSettings {
    /// The folder of the unlinked files.
    pub directory: PathBuf,
    /// `limits.body`, in bytes.
    pub limit: u64,
    /// `limits.body_pause`: how long the client may pause.
    pub pause: Duration,
}

/// Content that was received whole.
#[derive(Debug)]
pub struct Spooled {
    length: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Memory(Bytes),
    File {
        file: Box<File>,
        left: u64,
        buffer: BytesMut,
    },
}

/// Receives all of `upload`. Fails when it is larger than the limit, broken off, or when the
/// file cannot be written; the file has no name and vanishes with its descriptor.
pub async fn receive(
    mut upload: Upload,
    settings: &SpoolSettings,
) -> Result<Upload, (UploadError, Upload)> {
    match collect(&mut upload, settings).await {
        Ok(Spooled { length: 0, .. }) => Ok(Upload::Empty),
        Ok(spooled) => Ok(Upload::Spooled(spooled)),
        Err(error) => Err((error, upload)),
    }
}

async fn collect(upload: &mut Upload, settings: &SpoolSettings) -> Result<Spooled, UploadError> {
    let mut memory = BytesMut::new();
    let mut file: Option<File> = None;
    let mut length: u64 = 0;
    while let Some(piece) = next_piece(upload, settings.pause).await? {
        length = length.saturating_add(piece.len() as u64);
        if length > settings.limit {
            return Err(UploadError::TooLarge {
                limit: settings.limit,
            });
        }
        match &mut file {
            Some(file) => file.write_all(&piece).await?,
            None if memory.len() + piece.len() <= MEMORY => memory.extend_from_slice(&piece),
            None => file = Some(move_to_file(&settings.directory, &memory.split(), &piece).await?),
        }
    }
    finish(file, memory.freeze(), length).await
}

async fn next_piece(upload: &mut Upload, pause: Duration) -> Result<Option<Bytes>, UploadError> {
    match timeout(pause, poll_fn(|cx| upload.poll_data(cx))).await {
        Ok(piece) => piece.transpose(),
        Err(_) => Err(UploadError::Stalled { pause }),
    }
}

async fn move_to_file(directory: &Path, memory: &[u8], piece: &[u8]) -> Result<File, UploadError> {
    let mut file = File::from_std(tempfile::tempfile_in(directory)?);
    file.write_all(memory).await?;
    file.write_all(piece).await?;
    Ok(file)
}

async fn finish(file: Option<File>, memory: Bytes, length: u64) -> Result<Spooled, UploadError> {
    let content = match file {
        None => Content::Memory(memory),
        Some(mut file) => {
            file.flush().await?;
            file.seek(SeekFrom::Start(0)).await?;
            Content::File {
                file: Box::new(file),
                left: length,
                buffer: BytesMut::new(),
            }
        }
    };
    Ok(Spooled { length, content })
}

impl Spooled {
    /// The whole length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The same content again; only memory can be read twice.
    pub fn replay(&self) -> Option<Self> {
        match &self.content {
            Content::Memory(bytes) => Some(Self {
                length: self.length,
                content: Content::Memory(bytes.clone()),
            }),
            Content::File { .. } => None,
        }
    }

    /// The next piece; `None` at the end.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, UploadError>>> {
        match &mut self.content {
            Content::Memory(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Memory(bytes) => Poll::Ready(Some(Ok(std::mem::take(bytes)))),
            Content::File { left: 0, .. } => Poll::Ready(None),
            Content::File { file, left, buffer } => {
                buffer.reserve(PIECE);
                let count = ready!(poll_read_buf(Pin::new(file.as_mut()), cx, buffer))?;
                if count == 0 {
                    return Poll::Ready(Some(Err(std::io::Error::from(
                        std::io::ErrorKind::UnexpectedEof,
                    )
                    .into())));
                }
                *left = left.saturating_sub(count as u64);
                Poll::Ready(Some(Ok(buffer.split().freeze())))
            }
        }
    }
}
