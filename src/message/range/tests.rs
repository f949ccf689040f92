//! RFC 9110 §14, row by row.

use proptest::prelude::*;

use super::Ranges::{Unsatisfiable, Whole};
use super::*;

fn part(first: u64, last: u64) -> Ranges {
    Ranges::Single { first, last }
}

#[track_caller]
fn check(length: u64, rows: &[(&str, Ranges)]) {
    for (field, expected) in rows {
        let field = HeaderValue::from_str(field).unwrap();
        assert_eq!(
            ranges(Some(&field), length),
            *expected,
            "{field:?} of {length}"
        );
    }
}

#[test]
fn no_field_is_the_whole() {
    assert_eq!(ranges(None, 10), Whole);
}

#[test]
fn satisfiable_ranges() {
    check(
        1000,
        &[
            ("bytes=0-0", part(0, 0)),
            ("bytes=0-499", part(0, 499)),
            ("bytes=500-999", part(500, 999)),
            ("bytes=500-", part(500, 999)),
            ("bytes=999-", part(999, 999)),
            ("bytes=0-", part(0, 999)),
            ("bytes=0-1000", part(0, 999)),
            ("bytes=007-0008", part(7, 8)),
            ("bytes=-1", part(999, 999)),
            ("bytes=-500", part(500, 999)),
            ("bytes=-1000", part(0, 999)),
            ("bytes=-1001", part(0, 999)),
            ("BYTES=1-2", part(1, 2)),
            ("Bytes=1-2", part(1, 2)),
            ("bytes= 1-2 ", part(1, 2)),
            ("bytes=,,1-2 ,\t,", part(1, 2)),
            // Beyond any length and beyond 64 bits.
            ("bytes=1-18446744073709551615", part(1, 999)),
            ("bytes=1-99999999999999999999", part(1, 999)),
            ("bytes=-99999999999999999999", part(0, 999)),
        ],
    );
}

#[test]
fn unsatisfiable_ranges() {
    check(
        1000,
        &[
            ("bytes=1000-", Unsatisfiable),
            ("bytes=1000-1000", Unsatisfiable),
            ("bytes=5000-6000", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=-000", Unsatisfiable),
            ("bytes=18446744073709551615-", Unsatisfiable),
            (
                "bytes=18446744073709551616-18446744073709551617",
                Unsatisfiable,
            ),
        ],
    );
}

#[test]
fn what_is_invalid_unknown_or_all_of_it_is_ignored() {
    let ignored = [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=5",
        "bytes=5-4",
        "bytes=5-4,",
        "bytes=a-b",
        "bytes=1-b",
        "bytes=1-2-3",
        "bytes=--1",
        "bytes=+1-2",
        "bytes=0x1-2",
        "bytes=1 - 2",
        "bytes=1-2 3",
        "bytes =1-2",
        "bytes:1-2",
        "bytes=1.0-2",
        "lines=1-2",
        "=1-2",
        "1-2",
        "bytes=0-1,bad",
        "bytes=bad,0-1",
        "bytes=0-499,500-",
        "bytes=-1,0-998",
    ];
    check(1000, &ignored.map(|field| (field, Whole)));
    let bytes = HeaderValue::from_bytes(b"bytes=\xff-\xfe").unwrap();
    assert_eq!(ranges(Some(&bytes), 1000), Whole);
}

#[test]
fn several_ranges_are_as_few_parts_as_possible() {
    let parts = |parts: &[(u64, u64)]| Ranges::Several(parts.to_vec());
    check(
        1000,
        &[
            ("bytes=0-1,4-5", parts(&[(0, 1), (4, 5)])),
            ("bytes=4-5 , 0-1", parts(&[(4, 5), (0, 1)])),
            ("bytes=0-0,-1", parts(&[(0, 0), (999, 999)])),
            ("bytes=0-1,2000-,4-5", parts(&[(0, 1), (4, 5)])),
            ("bytes=0-1,4-5,1-4,9-9", parts(&[(0, 5), (9, 9)])),
            ("bytes=0-1,0-1,0-1", part(0, 1)),
            ("bytes=0-1,2-3", part(0, 3)),
            ("bytes=5-9,0-1,2-4", part(0, 9)),
            ("bytes=0-1,2000-", part(0, 1)),
            ("bytes=2000-,3000-", Unsatisfiable),
        ],
    );
    let many = |count: usize| {
        let list: Vec<_> = (0..count).map(|at| format!("{0}-{0}", at * 3)).collect();
        HeaderValue::from_str(&format!("bytes={}", list.join(","))).unwrap()
    };
    assert!(matches!(ranges(Some(&many(64)), 1000), Ranges::Several(list) if list.len() == 64));
    assert_eq!(ranges(Some(&many(65)), 1000), Whole);
}

#[test]
fn nothing_and_the_longest_have_ranges_too() {
    check(
        0,
        &[
            ("bytes=0-", Unsatisfiable),
            ("bytes=0-0", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=-1", Whole),
            ("bytes=1-0", Whole),
        ],
    );
    check(
        1,
        &[
            ("bytes=0-", part(0, 0)),
            ("bytes=-5", part(0, 0)),
            ("bytes=1-", Unsatisfiable),
        ],
    );
    check(
        u64::MAX,
        &[
            ("bytes=-1", part(u64::MAX - 1, u64::MAX - 1)),
            ("bytes=0-18446744073709551615", part(0, u64::MAX - 1)),
            ("bytes=18446744073709551615-", Unsatisfiable),
        ],
    );
}

proptest! {
    /// Checks that exactly the requested bytes are sent, each once.
    #[test]
    fn several_ranges_cover_what_was_asked_for(
        asked in proptest::collection::vec((0_u64..120, 0_u64..20), 1..12),
        length in 1_u64..120,
    ) {
        let list: Vec<_> = asked.iter().map(|(first, more)| format!("{first}-{}", first + more)).collect();
        let field = HeaderValue::from_str(&format!("bytes={}", list.join(","))).unwrap();
        let parts = match ranges(Some(&field), length) {
            Ranges::Whole => return Ok(()),
            Ranges::Single { first, last } => vec![(first, last)],
            Ranges::Several(parts) => parts,
            Ranges::Unsatisfiable => Vec::new(),
        };
        for byte in 0..length {
            let wanted = asked.iter().any(|(first, more)| (*first..=first + more).contains(&byte));
            let sent = parts.iter().filter(|(first, last)| (*first..=*last).contains(&byte)).count();
            prop_assert_eq!(sent, usize::from(wanted), "byte {}", byte);
        }
    }

    #[test]
    fn a_range_lies_within_the_length(
        field in "bytes=([0-9]{0,3}|[0-9]{18,22})-([0-9]{0,3}|[0-9]{18,22})",
        length in prop_oneof![0_u64..1200, any::<u64>()],
    ) {
        let field = HeaderValue::from_str(&field).ok();
        if let Ranges::Single { first, last } = ranges(field.as_ref(), length) {
            prop_assert!(first <= last && last < length, "{}-{} of {}", first, last, length);
        }
    }

    #[test]
    fn no_field_makes_it_panic(field in any::<Vec<u8>>(), length in any::<u64>()) {
        let field = HeaderValue::from_bytes(&[b"bytes=", field.as_slice()].concat());
        if let Ranges::Single { first, last } = ranges(field.ok().as_ref(), length) {
            prop_assert!(first <= last && last < length);
        }
    }
}
