//! The fields of an error response that has the content of an error page: one list for pages in memory and by path.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// The response that a field is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The page: the field is about the content.
    Page,
    /// The failed response, or the page where it has none: the field is about the failure.
    Failed,
    /// The failed response alone.
    FailedAlone,
    /// Both, the failed response first.
    Both,
    /// None of them.
    Neither,
}

/// Returns the fields of the response with `status` that has the fields `failed` of its own and the content of `page`.
pub(super) fn combine(status: StatusCode, failed: &HeaderMap, page: &HeaderMap) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(page.keys_len() + 2);
    for (name, value) in failed {
        match source(name, status) {
            Source::Failed | Source::FailedAlone | Source::Both => {
                fields.append(name, value.clone());
            }
            Source::Page | Source::Neither => {}
        }
    }
    for (name, value) in page {
        match source(name, status) {
            Source::Failed if failed.contains_key(name) => {}
            Source::Both if *name == header::CACHE_CONTROL => {
                fields.extend(restrictions(value).map(|value| (name.clone(), value)));
            }
            Source::Page | Source::Failed | Source::Both => {
                fields.append(name, value.clone());
            }
            Source::FailedAlone | Source::Neither => {}
        }
    }
    fields
}

/// Returns the source of a field. As with Apache's ErrorDocument, a response keeps its fields, but for those about its
/// content, and those of the page are added.
fn source(name: &HeaderName, status: StatusCode) -> Source {
    match name.as_str() {
        // RFC 9110 §15.5.17: the length of the representation of which no part was sent.
        "content-range" if status == StatusCode::RANGE_NOT_SATISFIABLE => Source::FailedAlone,
        // RFC 9110 §8.8, §14: validators and ranges of another representation than that of the target, unlike behind
        // Apache; §10.2.2: a Location is for redirections.
        "etag" | "last-modified" | "accept-ranges" | "content-range" | "location" => {
            Source::Neither
        }
        // RFC 9110 §8; RFC 9530; Content-Security-Policy and Content-Disposition are about the content too.
        "digest" | "repr-digest" => Source::Page,
        name if name.starts_with("content-") => Source::Page,
        "cache-control" | "link" | "set-cookie" | "vary" => Source::Both,
        // RFC 9111 §4.2: the lifetime of the page is that of its own URL. RFC 9112 §9.6: so is the connection.
        "age" | "connection" | "expires" => Source::FailedAlone,
        // WWW-Authenticate, Allow, Retry-After, RateLimit and all others.
        _ => Source::Failed,
    }
}

/// Returns the directives of the page's Cache-Control that restrict its use, without its lifetime.
fn restrictions(value: &HeaderValue) -> Option<HeaderValue> {
    let directives = value.as_bytes().split(|byte| *byte == b',');
    // A comma in quotes separates names of fields, none of which is a directive.
    let restricting = directives
        .map(<[u8]>::trim_ascii)
        .filter(|directive| !directive.is_empty() && !extends_life(directive));
    let joined = restricting.collect::<Vec<_>>().join(b", ".as_slice());
    let value = HeaderValue::from_bytes(&joined).ok();
    value.filter(|value| !value.is_empty())
}

/// Reports whether a directive permits storage or reuse (RFC 9111 §5.2.2, RFC 5861, RFC 8246).
fn extends_life(directive: &[u8]) -> bool {
    let mut parts = directive.split(|byte| *byte == b'=');
    let name = parts.next().unwrap_or_default().trim_ascii();
    LIFETIMES
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

const LIFETIMES: [&[u8]; 6] = [
    b"max-age",
    b"s-maxage",
    b"public",
    b"immutable",
    b"stale-while-revalidate",
    b"stale-if-error",
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the values of the field `name` where the failed response and the page have these.
    fn combined(
        status: StatusCode,
        name: &'static str,
        [failed, page]: [&[&'static str]; 2],
    ) -> Vec<String> {
        let map = |values: &[&'static str]| -> HeaderMap {
            let values = values.iter().map(|value| HeaderValue::from_static(value));
            values
                .map(|value| (HeaderName::from_static(name), value))
                .collect()
        };
        let combined = combine(status, &map(failed), &map(page));
        let values = combined.get_all(name).iter();
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    }

    const NAMES: [(Source, &[&str]); 5] = [
        (
            Source::Failed,
            &[
                "www-authenticate",
                "proxy-authenticate",
                "allow",
                "retry-after",
                "ratelimit",
                "ratelimit-policy",
                "accept-encoding",
                "access-control-allow-origin",
                "x-any",
            ],
        ),
        (
            Source::Page,
            &[
                "content-type",
                "content-length",
                "content-language",
                "content-encoding",
                "content-location",
                "content-disposition",
                "content-security-policy",
                "repr-digest",
            ],
        ),
        (Source::FailedAlone, &["connection", "expires", "age"]),
        (Source::Both, &["set-cookie", "vary", "link"]),
        (
            Source::Neither,
            &[
                "etag",
                "last-modified",
                "accept-ranges",
                "content-range",
                "location",
            ],
        ),
    ];

    #[test]
    fn a_field_is_of_the_failure_or_of_the_page() {
        for (source, names) in NAMES {
            let expected: [&[&str]; 3] = match source {
                Source::Failed => [&["failed"], &["page"], &["failed"]],
                Source::Page => [&[], &["page"], &["page"]],
                Source::FailedAlone => [&["failed"], &[], &["failed"]],
                Source::Both => [&["failed"], &["page"], &["failed", "page"]],
                Source::Neither => [&[], &[], &[]],
            };
            for name in names {
                let found = [
                    [&["failed"][..], &[]],
                    [&[], &["page"]],
                    [&["failed"], &["page"]],
                ]
                .map(|values| combined(StatusCode::UNAUTHORIZED, name, values));
                assert_eq!(found, expected, "{name}");
            }
        }
    }

    #[test]
    fn the_length_of_an_unsatisfied_range_is_kept() {
        let values: [&[&str]; 2] = [&["bytes */9"], &["bytes 0-1/2"]];
        let of = |status| combined(status, "content-range", values);
        assert_eq!(of(StatusCode::RANGE_NOT_SATISFIABLE), ["bytes */9"]);
        assert!(of(StatusCode::NOT_FOUND).is_empty());
    }

    #[test]
    fn the_page_does_not_lengthen_the_life_of_the_response() {
        for (page, expected) in [
            ("max-age=60", None),
            ("public, Max-Age = 60, immutable", None),
            ("s-maxage=1, stale-if-error=9", None),
            (",", None),
            ("no-store", Some("no-store")),
            (
                "private, max-age=60,no-cache=\"a, b\"",
                Some("private, no-cache=\"a, b\""),
            ),
        ] {
            for failed in [&[][..], &["max-age=5"]] {
                let expected: Vec<_> = failed.iter().copied().chain(expected).collect();
                let values = [failed, &[page]];
                let found = combined(StatusCode::NOT_FOUND, "cache-control", values);
                assert_eq!(found, expected, "{page}");
            }
        }
    }
}
