//! The rest of a coded stream without compression: in the stored blocks that each coding defines. It needs no memory, and
//! the client decodes one stream.

use bytes::{BufMut, BytesMut};
use flate2::Crc;

use super::start::{WINDOW, start};
use crate::message::accept_encoding::Coding;

/// The rest of a stream in stored blocks.
#[derive(Debug)]
pub(super) struct Stored {
    coding: Coding,
    /// The checksum of all content of a gzip stream, including that before.
    sum: Crc,
}

/// Bytes of a block at most: all of RFC 1951 §3.2.4, RFC 7932 §9.2 with four nibbles, and RFC 8878 §3.1.1.2.4 allow as many.
const BLOCK: usize = 65_535;

impl Stored {
    /// Begins a stream and writes its header.
    pub(super) fn begin(coding: Coding, output: &mut BytesMut) -> Self {
        output.put_slice(start(coding));
        match coding {
            // RFC 1952 §2.3: no MTIME, no XFL, an unknown OS.
            Coding::Gzip => output.put_slice(&[8, 0, 0, 0, 0, 0, 0, 255]),
            // RFC 8878 §3.1.1.1: neither size nor checksum; the window as an exponent from 10 on.
            Coding::Zstd => output.put_slice(&[0x2f, 0xfd, 0, (WINDOW - 10) << 3]),
            Coding::Brotli => {}
        }
        Self::go_on(coding, Crc::new())
    }

    /// Continues a flushed stream; `sum` is the checksum of the content before.
    pub(super) fn go_on(coding: Coding, sum: Crc) -> Self {
        Self { coding, sum }
    }

    pub(super) fn push(&mut self, content: &[u8], output: &mut BytesMut) {
        self.sum.update(content);
        for block in content.chunks(BLOCK) {
            let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
            match self.coding {
                // RFC 1951 §3.2.4: not the last, stored.
                Coding::Gzip => {
                    output.put_u8(0);
                    output.put_u16_le(length);
                    output.put_u16_le(!length);
                }
                // RFC 8878 §3.1.1.2: not the last, raw.
                Coding::Zstd => output.put_uint_le(u64::from(length) << 3, 3),
                // RFC 7932 §9.2: not the last, four nibbles of MLEN - 1, uncompressed.
                Coding::Brotli => output.put_uint_le(1 << 19 | u64::from(length - 1) << 3, 3),
            }
            output.put_slice(block);
        }
    }

    pub(super) fn finish(&self, output: &mut BytesMut) {
        match self.coding {
            // RFC 1951 §3.2.4: the last, stored, of nothing; RFC 1952 §2.3.1.
            Coding::Gzip => {
                output.put_slice(&[1, 0, 0, 255, 255]);
                output.put_u32_le(self.sum.sum());
                output.put_u32_le(self.sum.amount());
            }
            // RFC 8878 §3.1.1.2: the last, raw, of nothing.
            Coding::Zstd => output.put_slice(&[1, 0, 0]),
            // RFC 7932 §9.2: ISLAST and ISLASTEMPTY.
            Coding::Brotli => output.put_u8(3),
        }
    }
}
