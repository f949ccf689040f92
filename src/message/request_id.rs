//! Identifiers of requests. They conceal their order: a serial number would disclose to a visitor the number of
//! requests between two visits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderName;

use super::hexadecimal;
use super::trace_id::{FirstTraceparent, Sampling, TraceId};

/// The field in which proxies and applications pass on the identifier of a request.
pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Maximum length of an X-Request-ID, in bytes: it is in each log line of the request. Usual ones have 20 to 40.
const MAX_LENGTH: usize = 128;

/// Identifier of a request: unique within the life of the process and improbable to repeat beyond it, formatted as 32
/// hexadecimal digits; or the one that a trusted proxy has passed on. With it the identifier of the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId {
    own: [u8; 16],
    adopted: Option<Arc<str>>,
    trace: Trace,
}

/// The trace that a request belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trace {
    /// None that the gateway knows.
    None,
    /// The trace begins with the request and has its own identifier.
    Begun(Sampling),
    /// The trace of a trusted proxy.
    Adopted(TraceId),
}

/// Text of an identifier, as bytes.
#[derive(Clone, Copy, Debug)]
pub enum IdText<'a> {
    /// The digits of an own one.
    Digits([u8; 32]),
    /// One of a trusted proxy.
    Adopted(&'a str),
}

impl RequestId {
    /// Builds the identifier of `number`, which is not 0, in the process with the identifier `process`.
    pub fn new(process: u64, number: u64) -> Self {
        let value = u128::from(process) << 64 | u128::from(number);
        Self {
            own: value.to_be_bytes(),
            adopted: None,
            trace: Trace::None,
        }
    }

    /// Replaces the identifier by one that [`valid_request_id`] has returned.
    pub fn adopt(&mut self, text: &str) {
        self.adopted = Some(text.into());
    }

    /// Makes the request a part of a trace.
    pub fn adopt_trace(&mut self, id: TraceId) {
        self.trace = Trace::Adopted(id);
    }

    /// Begins a trace with the request. Its trace-id is the gateway's own identifier of the request.
    pub fn begin_trace(&mut self, sampling: Sampling) {
        self.trace = Trace::Begun(sampling);
    }

    /// Reports whether the identifier is that of a proxy.
    pub fn is_adopted(&self) -> bool {
        self.adopted.is_some()
    }

    /// Returns the text of the identifier.
    pub fn text(&self) -> IdText<'_> {
        match &self.adopted {
            Some(text) => IdText::Adopted(text),
            None => {
                let mut digits = [0; 32];
                hexadecimal::encode(&self.own, &mut digits);
                IdText::Digits(digits)
            }
        }
    }

    /// Returns the identifier of the trace; `None` if the gateway knows none.
    pub fn trace_id(&self) -> Option<TraceId> {
        match self.trace {
            Trace::None => None,
            Trace::Begun(_) => TraceId::new(self.own),
            Trace::Adopted(id) => Some(id),
        }
    }

    /// Returns the traceparent, if the trace begins with the request.
    pub fn first_traceparent(&self) -> Option<FirstTraceparent> {
        match self.trace {
            Trace::Begun(sampling) => {
                TraceId::new(self.own).map(|id| FirstTraceparent::new(id, sampling))
            }
            Trace::None | Trace::Adopted(_) => None,
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Both texts are ASCII.
        f.write_str(str::from_utf8(self.text().as_bytes()).unwrap_or_default())
    }
}

impl IdText<'_> {
    /// Returns the bytes, which are ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Digits(digits) => digits,
            Self::Adopted(text) => text.as_bytes(),
        }
    }
}

/// Returns the identifier in the value of an X-Request-ID: 1 to 128 bytes of visible ASCII without the characters that
/// lists, quoted strings, JSON or HTML give a meaning, as it is written into all of them. `None` for any other value.
pub fn valid_request_id(value: &[u8]) -> Option<&str> {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"'\\,;<>&".contains(byte);
    let is_valid = (1..=MAX_LENGTH).contains(&value.len()) && value.iter().all(is_plain);
    str::from_utf8(value).ok().filter(|_| is_valid)
}

/// Generator of the identifiers of a process: serial numbers behind a secret permutation.
#[derive(Debug)]
pub struct RequestIds {
    process: u64,
    permutation: Permutation,
    next: AtomicU64,
}

impl RequestIds {
    /// Creates the generator of a process; `draw` returns a random number each time.
    pub fn new(mut draw: impl FnMut() -> u64) -> Self {
        Self {
            process: draw(),
            permutation: Permutation([(); ROUNDS].map(|()| draw())),
            next: AtomicU64::new(0),
        }
    }

    /// Returns the identifier of the next request.
    pub fn draw(&self) -> RequestId {
        loop {
            let serial = self.next.fetch_add(1, Ordering::Relaxed);
            let number = self.permutation.apply(serial);
            // One of all numbers is 0, which no parent-id may be.
            if number != 0 {
                return RequestId::new(self.process, number);
            }
        }
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

    const ID: RequestId = RequestId {
        own: 0x0123_4567_89ab_cdef_0000_0000_0000_0001_u128.to_be_bytes(),
        adopted: None,
        trace: Trace::None,
    };

    #[test]
    fn an_identifier_has_32_digits() {
        let id = RequestId::new(0x0123_4567_89ab_cdef, 1);
        assert_eq!(id, ID);
        assert_eq!(id.to_string(), "0123456789abcdef0000000000000001");
    }

    #[test]
    fn a_trace_that_begins_here_has_the_own_identifier() {
        let mut id = ID;
        assert_eq!((id.trace_id(), id.first_traceparent()), (None, None));
        id.adopt("of-a-proxy");
        id.begin_trace(Sampling::Sampled);
        assert_eq!(id.to_string(), "of-a-proxy");
        let trace = id.trace_id().unwrap().to_string();
        assert_eq!(trace, ID.to_string());
        let text = id.first_traceparent().unwrap().parts().concat();
        let expected = "00-0123456789abcdef0000000000000001-0000000000000001-01";
        assert_eq!(text.escape_ascii().to_string(), expected);
    }

    #[test]
    fn a_trace_of_a_proxy_is_passed_on_and_not_begun() {
        let text = b"00-12345678901234567890123456789012-1234567890123456-00";
        let mut id = ID;
        id.adopt_trace(TraceId::of_traceparent(text).unwrap());
        let trace = id.trace_id().unwrap().to_string();
        assert_eq!(trace, "12345678901234567890123456789012");
        assert_eq!(id.first_traceparent(), None);
        assert_eq!(id.to_string(), ID.to_string());
    }

    #[test]
    fn identifiers_of_proxies_are_plain() {
        let longest = "x".repeat(MAX_LENGTH);
        let too_long = "x".repeat(MAX_LENGTH + 1);
        for (text, is_valid) in [
            ("7f3f4a2e-9c1d-4b7e-8a55-0e6f2d1c9b3a", true),
            ("Root=1-67891233-abcdef012345678912345678", true),
            ("|a+b/c_d.e~f:g@h=", true),
            (&longest, true),
            (&too_long, false),
            ("", false),
            ("a b", false),
            ("a\tb", false),
            ("a,b", false),
            ("a;b", false),
            ("a\"b", false),
            ("a'b", false),
            ("a\\b", false),
            ("<b>", false),
            ("a&amp", false),
            ("\u{1b}[31m", false),
            ("é", false),
        ] {
            let expected = is_valid.then_some(text);
            assert_eq!(valid_request_id(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn no_number_is_zero() {
        let serial_of_zero = Permutation([7; ROUNDS]).revert(0);
        let ids = RequestIds::new(|| 7);
        ids.next.store(serial_of_zero, Ordering::Relaxed);
        let next = Permutation([7; ROUNDS]).apply(serial_of_zero.wrapping_add(1));
        assert_eq!(ids.draw(), RequestId::new(7, next));
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
        fn any_bytes_are_judged_without_a_panic(value: Vec<u8>) {
            let text = valid_request_id(&value);
            if let Some(text) = text {
                prop_assert_eq!(text.as_bytes(), &*value);
                prop_assert!(text.len() <= MAX_LENGTH && text.is_ascii());
            }
        }

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
