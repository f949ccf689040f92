//! Precedence of conditions and ranges (RFC 9110 §13.2.2).

use http::HeaderName;

use super::*;

const TAG: &str = "\"a\"";
const OTHER: &str = "\"b\"";
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

type Fields = &'static [(&'static str, &'static str)];

fn fields(list: Fields) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    };
    list.iter().map(pair).collect()
}

/// Checks the part of ten bytes with a tag and a date.
#[track_caller]
fn check(method: Method, rows: &[(Fields, Part)]) {
    let known = fields(&[
        ("etag", TAG),
        ("last-modified", DATE),
        ("accept-ranges", "bytes"),
    ]);
    for (asked, expected) in rows {
        let got = part(&method, &fields(asked), &known, 10);
        assert_eq!(got, *expected, "{method} {asked:?}");
    }
}

#[test]
fn conditions_come_before_ranges() {
    use Part::{NotModified, PreconditionFailed, Range, Unsatisfiable, Whole};
    const RANGE: (&str, &str) = ("range", "bytes=2-4");
    const BEYOND: (&str, &str) = ("range", "bytes=10-");
    check(
        Method::GET,
        &[
            (&[], Whole),
            (&[RANGE], Range(2, 4)),
            (&[BEYOND], Unsatisfiable),
            (
                &[("range", "bytes=0-0,2-4")],
                Part::Ranges(vec![(0, 0), (2, 4)]),
            ),
            // Steps 1 and 2: 412 before anything else.
            (&[("if-match", OTHER), RANGE], PreconditionFailed),
            (&[("if-match", OTHER), BEYOND], PreconditionFailed),
            (
                &[("if-match", OTHER), ("if-none-match", TAG)],
                PreconditionFailed,
            ),
            (&[("if-match", TAG), RANGE], Range(2, 4)),
            (&[("if-match", TAG), ("if-unmodified-since", BEFORE)], Whole),
            (
                &[("if-unmodified-since", BEFORE), RANGE],
                PreconditionFailed,
            ),
            (
                &[("if-unmodified-since", BEFORE), ("if-none-match", TAG)],
                PreconditionFailed,
            ),
            (&[("if-unmodified-since", DATE), RANGE], Range(2, 4)),
            // Steps 3 and 4: 304 before 206 and 416.
            (&[("if-none-match", TAG), RANGE], NotModified),
            (&[("if-none-match", TAG), BEYOND], NotModified),
            (
                &[("if-none-match", OTHER), ("if-modified-since", DATE)],
                Whole,
            ),
            (
                &[("if-none-match", OTHER), ("if-modified-since", DATE), RANGE],
                Range(2, 4),
            ),
            (&[("if-modified-since", DATE), RANGE], NotModified),
            (&[("if-modified-since", BEFORE), RANGE], Range(2, 4)),
        ],
    );
}

#[test]
fn if_range_selects_the_range_or_the_whole_and_never_fails() {
    use Part::{NotModified, Range, Unsatisfiable, Whole};
    const RANGE: (&str, &str) = ("range", "bytes=2-4");
    const BEYOND: (&str, &str) = ("range", "bytes=10-");
    check(
        Method::GET,
        &[
            // Step 5, after all others.
            (&[("if-range", TAG), RANGE], Range(2, 4)),
            (&[("if-range", OTHER), RANGE], Whole),
            (&[("if-range", OTHER), BEYOND], Whole),
            (&[("if-range", TAG), BEYOND], Unsatisfiable),
            (&[("if-range", DATE), RANGE], Range(2, 4)),
            (&[("if-range", BEFORE), RANGE], Whole),
            (&[("if-range", OTHER)], Whole),
            (
                &[("if-range", OTHER), ("if-none-match", TAG), RANGE],
                NotModified,
            ),
        ],
    );
}

#[test]
fn other_methods_have_no_ranges() {
    const RANGE: (&str, &str) = ("range", "bytes=2-4");
    check(
        Method::HEAD,
        &[
            (&[RANGE], Part::Whole),
            (&[("range", "bytes=10-")], Part::Whole),
            (&[("if-none-match", TAG), RANGE], Part::NotModified),
            (&[("if-match", OTHER)], Part::PreconditionFailed),
        ],
    );
    check(
        Method::POST,
        &[(&[("if-none-match", TAG), RANGE], Part::Whole)],
    );
}

#[test]
fn what_accepts_no_ranges_has_none() {
    let known = fields(&[("accept-ranges", "none")]);
    let asked = fields(&[("range", "bytes=2-4")]);
    assert_eq!(part(&Method::GET, &asked, &known, 10), Part::Whole);
}
