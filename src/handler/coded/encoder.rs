//! Bytes into a content coding, piece by piece. Nothing here waits or reads.

use std::io;

use bytes::{Bytes, BytesMut};
use compression_codecs::brotli::params::EncoderParams;
use compression_codecs::core::Level;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::zstd::params::CParameter;
use compression_codecs::{BrotliEncoder, EncodeV2, GzipEncoder, ZstdEncoder};

use crate::message::accept_encoding::Coding;

/// Bytes that an engine writes at once.
const SCRATCH: usize = 8 * 1024;

/// The window of brotli and zstd, as a power of two: 512 KiB. Their own defaults are megabytes for
/// each stream, and pages are smaller than this.
const WINDOW: u8 = 19;

/// How much work is done for how small a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Effort {
    /// gzip 1, brotli 1, zstd 1.
    Fast,
    /// gzip 6, brotli 4, zstd 3.
    #[default]
    Balanced,
    /// gzip 9, brotli 6, zstd 9.
    Dense,
}

/// One stream of coded content.
#[derive(Debug)]
pub struct Encoder {
    engine: Engine,
    output: BytesMut,
}

#[derive(Debug)]
enum Engine {
    Brotli(Box<BrotliEncoder>),
    Zstd(ZstdEncoder),
    Gzip(Box<GzipEncoder>),
}

impl Encoder {
    /// The beginning of a stream.
    pub fn new(coding: Coding, effort: Effort) -> Self {
        let level = Level::Precise(effort.level(coding));
        let engine = match coding {
            Coding::Brotli => {
                let params = EncoderParams::default().quality(level);
                let params = params.window_size(i32::from(WINDOW));
                Engine::Brotli(Box::new(BrotliEncoder::new(params)))
            }
            Coding::Zstd => {
                let window = CParameter::window_log(u32::from(WINDOW));
                let level = CParameter::quality(level);
                Engine::Zstd(ZstdEncoder::new_with_params(level, &[window]))
            }
            Coding::Gzip => Engine::Gzip(Box::new(GzipEncoder::new(level.into()))),
        };
        Self {
            engine,
            output: BytesMut::new(),
        }
    }

    /// The whole of `content` in a coding.
    pub fn whole(coding: Coding, effort: Effort, content: &[u8]) -> io::Result<Bytes> {
        let mut encoder = Self::new(coding, effort);
        encoder.push(content)?;
        encoder.finish()?;
        Ok(encoder.take())
    }

    /// Takes content; what it becomes may stay in the engine until [`Self::flush`].
    pub(super) fn push(&mut self, content: &[u8]) -> io::Result<()> {
        let mut content = PartialBuffer::new(content);
        while !content.unwritten().is_empty() {
            self.step(|engine, output| engine.encode(&mut content, output))?;
        }
        Ok(())
    }

    /// Brings out all that was pushed: a client can read it to the last byte.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.step(|engine, output| engine.flush(output))? {}
        Ok(())
    }

    /// Writes the end of the stream.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        while !self.step(|engine, output| engine.finish(output))? {}
        Ok(())
    }

    /// Bytes that are ready.
    pub(super) fn ready(&self) -> usize {
        self.output.len()
    }

    /// What is ready.
    pub(super) fn take(&mut self) -> Bytes {
        self.output.split().freeze()
    }

    fn step<T>(
        &mut self,
        run: impl FnOnce(&mut dyn EncodeV2, &mut WriteBuffer<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut scratch = [0; SCRATCH];
        let mut output = WriteBuffer::new_initialized(&mut scratch);
        let engine: &mut dyn EncodeV2 = match &mut self.engine {
            Engine::Brotli(engine) => engine.as_mut(),
            Engine::Zstd(engine) => engine,
            Engine::Gzip(engine) => engine.as_mut(),
        };
        let done = run(engine, &mut output)?;
        self.output.extend_from_slice(output.written());
        Ok(done)
    }
}

impl Effort {
    fn level(self, coding: Coding) -> i32 {
        match (self, coding) {
            (Self::Fast, _) => 1,
            (Self::Balanced, Coding::Brotli) => 4,
            (Self::Balanced, Coding::Zstd) => 3,
            (Self::Dense, Coding::Brotli) | (Self::Balanced, Coding::Gzip) => 6,
            (Self::Dense, Coding::Zstd | Coding::Gzip) => 9,
        }
    }
}
