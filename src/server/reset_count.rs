//! Count of HTTP/2 streams that are reset with an error (RFC 9113 §5.4.2). h2 resets streams without reporting it, so
//! the sent frames are parsed.

use std::io::IoSlice;
use std::sync::Arc;

use crate::upstream::numbers::Count;

/// Size of a frame header (RFC 9113 §4.1): length, type, flags and stream.
const HEAD: usize = 9;

/// Frame type with an error code of four bytes (RFC 9113 §6.4).
const RST_STREAM: u8 = 3;
const CODE: usize = 4;

/// Parser of sent frames.
#[derive(Debug)]
pub(super) struct ResetCount {
    errors: Arc<Count>,
    /// Beginning of a frame: its header, and the code of RST_STREAM.
    begun: [u8; HEAD + CODE],
    /// Bytes of it that have passed.
    filled: usize,
    /// Bytes of the frame to skip.
    rest: usize,
}

impl ResetCount {
    pub(super) fn new(errors: Arc<Count>) -> Self {
        Self {
            errors,
            begun: [0; HEAD + CODE],
            filled: 0,
            rest: 0,
        }
    }

    /// Parses the first `length` bytes of `slices`.
    pub(super) fn parse(&mut self, slices: &[IoSlice<'_>], mut length: usize) {
        for slice in slices {
            let bytes = slice.get(..length).unwrap_or(slice);
            length -= bytes.len();
            self.parse_slice(bytes);
        }
    }

    fn parse_slice(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.rest -= take(&mut bytes, self.rest).len();
            let begun = take(&mut bytes, self.wanted() - self.filled);
            let place = self.begun.iter_mut().skip(self.filled);
            place.zip(begun).for_each(|(place, byte)| *place = *byte);
            self.filled += begun.len();
            if self.filled == self.wanted() {
                if self.is_error() {
                    self.errors.add();
                }
                self.rest = self.length().saturating_sub(self.filled - HEAD);
                self.filled = 0;
            }
        }
    }

    /// Returns the number of bytes needed from the frame's beginning.
    fn wanted(&self) -> usize {
        if self.is_reset() {
            HEAD + CODE.min(self.length())
        } else {
            HEAD
        }
    }

    fn is_reset(&self) -> bool {
        let [_, _, _, kind, ..] = self.begun;
        self.filled >= HEAD && kind == RST_STREAM
    }

    fn length(&self) -> usize {
        let [high, middle, low, ..] = self.begun.map(usize::from);
        high << 16 | middle << 8 | low
    }

    /// Reports whether the frame resets a stream with an error. RFC 9113 §8.1: NO_ERROR only ends the request content.
    fn is_error(&self) -> bool {
        let [.., a, b, c, d] = self.begun;
        self.is_reset() && [a, b, c, d] != [0; CODE]
    }
}

/// Removes and returns at most the first `most` of `bytes`.
fn take<'a>(bytes: &mut &'a [u8], most: usize) -> &'a [u8] {
    let most = most.min(bytes.len());
    let (taken, left) = bytes.split_at_checked(most).unwrap_or_default();
    *bytes = left;
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, 0, 0, 0, 0, 1]);
        bytes.extend(payload);
        bytes
    }

    /// Generates frames as h2 writes them, with the number of resets with an error.
    fn frames() -> impl Strategy<Value = (Vec<u8>, u64)> {
        let frame = prop_oneof![
            (0_u8..10, prop::collection::vec(any::<u8>(), 0..300))
                .prop_filter("another type", |(kind, _)| *kind != RST_STREAM)
                .prop_map(|(kind, payload)| (frame(kind, &payload), 0)),
            (0_u32..15)
                .prop_map(|code| (frame(RST_STREAM, &code.to_be_bytes()), u64::from(code != 0))),
        ];
        prop::collection::vec(frame, 0..20).prop_map(|frames| {
            let resets = frames.iter().map(|(_, resets)| resets).sum();
            let bytes = frames.into_iter().flat_map(|(bytes, _)| bytes).collect();
            (bytes, resets)
        })
    }

    #[test]
    fn unwritten_bytes_are_parsed_when_they_are_written_again() {
        let errors = Arc::new(Count::default());
        let mut count = ResetCount::new(Arc::clone(&errors));
        let reset = frame(RST_STREAM, &[0, 0, 0, 1]);
        let slices = [IoSlice::new(&reset[..5]), IoSlice::new(&reset[5..])];
        count.parse(&slices, 3);
        count.parse(&[IoSlice::new(&reset[3..])], 9);
        assert_eq!(errors.get(), 0);
        count.parse(&[IoSlice::new(&reset[12..])], 1);
        assert_eq!(errors.get(), 1);
    }

    proptest! {
        #[test]
        fn resets_are_counted_wherever_the_bytes_are_cut((bytes, resets) in frames(), piece in 1_usize..40) {
            let errors = Arc::new(Count::default());
            let mut count = ResetCount::new(Arc::clone(&errors));
            let slices: Vec<_> = bytes.chunks(piece).map(IoSlice::new).collect();
            count.parse(&slices, bytes.len());
            prop_assert_eq!(errors.get(), resets);
        }
    }
}
