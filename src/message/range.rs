//! The Range field (RFC 9110 §14): the bytes of a representation to send. The caller decides
//! before whether the field applies (GET, a 200 answer, If-Range).

use http::HeaderValue;

/// The parts of a representation to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// The whole, with 200: there is no field, or it is ignored.
    Whole,
    /// One part, with 206: the offsets of its first and last byte, both inside the representation.
    Single {
        /// The offset of the first byte.
        first: u64,
        /// The offset of the last byte, inclusive; never less than `first`.
        last: u64,
    },
    /// At least two parts, with 206 and multipart/byteranges: first and last byte of each. They
    /// neither overlap nor touch, and together are shorter than the whole.
    Several(Vec<(u64, u64)>),
    /// No existing byte, with 416.
    Unsatisfiable,
}

/// The most ranges in one field. Readers of paged documents send some; more is an attack
/// (RFC 9110 §14.2), and answered with the whole.
const MOST: usize = 64;

/// Reads the Range field for a representation of `length` bytes. Ranges that overlap or touch are
/// sent as one (RFC 9110 §15.3.7.2); more than 64 of them, or as much as the whole, is the whole.
pub fn ranges(field: Option<&HeaderValue>, length: u64) -> Ranges {
    let Some(specs) = field.and_then(|value| range_set(value.as_bytes())) else {
        return Ranges::Whole;
    };
    match specs.as_slice() {
        [only] => resolve(only, length),
        several => combine(several, length),
    }
}

fn combine(specs: &[Spec], length: u64) -> Ranges {
    let mut parts: Vec<(u64, u64)> = Vec::with_capacity(specs.len());
    for spec in specs {
        match resolve(spec, length) {
            Ranges::Single { first, last } => join(&mut parts, (first, last)),
            Ranges::Whole => return Ranges::Whole,
            // RFC 9110 §14.2: those that can be satisfied are, the others are left out.
            Ranges::Unsatisfiable | Ranges::Several(_) => {}
        }
    }
    let total: u64 = parts.iter().map(|(first, last)| last - first + 1).sum();
    match parts.as_slice() {
        [] => Ranges::Unsatisfiable,
        _ if total >= length => Ranges::Whole,
        [(first, last)] => Ranges::Single {
            first: *first,
            last: *last,
        },
        _ => Ranges::Several(parts),
    }
}

/// Adds a part in the order of the request, merged with all that it overlaps or touches.
fn join(parts: &mut Vec<(u64, u64)>, mut part: (u64, u64)) {
    let touches =
        |a: (u64, u64), b: (u64, u64)| a.0 <= b.1.saturating_add(1) && b.0 <= a.1.saturating_add(1);
    let mut place = parts.len();
    while let Some(at) = parts.iter().position(|known| touches(*known, part)) {
        let known = parts.remove(at);
        part = (part.0.min(known.0), part.1.max(known.1));
        place = place.min(at);
    }
    parts.insert(place.min(parts.len()), part);
}

fn resolve(spec: &Spec, length: u64) -> Ranges {
    match *spec {
        Spec::From { first, last } => int_range(first, last, length),
        Spec::Suffix(wanted) => suffix_range(wanted, length),
    }
}

/// A `range-spec` (RFC 9110 §14.1.1).
enum Spec {
    From { first: u64, last: Option<u64> },
    Suffix(u64),
}

fn int_range(first: u64, last: Option<u64>, length: u64) -> Ranges {
    match length.checked_sub(1) {
        // RFC 9110 §14.1.2: a last-pos beyond the end means the end.
        Some(end) if first <= end => Ranges::Single {
            first,
            last: last.unwrap_or(end).min(end),
        },
        // RFC 9110 §14.1.2: no first-pos is less than the length.
        Some(_) | None => Ranges::Unsatisfiable,
    }
}

fn suffix_range(wanted: u64, length: u64) -> Ranges {
    match (wanted, length.checked_sub(1)) {
        // RFC 9110 §14.1.2: a suffix is satisfiable if its length is not zero …
        (0, _) => Ranges::Unsatisfiable,
        // … also of nothing, but §14.4 has no Content-Range for no bytes.
        (_, None) => Ranges::Whole,
        (_, Some(last)) => Ranges::Single {
            first: length.saturating_sub(wanted),
            last,
        },
    }
}

/// Parses the ranges of a field in the unit bytes; `None` if one is invalid or there are too many.
fn range_set(field: &[u8]) -> Option<Vec<Spec>> {
    let (unit, set) = split_once(field, b'=')?;
    // RFC 9110 §14.1: range units are case-insensitive; §14.2: an unknown one is ignored.
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    // RFC 9110 §5.6.1.2: a recipient ignores empty list elements.
    let specs: Vec<_> = set
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|spec| !spec.is_empty())
        .take(MOST + 1)
        .map(parse_spec)
        .collect::<Option<_>>()?;
    (1..=MOST).contains(&specs.len()).then_some(specs)
}

fn parse_spec(spec: &[u8]) -> Option<Spec> {
    let (first, last) = split_once(spec, b'-')?;
    if first.is_empty() {
        return position(last).map(Spec::Suffix);
    }
    let first = position(first)?;
    if last.is_empty() {
        return Some(Spec::From { first, last: None });
    }
    // RFC 9110 §14.1.2: invalid if last-pos is less than first-pos.
    let last = position(last).filter(|&last| last >= first)?;
    Some(Spec::From {
        first,
        last: Some(last),
    })
}

/// Parses `1*DIGIT`; a numeral beyond 64 bits (RFC 9110 §8.6 warns of them) becomes the largest number.
fn position(digits: &[u8]) -> Option<u64> {
    let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    valid.then(|| {
        digits.iter().fold(0_u64, |number, digit| {
            number
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        })
    })
}

fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == separator)?;
    let (before, rest) = text.split_at_checked(at)?;
    Some((before, rest.get(1..)?))
}

#[cfg(test)]
mod tests;
