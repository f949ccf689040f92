//! The first bytes of a coded stream.

use crate::message::accept_encoding::Coding;

/// The window of brotli and zstd, as a power of two: 512 KiB. Their defaults are megabytes for each stream, and pages are
/// smaller than this.
pub(super) const WINDOW: u8 = 19;

/// Returns the first bytes of a stream, which are the same for any content.
pub(super) fn start(coding: Coding) -> &'static [u8] {
    match coding {
        // RFC 1952 §2.3.1.
        Coding::Gzip => &[0x1f, 0x8b],
        // RFC 8878 §3.1.1.
        Coding::Zstd => &[0x28, 0xb5],
        // RFC 7932 §9.1 and §9.2: the window, and an empty block that ends on a byte boundary.
        Coding::Brotli => &BROTLI_START,
    }
}

/// Four bits for [`WINDOW`], and a meta-block without content or length.
const BROTLI_START: [u8; 2] = [0x65, 0x00];
