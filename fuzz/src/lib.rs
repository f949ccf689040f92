//! What several fuzz targets need. An input is the very text or bytes that a parser reads, so that a seed can be
//! written by hand and a crash can be read; how it is cut into pieces is derived from it.

mod guarded;

pub use guarded::{BOUNDS, Guarded, Message, guard};

/// The ways in which the same bytes may arrive: at once, one by one, and in pieces of sizes that the bytes themselves
/// choose.
pub fn arrivals(bytes: &[u8]) -> [Vec<&[u8]>; 3] {
    [vec![bytes], bytes.chunks(1).collect(), pieces(bytes)]
}

/// Pieces of 1 to 32 bytes.
fn pieces(mut bytes: &[u8]) -> Vec<&[u8]> {
    // FNV-1a: every byte of the input has a say in where all cuts are.
    let mut state = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        state = step(state, &0);
        let size = 1 + usize::try_from(state >> 59).unwrap_or(0);
        let (piece, rest) = bytes.split_at(size.min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

fn step(state: u64, byte: &u8) -> u64 {
    (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
}
