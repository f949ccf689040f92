//! Ranges: whatever the field says, a part lies within the representation. The first line of an input is the length of
//! the representation, the rest is the field.
#![no_main]

use fcgate::message::range::{Ranges, single};
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
    assert_eq!(single(None, length), Ranges::Whole);
    let Ranges::Single { first, last } = single(Some(field), length) else {
        return;
    };
    assert!(first <= last && last < length);
    for spec in [format!("{first}-{last}"), format!("{first}-{last}, ,")] {
        let field = HeaderValue::try_from(format!("bytes={spec}")).expect("a field");
        assert_eq!(single(Some(&field), length), Ranges::Single { first, last });
        // Nothing of it is in a representation that ends before.
        let part = single(Some(&field), first);
        assert_eq!(part, Ranges::Unsatisfiable);
    }
}
