//! RFC 9110 §13.2.2, row by row.

use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::Verdict::{NotModified, PreconditionFailed, Proceed};
use super::*;

// Date and modification are RFC 9110 §5.6.7's example; all three formats name the same second.
const MODIFIED: u64 = 784_111_777;
const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const SAME_RFC850: &str = "Sunday, 06-Nov-94 08:49:37 GMT";
const SAME_ASCTIME: &str = "Sun Nov  6 08:49:37 1994";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

const MATCH: &str = "if-match";
const UNMODIFIED: &str = "if-unmodified-since";
const NONE_MATCH: &str = "if-none-match";
const SINCE: &str = "if-modified-since";
const RANGE: &str = "if-range";

type Fields<'a> = &'a [(&'static str, &'a str)];

fn fields(list: Fields<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// Half a second after `SAME`, which must not make it newer.
fn validators(etag: &'static str) -> Validators {
    let modified = UNIX_EPOCH + Duration::from_millis(MODIFIED * 1000 + 500);
    Validators {
        etag: Some(HeaderValue::from_static(etag)),
        last_modified: Some(modified),
    }
}

#[track_caller]
fn check(method: Method, rows: &[(Fields<'_>, Verdict)]) {
    for (list, expected) in rows {
        let got = evaluate(&method, &fields(list), &validators("\"a\""));
        assert_eq!(got, *expected, "{method} {list:?}");
    }
}

#[test]
fn without_preconditions_the_request_proceeds() {
    for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT] {
        check(method, &[(&[], Proceed), (&[(RANGE, "\"b\"")], Proceed)]);
    }
}

#[test]
fn step_1_if_match() {
    for method in [Method::GET, Method::PUT] {
        check(
            method,
            &[
                (&[(MATCH, "\"a\"")], Proceed),
                (&[(MATCH, "*")], Proceed),
                (&[(MATCH, "\"b\", \"a\"")], Proceed),
                (&[(MATCH, ""), (MATCH, ", \"a\",")], Proceed),
                (&[(MATCH, "\"b\""), (MATCH, "\"a\"")], Proceed),
                (&[(MATCH, "\"b\"")], PreconditionFailed),
                (&[(MATCH, "W/\"a\"")], PreconditionFailed),
                (&[(MATCH, "a")], PreconditionFailed),
                // A list without a member has none that matches.
                (&[(MATCH, "")], PreconditionFailed),
                (&[(MATCH, ", ,")], PreconditionFailed),
                // If-Unmodified-Since is ignored when there is an If-Match.
                (&[(MATCH, "\"a\""), (UNMODIFIED, BEFORE)], Proceed),
                (&[(MATCH, "\"b\""), (UNMODIFIED, AFTER)], PreconditionFailed),
            ],
        );
    }
}

#[test]
fn step_2_if_unmodified_since() {
    for method in [Method::GET, Method::PUT] {
        check(
            method,
            &[
                (&[(UNMODIFIED, SAME)], Proceed),
                (&[(UNMODIFIED, SAME_RFC850)], Proceed),
                (&[(UNMODIFIED, SAME_ASCTIME)], Proceed),
                (&[(UNMODIFIED, AFTER)], Proceed),
                (&[(UNMODIFIED, BEFORE)], PreconditionFailed),
                (&[(UNMODIFIED, "yesterday")], Proceed),
                (&[(UNMODIFIED, BEFORE), (UNMODIFIED, BEFORE)], Proceed),
            ],
        );
    }
}

#[test]
fn step_3_if_none_match() {
    let table = |held: Verdict| -> [(Fields<'static>, Verdict); 15] {
        [
            (&[(NONE_MATCH, "\"b\"")], Proceed),
            (&[(NONE_MATCH, "\"a\"")], held),
            (&[(NONE_MATCH, "W/\"a\"")], held),
            (&[(NONE_MATCH, "*")], held),
            (&[(NONE_MATCH, "\"b\",W/\"a\"")], held),
            (&[(NONE_MATCH, ",, \"b,\" ,\t\"a\"")], held),
            (&[(NONE_MATCH, "\"b\""), (NONE_MATCH, "\"a\"")], held),
            (&[(NONE_MATCH, ""), (NONE_MATCH, "\"a\",")], held),
            (&[(NONE_MATCH, ""), (NONE_MATCH, " ,")], Proceed),
            // An element that is no tag ends the list: a, w/, a missing quote, a star among tags.
            (&[(NONE_MATCH, "a")], Proceed),
            (&[(NONE_MATCH, "w/\"a\"")], Proceed),
            (&[(NONE_MATCH, "\"a")], Proceed),
            (&[(NONE_MATCH, "\"b\", *")], Proceed),
            // After a true step 1 or 2 it is still evaluated.
            (&[(MATCH, "\"a\""), (NONE_MATCH, "\"a\"")], held),
            (&[(UNMODIFIED, SAME), (NONE_MATCH, "\"a\"")], held),
        ]
    };
    check(Method::GET, &table(NotModified));
    check(Method::HEAD, &table(NotModified));
    check(Method::PUT, &table(PreconditionFailed));
    check(Method::POST, &table(PreconditionFailed));
    // After a false step 1 or 2 nothing else counts.
    check(
        Method::GET,
        &[
            (
                &[(MATCH, "\"b\""), (NONE_MATCH, "\"a\"")],
                PreconditionFailed,
            ),
            (
                &[(UNMODIFIED, BEFORE), (NONE_MATCH, "\"a\"")],
                PreconditionFailed,
            ),
            (&[(UNMODIFIED, BEFORE), (SINCE, SAME)], PreconditionFailed),
        ],
    );
}

#[test]
fn step_4_if_modified_since() {
    for method in [Method::GET, Method::HEAD] {
        check(
            method,
            &[
                (&[(SINCE, SAME)], NotModified),
                (&[(SINCE, SAME_RFC850)], NotModified),
                (&[(SINCE, SAME_ASCTIME)], NotModified),
                (&[(SINCE, AFTER)], NotModified),
                (&[(SINCE, BEFORE)], Proceed),
                (&[(SINCE, "0")], Proceed),
                (&[(SINCE, "")], Proceed),
                (&[(SINCE, SAME), (SINCE, SAME)], Proceed),
                // It is ignored when there is an If-None-Match, even one that is no list.
                (&[(NONE_MATCH, "\"b\""), (SINCE, SAME)], Proceed),
                (&[(NONE_MATCH, "b"), (SINCE, SAME)], Proceed),
                (&[(NONE_MATCH, "\"a\""), (SINCE, BEFORE)], NotModified),
                (&[(MATCH, "\"a\""), (SINCE, SAME)], NotModified),
                (&[(UNMODIFIED, SAME), (SINCE, SAME)], NotModified),
            ],
        );
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        check(method, &[(&[(SINCE, SAME)], Proceed)]);
    }
}

#[test]
fn without_validators_only_the_star_matches() {
    for (list, expected) in [
        ([(MATCH, "\"a\"")], PreconditionFailed),
        ([(MATCH, "*")], Proceed),
        ([(UNMODIFIED, BEFORE)], Proceed),
        ([(NONE_MATCH, "\"a\"")], Proceed),
        ([(NONE_MATCH, "*")], NotModified),
        ([(SINCE, AFTER)], Proceed),
    ] {
        let got = evaluate(&Method::GET, &fields(&list), &Validators::default());
        assert_eq!(got, expected, "{list:?}");
    }
}

#[test]
fn a_weak_tag_of_ours_matches_weakly_only() {
    let weak = validators("W/\"a\"");
    for (list, expected) in [
        ([(MATCH, "\"a\"")], PreconditionFailed),
        ([(MATCH, "W/\"a\"")], PreconditionFailed),
        ([(NONE_MATCH, "\"a\"")], NotModified),
        ([(NONE_MATCH, "W/\"a\"")], NotModified),
    ] {
        assert_eq!(
            evaluate(&Method::GET, &fields(&list), &weak),
            expected,
            "{list:?}"
        );
    }
    assert!(!if_range_holds(&fields(&[(RANGE, "W/\"a\"")]), &weak));
}

#[test]
fn if_range_needs_the_very_same() {
    let table: [(Fields<'_>, bool); 13] = [
        (&[], true),
        (&[(RANGE, "\"a\"")], true),
        (&[(RANGE, "\"b\"")], false),
        (&[(RANGE, "W/\"a\"")], false),
        (&[(RANGE, "\"a\", \"b\"")], false),
        (&[(RANGE, "*")], false),
        (&[(RANGE, "")], false),
        (&[(RANGE, "\"a\""), (RANGE, "\"a\"")], false),
        (&[(RANGE, SAME)], true),
        (&[(RANGE, SAME_RFC850)], true),
        (&[(RANGE, BEFORE)], false),
        (&[(RANGE, AFTER)], false),
        (&[(RANGE, "yesterday")], false),
    ];
    for (list, expected) in table {
        assert_eq!(
            if_range_holds(&fields(list), &validators("\"a\"")),
            expected,
            "{list:?}"
        );
    }
    for value in ["\"a\"", SAME] {
        assert!(!if_range_holds(
            &fields(&[(RANGE, value)]),
            &Validators::default()
        ));
    }
}

#[test]
fn etags_are_size_and_time() {
    let time = UNIX_EPOCH + Duration::new(1, 255);
    assert_eq!(strong_etag(0, UNIX_EPOCH), "\"0-0\"");
    assert_eq!(strong_etag(4096, time), "\"1000-3b9acaff\"");
    assert_eq!(
        strong_etag(1, UNIX_EPOCH - Duration::from_nanos(16)),
        "\"1--10\""
    );
    let far = UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX) * 1000);
    assert!(
        strong_etag(u64::MAX, far)
            .as_bytes()
            .starts_with(b"\"ffffffffffffffff-")
    );
}

#[test]
fn seconds_round_down_on_both_sides_of_the_epoch() {
    let half = Duration::from_millis(500);
    assert_eq!(seconds(UNIX_EPOCH + half), 0);
    assert_eq!(seconds(UNIX_EPOCH), 0);
    assert_eq!(seconds(UNIX_EPOCH - half), -1);
    assert_eq!(seconds(UNIX_EPOCH - Duration::from_secs(1)), -1);
}

proptest! {
    #[test]
    fn an_etag_of_ours_matches_itself(length in any::<u64>(), nanoseconds in any::<u64>()) {
        let tag = strong_etag(length, UNIX_EPOCH + Duration::from_nanos(nanoseconds));
        let validators = Validators { etag: Some(tag.clone()), last_modified: None };
        let of = |name: HeaderName| HeaderMap::from_iter([(name, tag.clone())]);
        let verdict = |headers| evaluate(&Method::GET, &headers, &validators);
        prop_assert_eq!(verdict(of(header::IF_NONE_MATCH)), NotModified);
        prop_assert_eq!(verdict(of(header::IF_MATCH)), Proceed);
        prop_assert!(if_range_holds(&of(header::IF_RANGE), &validators));
    }

    #[test]
    fn no_field_makes_it_panic(value in any::<Vec<u8>>(), text in "[\"W/,* a-z0-9:GMT]{0,40}") {
        let values = [HeaderValue::from_bytes(&value), HeaderValue::from_str(&text)];
        for value in values.into_iter().flatten() {
            for name in [MATCH, UNMODIFIED, NONE_MATCH, SINCE, RANGE] {
                let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value.clone())]);
                evaluate(&Method::GET, &headers, &validators("\"a\""));
                if_range_holds(&headers, &validators("\"a\""));
            }
        }
    }
}
