//! Ranges: whatever the field says, a part lies within the representation. The first line of an input is the length of
//! the representation, the rest is the field.
#![no_main]

use fcgate::message::range::{Ranges, ranges};
use http::HeaderValue;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let length = lines
        .next()
        .and_then(|line| str::from_utf8(line).ok()?.parse().ok());
    let field = lines
        .next()
        .and_then(|line| HeaderValue::from_bytes(line).ok());
    if let (Some(length), Some(field)) = (length, field) {
        check(length, &field);
    }
});

fn check(length: u64, field: &HeaderValue) {
    assert_eq!(ranges(None, length), Ranges::Whole);
    match ranges(Some(field), length) {
        Ranges::Whole | Ranges::Unsatisfiable => {}
        Ranges::Single { first, last } => are_parts(&[(first, last)], length),
        Ranges::Several(parts) => {
            assert!(parts.len() > 1);
            let total: u64 = parts.iter().map(|(first, last)| last - first + 1).sum();
            assert!(total < length, "more than the whole");
            are_parts(&parts, length);
        }
    }
}

fn are_parts(parts: &[(u64, u64)], length: u64) {
    for (first, last) in parts {
        assert!(first <= last && *last < length);
    }
    // RFC 9110 §15.3.7.2: what overlaps or touches is one part.
    let mut sorted = parts.to_vec();
    sorted.sort_unstable();
    for two in sorted.windows(2) {
        assert!(two[0].1 + 1 < two[1].0);
    }
    is_asked_for_again(parts, sorted[0].0, length);
}

/// The parts are what a field asks for that names them, whatever empty elements it has.
fn is_asked_for_again(parts: &[(u64, u64)], least: u64, length: u64) {
    let expected = match parts {
        [(first, last)] => Ranges::Single {
            first: *first,
            last: *last,
        },
        several => Ranges::Several(several.to_vec()),
    };
    let specs: Vec<_> = parts
        .iter()
        .map(|(first, last)| format!("{first}-{last}"))
        .collect();
    for set in [specs.join(","), format!("{}, ,", specs.join(" , "))] {
        let field = HeaderValue::try_from(format!("bytes={set}")).expect("a field");
        assert_eq!(ranges(Some(&field), length), expected);
        // Nothing of it is in a representation that ends before.
        assert_eq!(ranges(Some(&field), least), Ranges::Unsatisfiable);
    }
}
