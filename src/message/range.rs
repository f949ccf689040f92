//! The Range field (RFC 9110 §14): which bytes of a representation are wanted. Whether the field
//! applies at all (GET, a 200 answer, If-Range) is decided before.

use http::HeaderValue;

/// What a Range field asks of a representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// Everything, with 200: there is no field, or it is one to ignore.
    Whole,
    /// One part, with 206: the offsets of its first and last byte, both inside the representation.
    Single {
        /// The offset of the first byte.
        first: u64,
        /// The offset of the last byte, inclusive; never less than `first`.
        last: u64,
    },
    /// Nothing that exists, so 416.
    Unsatisfiable,
}

/// Reads the Range field for a representation of `length` bytes. Several ranges are answered with
/// the whole, which RFC 9110 §14.2 allows.
pub fn single(field: Option<&HeaderValue>, length: u64) -> Ranges {
    match field.and_then(|value| range_spec(value.as_bytes())) {
        Some(Spec::From { first, last }) => int_range(first, last, length),
        Some(Spec::Suffix(wanted)) => suffix_range(wanted, length),
        None => Ranges::Whole,
    }
}

/// RFC 9110 §14.1.1: `range-spec`.
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

/// The only range of a bytes-unit field; none if there are several or the field is invalid.
fn range_spec(field: &[u8]) -> Option<Spec> {
    let (unit, set) = split_once(field, b'=')?;
    // RFC 9110 §14.1: range units are case-insensitive; §14.2: an unknown one is ignored.
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    // RFC 9110 §5.6.1.2: a recipient ignores empty list elements.
    let mut specs = set
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|spec| !spec.is_empty());
    match (specs.next(), specs.next()) {
        (Some(only), None) => parse_spec(only),
        (Some(_), Some(_)) | (None, _) => None,
    }
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

/// `1*DIGIT`. RFC 9110 §8.6 warns of large numerals: what no length can reach is the largest.
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
