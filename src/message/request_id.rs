//! Identifiers of requests. They conceal their order: a serial number would disclose to a visitor the number of
//! requests between two visits.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Identifier of a request: unique within the life of the process and improbable to repeat beyond
/// it. Formatted as 24 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId([u8; 12]);

impl RequestId {
    /// Builds the identifier of `number` in the process with the identifier `process`.
    pub fn new(process: u32, number: u64) -> Self {
        let mut bytes = [0; 12];
        let process = process.to_be_bytes().into_iter();
        let parts = process.chain(number.to_be_bytes());
        bytes
            .iter_mut()
            .zip(parts)
            .for_each(|(to, from)| *to = from);
        Self(bytes)
    }

    /// Returns the 24 hexadecimal digits. Without `format!`, which takes fifteen times as long: they are written for
    /// every call of a script.
    pub fn digits(self) -> [u8; 24] {
        let mut digits = [0; 24];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[byte >> 4, byte & 0xf].map(|half| match half {
                0..10 => b'0' + half,
                _ => b'a' + half - 10,
            }));
        }
        digits
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The digits are ASCII.
        f.write_str(str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

/// Generator of the identifiers of a process: serial numbers behind a secret permutation.
#[derive(Debug)]
pub struct RequestIds {
    process: u32,
    permutation: Permutation,
    next: AtomicU64,
}

impl RequestIds {
    /// Creates the generator of a process; `draw` returns a random number each time.
    pub fn new(mut draw: impl FnMut() -> u64) -> Self {
        Self {
            process: halves(draw()).0,
            permutation: Permutation([(); ROUNDS].map(|()| draw())),
            next: AtomicU64::new(0),
        }
    }

    /// Returns the identifier of the next request.
    pub fn draw(&self) -> RequestId {
        let serial = self.next.fetch_add(1, Ordering::Relaxed);
        RequestId::new(self.process, self.permutation.apply(serial))
    }
}

const ROUNDS: usize = 4;

/// A Feistel network, which is a permutation for any round function: no number repeats. It hides the order from
/// observers without the keys, at the cost of a few nanoseconds; it protects no secret.
#[derive(Debug)]
struct Permutation([u64; ROUNDS]);

impl Permutation {
    fn apply(&self, number: u64) -> u64 {
        let (left, right) = self.0.iter().fold(halves(number), |(left, right), key| {
            (right, left ^ mixed(right, *key))
        });
        u64::from(left) << 32 | u64::from(right)
    }
}

/// Mixes by two multiplications with odd constants (of splitmix64 and a variant): each bit of the half and of the
/// key changes each bit of the result.
fn mixed(half: u32, key: u64) -> u32 {
    let once = (u64::from(half) ^ key).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let twice = (once ^ once >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
    halves(twice ^ key.rotate_left(32)).0
}

fn halves(number: u64) -> (u32, u32) {
    let [a, b, c, d, rest @ ..] = number.to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes(rest))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    impl Permutation {
        fn revert(&self, number: u64) -> u64 {
            let last = halves(number);
            let (left, right) = self
                .0
                .iter()
                .rev()
                .fold(last, |(left, right), key| (right ^ mixed(left, *key), left));
            u64::from(left) << 32 | u64::from(right)
        }
    }

    #[test]
    fn an_identifier_has_24_digits() {
        let id = RequestId::new(0x0123_4567, 0x89ab_cdef_0000_0001);
        assert_eq!(id.to_string(), "0123456789abcdef00000001");
    }

    #[test]
    fn identifiers_do_not_repeat_and_hide_their_order() {
        let mut state = 7_u64;
        let ids = RequestIds::new(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state
        });
        let drawn: Vec<_> = (0..100_000).map(|_| ids.draw().to_string()).collect();
        let distinct: HashSet<_> = drawn.iter().collect();
        assert_eq!(distinct.len(), drawn.len());
        // In a random order about one half of the identifiers is greater than the one before; a third and two thirds
        // are a hundred deviations away.
        let rising = drawn.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((33_333..66_666).contains(&rising), "{rising}");
    }

    proptest! {
        #[test]
        fn each_number_has_one_identifier(keys: [u64; ROUNDS], number: u64) {
            let permutation = Permutation(keys);
            prop_assert_eq!(permutation.revert(permutation.apply(number)), number);
        }

        #[test]
        fn the_next_number_looks_like_any_other(keys: [u64; ROUNDS], number in 0_u64..1 << 40) {
            let permutation = Permutation(keys);
            let changed = permutation.apply(number) ^ permutation.apply(number + 1);
            // Of 64 random bits fewer than 8 differ once in 10^10 times.
            prop_assert!(changed.count_ones() >= 8, "{:x}", changed);
        }
    }
}
