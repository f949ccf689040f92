//! The encoder of a content coding, piece by piece, without IO.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use compression_codecs::brotli::params::EncoderParams;
use compression_codecs::core::Level;
use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::zstd::params::CParameter;
use compression_codecs::{BrotliEncoder, EncodeV2, GzipEncoder, ZstdEncoder};
use flate2::Crc;

use super::start::{WINDOW, start};
use super::stored::Stored;
use crate::message::accept_encoding::Coding;

/// The output buffer of an engine, in bytes.
const SCRATCH: usize = 8 * 1024;

/// The effort of an encoder: its level in each coding.
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

/// One stream of coded content. It has no engine, and so next to no memory, before its first content.
#[derive(Debug)]
pub struct Encoder {
    coding: Coding,
    effort: Effort,
    engine: Option<Engine>,
    output: BytesMut,
    /// Bytes at the beginning of the next output that were sent already.
    sent: usize,
    /// The checksum of the content of a gzip stream.
    sum: Crc,
}

#[derive(Debug)]
enum Engine {
    Brotli(Box<BrotliEncoder>),
    Zstd(ZstdEncoder),
    Gzip(Box<GzipEncoder>),
    Stored(Stored),
    /// The end of the stream is written.
    Ended,
}

const KIB: u64 = 1024;

impl Encoder {
    /// Builds the encoder of a new stream.
    pub fn new(coding: Coding, effort: Effort) -> Self {
        Self {
            coding,
            effort,
            engine: None,
            output: BytesMut::new(),
            sent: 0,
            sum: Crc::new(),
        }
    }

    /// Returns the first bytes of the stream, to be sent before there is an engine.
    pub(super) fn start(&mut self) -> Bytes {
        let start = start(self.coding);
        self.sent = start.len();
        Bytes::from_static(start)
    }

    /// Returns the memory of a stream, in bytes: 64 KiB for input and output, and its engine, measured as the resident
    /// memory of 20 engines that had coded 875 KB each:
    ///
    /// | KiB | fast | balanced | dense |
    /// |---|---|---|---|
    /// | gzip | 317 | 317 | 317 |
    /// | zstd | 1029 | 1734 | 11204 |
    /// | brotli | 37 | 5444 | 7017 |
    pub fn cost(coding: Coding, effort: Effort) -> u64 {
        let engine = match (coding, effort) {
            (Coding::Gzip, _) => 320,
            (Coding::Zstd, Effort::Fast) => 1040,
            (Coding::Zstd, Effort::Balanced) => 1740,
            (Coding::Zstd, Effort::Dense) => 11_210,
            (Coding::Brotli, Effort::Fast) => 40,
            (Coding::Brotli, Effort::Balanced) => 5450,
            (Coding::Brotli, Effort::Dense) => 7020,
        };
        (64 + engine) * KIB
    }

    /// Releases the engine: flushes its content, and stores all that follows.
    pub(super) fn store(&mut self) -> io::Result<()> {
        let stored = match &self.engine {
            Some(Engine::Stored(_) | Engine::Ended) => return Ok(()),
            None => Stored::begin(self.coding, &mut self.output),
            Some(_) => {
                self.flush()?;
                Stored::go_on(self.coding, std::mem::take(&mut self.sum))
            }
        };
        self.engine = Some(Engine::Stored(stored));
        self.skip();
        Ok(())
    }

    /// Reports whether there is an engine, or will be.
    pub(super) fn has_engine(&self) -> bool {
        !matches!(self.engine, Some(Engine::Stored(_) | Engine::Ended))
    }

    /// Reports whether the rest of the stream is stored.
    pub(super) fn is_stored(&self) -> bool {
        matches!(self.engine, Some(Engine::Stored(_)))
    }

    /// Codes content; its output may stay in the engine until [`Self::flush`].
    pub(super) fn push(&mut self, content: &[u8]) -> io::Result<()> {
        if let Some(Engine::Stored(stored)) = &mut self.engine {
            stored.push(content, &mut self.output);
            return Ok(());
        }
        if self.coding == Coding::Gzip {
            self.sum.update(content);
        }
        let mut content = PartialBuffer::new(content);
        while !content.unwritten().is_empty() {
            self.step(|engine, output| engine.encode(&mut content, output))?;
        }
        Ok(())
    }

    /// Flushes all content that was pushed: a client can decode it to the last byte.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.is_stored() && !self.step(|engine, output| engine.flush(output))? {}
        Ok(())
    }

    /// Writes the end of the stream and releases the engine.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if let Some(Engine::Stored(stored)) = &self.engine {
            stored.finish(&mut self.output);
        } else {
            while !self.step(|engine, output| engine.finish(output))? {}
        }
        self.engine = Some(Engine::Ended);
        Ok(())
    }

    /// Returns the number of coded bytes that are ready.
    pub(super) fn ready(&self) -> usize {
        self.output.len()
    }

    /// Takes the coded bytes that are ready.
    pub(super) fn take(&mut self) -> Bytes {
        self.output.split().freeze()
    }

    fn step<T>(
        &mut self,
        run: impl FnOnce(&mut dyn EncodeV2, &mut WriteBuffer<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut scratch = [0; SCRATCH];
        let mut output = WriteBuffer::new_initialized(&mut scratch);
        if self.engine.is_none() {
            self.engine = Some(Engine::start(self.coding, self.effort));
            if self.coding == Coding::Brotli && self.sent > 0 {
                // The bytes already sent are its output before any content.
                self.flush()?;
            }
        }
        let engine: &mut dyn EncodeV2 = match &mut self.engine {
            Some(Engine::Brotli(engine)) => engine.as_mut(),
            Some(Engine::Zstd(engine)) => engine,
            Some(Engine::Gzip(engine)) => engine.as_mut(),
            Some(Engine::Stored(_) | Engine::Ended) | None => {
                return Err(io::Error::other("a stream without an engine"));
            }
        };
        let done = run(engine, &mut output)?;
        self.output.extend_from_slice(output.written());
        self.skip();
        Ok(done)
    }

    /// Drops the bytes of the output that were sent already.
    fn skip(&mut self) {
        let skipped = self.sent.min(self.output.len());
        self.output.advance(skipped);
        self.sent -= skipped;
    }
}

impl Engine {
    fn start(coding: Coding, effort: Effort) -> Self {
        let level = Level::Precise(effort.level(coding));
        match coding {
            Coding::Brotli => {
                let params = EncoderParams::default()
                    .quality(level)
                    .window_size(i32::from(WINDOW));
                Self::Brotli(Box::new(BrotliEncoder::new(params)))
            }
            Coding::Zstd => {
                let window = CParameter::window_log(u32::from(WINDOW));
                let level = CParameter::quality(level);
                Self::Zstd(ZstdEncoder::new_with_params(level, &[window]))
            }
            Coding::Gzip => Self::Gzip(Box::new(GzipEncoder::new(level.into()))),
        }
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
