//! Choice of the coding, and the fields of coded answers.

use std::io::Read;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::{Compress, Memory, Negotiation, has_directive, vary};
use crate::handler::coded::Encoders;
use crate::handler::share::Share;
use crate::handler::{Body, Maker};
use crate::limits::budget::{Budget, Owner, Party, SiteKey};
use crate::section::{FileId, Lowered, Place, Problems};

type Pairs<'a> = &'a [(&'static str, &'a str)];

fn fields(pairs: Pairs<'_>) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in pairs {
        let value = HeaderValue::from_str(value).unwrap();
        fields.append(HeaderName::from_static(name), value);
    }
    fields
}

fn lower(text: &str) -> (Lowered, Problems) {
    let table = toml::de::DeTable::parse(text).unwrap();
    let place = Place {
        file: FileId(0),
        span: 0..0,
    };
    let mut problems = Problems::default();
    let lowered = super::COMPRESS.lower(table.get_ref(), place, &|_| None, &mut problems);
    (lowered, problems)
}

fn settings(text: &str) -> Arc<Compress> {
    let (lowered, mut problems) = lower(text);
    let compress = Compress::build(&lowered, &mut problems);
    assert!(problems.is_empty(), "{text}");
    Arc::new(compress)
}

/// Returns text that any coding makes smaller.
fn text() -> Vec<u8> {
    (0..400)
        .flat_map(|line| format!("line {line} of a page\n").into_bytes())
        .collect()
}

struct Asked {
    method: Method,
    fields: HeaderMap,
    maker: Maker,
}

impl Asked {
    fn get(pairs: Pairs<'_>) -> Self {
        Self {
            method: Method::GET,
            fields: fields(pairs),
            maker: Maker::File,
        }
    }

    fn answered(self, config: &str, status: u16, answer: Pairs<'_>) -> (Response<Body>, HeaderMap) {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = self.method;
        parts.headers = self.fields;
        let negotiation = Negotiation::from_request(Some(&settings(config)), &mut parts).unwrap();
        let mut response = Response::new(Body::bytes(text()).by(self.maker));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        *response.headers_mut() = fields(answer);
        if parts.method == Method::HEAD {
            response.body_mut().discard();
        }
        let memory = Memory {
            encoders: &Encoders::default(),
            share: Share {
                budget: &Arc::new(Budget::new(64 << 20)),
                owner: Owner {
                    party: Party::Connection(1),
                    site: SiteKey::default(),
                },
            },
        };
        let response = match negotiation.choose(&mut response) {
            Some(coding) => {
                let coded = negotiation.encode(coding, response).run(memory);
                futures_util::FutureExt::now_or_never(coded).unwrap()
            }
            None => response,
        };
        (response, parts.headers)
    }
}

fn coding(response: &Response<Body>) -> Option<&str> {
    let value = response.headers().get("content-encoding")?;
    value.to_str().ok()
}

fn field<'a>(fields: &'a HeaderMap, name: &str) -> Option<&'a str> {
    fields.get(name)?.to_str().ok()
}

const HTML: (&str, &str) = ("content-type", "text/html; charset=utf-8");
const GZIP: (&str, &str) = ("accept-encoding", "gzip");

#[test]
fn a_coded_answer_has_the_fields_of_its_coding() {
    let answer = [
        HTML,
        ("etag", "\"a\""),
        ("accept-ranges", "bytes"),
        ("vary", "Origin"),
    ];
    let (response, _) = Asked::get(&[GZIP]).answered("", 200, &answer);
    let fields = response.headers();
    assert_eq!(coding(&response), Some("gzip"));
    assert_eq!(field(fields, "etag"), Some("\"a~gzip\""));
    assert_eq!(field(fields, "vary"), Some("Origin, Accept-Encoding"));
    assert_eq!(field(fields, "accept-ranges"), None);
    let whole = response.body().whole().unwrap();
    assert_eq!(
        field(fields, "content-length"),
        Some(whole.len().to_string().as_str())
    );
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(whole.as_ref())
        .read_to_end(&mut plain)
        .unwrap();
    assert_eq!(plain, text());
}

/// Accept-Encoding, status and fields of the answer, and its coding.
const CASES: [(&str, u16, Pairs<'_>, Option<&str>); 20] = [
    ("br, gzip", 200, &[HTML], Some("br")),
    ("zstd", 404, &[HTML], Some("zstd")),
    ("", 200, &[HTML], None),
    ("gzip;q=0", 200, &[HTML], None),
    ("gzip", 200, &[("content-type", "image/png")], None),
    (
        "gzip",
        200,
        &[("content-type", "image/svg+xml")],
        Some("gzip"),
    ),
    ("gzip", 200, &[("content-type", "TEXT/PLAIN")], Some("gzip")),
    ("gzip", 200, &[("content-type", "text/event-stream")], None),
    ("gzip", 200, &[], None),
    ("gzip", 200, &[HTML, HTML], None),
    ("gzip", 206, &[HTML], None),
    ("gzip", 204, &[HTML], None),
    ("gzip", 200, &[HTML, ("content-range", "bytes 0-1/2")], None),
    ("gzip", 200, &[HTML, ("content-encoding", "br")], Some("br")),
    // RFC 9110 §5.6.1.2: a list without a member names no coding.
    ("gzip", 200, &[HTML, ("content-encoding", "")], Some("gzip")),
    (
        "gzip",
        200,
        &[HTML, ("cache-control", "a, No-Transform")],
        None,
    ),
    (
        "gzip",
        200,
        &[HTML, ("content-digest", "sha-256=:x:")],
        None,
    ),
    ("gzip", 200, &[HTML, ("content-length", "1023")], None),
    (
        "gzip, identity;q=0",
        200,
        &[HTML, ("content-length", "9")],
        Some("gzip"),
    ),
    (
        "gzip",
        200,
        &[HTML, ("content-length", "1024")],
        Some("gzip"),
    ),
];

#[test]
fn the_coding_depends_on_request_and_answer() {
    for (accepts, status, answer, expected) in CASES {
        let asked = Asked::get(&[("accept-encoding", accepts)]);
        let (response, _) = asked.answered("", status, answer);
        assert_eq!(coding(&response), expected, "{accepts} {answer:?} {status}");
    }
    let asked = Asked::get(&[GZIP, ("cache-control", "no-transform")]);
    assert_eq!(coding(&asked.answered("", 200, &[HTML]).0), None);
}

#[test]
fn vary_is_sent_without_a_coding_too() {
    let plain = Asked::get(&[]).answered("", 200, &[HTML]).0;
    assert_eq!(field(plain.headers(), "vary"), Some("Accept-Encoding"));
    let image = Asked::get(&[GZIP])
        .answered("", 200, &[("content-type", "image/png")])
        .0;
    assert_eq!(field(image.headers(), "vary"), None);
    for known in ["*", "accept-encoding", "a, Accept-Encoding , b"] {
        let mut fields = fields(&[("vary", known)]);
        vary(&mut fields);
        assert_eq!(field(&fields, "vary"), Some(known));
    }
}

/// Checks an answer with `scripts = "guarded"`, "all" and "none".
#[track_caller]
fn check_guard(maker: Maker, asked: Pairs<'_>, answer: Pairs<'_>, expected: [bool; 3]) {
    for (word, expected) in ["guarded", "all", "none"].iter().zip(expected) {
        let request = Asked {
            maker,
            ..Asked::get(asked)
        };
        let config = format!("scripts = \"{word}\"");
        let response = request.answered(&config, 200, answer).0;
        assert_eq!(
            coding(&response).is_some(),
            expected,
            "{word} {maker:?} {asked:?} {answer:?}"
        );
        assert_eq!(response.body().maker(), maker, "in a coding too");
    }
}

const COOKIE: (&str, &str) = ("cookie", "a=b");
const SETS: (&str, &str) = ("set-cookie", "a=b");

#[test]
fn personal_answers_are_coded_for_pages_of_the_site_alone() {
    let own = ("sec-fetch-site", "same-origin");
    let other = ("sec-fetch-site", "cross-site");
    let public = ("cache-control", "public, max-age=60");
    let no_store = ("cache-control", "no-store");
    let cases: [(Pairs<'_>, Pairs<'_>, [bool; 3]); 7] = [
        (&[GZIP], &[HTML], [true, true, false]),
        (&[GZIP, COOKIE], &[HTML], [false, true, false]),
        (&[GZIP, COOKIE, own], &[HTML, SETS], [true, true, false]),
        (&[GZIP, COOKIE, other], &[HTML], [false, true, false]),
        (&[GZIP, COOKIE], &[HTML, public], [true, true, false]),
        (&[GZIP], &[HTML, SETS], [false, true, false]),
        (&[GZIP, other], &[HTML, no_store], [false, true, false]),
    ];
    for (asked, answer, expected) in cases {
        check_guard(Maker::Script, asked, answer, expected);
    }
}

#[test]
fn answers_without_a_script_are_coded_unless_they_are_marked_personal() {
    for maker in [Maker::Gateway, Maker::Rule, Maker::File] {
        check_guard(maker, &[GZIP], &[HTML], [true; 3]);
        check_guard(maker, &[GZIP, COOKIE], &[HTML], [true; 3]);
        check_guard(maker, &[GZIP], &[HTML, SETS], [false, true, true]);
    }
}

#[test]
fn tags_are_plain_for_the_handler_and_coded_for_the_client() {
    let asked = [
        GZIP,
        ("if-none-match", "\"a~gzip\", \"b~br\""),
        ("if-match", "\"c~gzip\""),
        ("if-range", "\"d~gzip\""),
    ];
    let answer = [("etag", "W/\"a\"")];
    let (response, seen) = Asked::get(&asked).answered("", 304, &answer);
    assert_eq!(field(&seen, "if-none-match"), Some("\"a\", \"b~br\""));
    assert_eq!(field(&seen, "if-match"), Some("\"c\""));
    assert_eq!(field(&seen, "if-range"), Some("\"d~gzip\""));
    assert_eq!(field(response.headers(), "etag"), Some("W/\"a~gzip\""));
    assert_eq!(field(response.headers(), "vary"), Some("Accept-Encoding"));
    // A client that has it without a coding gets the plain tag.
    let plain = Asked::get(&[GZIP, ("if-none-match", "\"a\"")])
        .answered("", 304, &answer)
        .0;
    assert_eq!(field(plain.headers(), "etag"), Some("W/\"a\""));
}

#[test]
fn a_part_and_a_304_have_the_vary_of_the_whole() {
    let png = ("content-type", "image/png");
    for (answer, expected) in [(HTML, Some("Accept-Encoding")), (png, None)] {
        for status in [200, 206, 304, 404] {
            let (response, _) = Asked::get(&[GZIP]).answered("", status, &[answer]);
            let vary = field(response.headers(), "vary");
            assert_eq!(vary, expected, "{status} {answer:?}");
        }
    }
}

#[test]
fn head_has_the_fields_of_get() {
    for (length, expected) in [
        (Some("9000"), Some("gzip")),
        (Some("9"), None),
        (None, None),
    ] {
        let mut answer = vec![HTML, ("etag", "\"a\"")];
        answer.extend(length.map(|length| ("content-length", length)));
        let asked = Asked {
            method: Method::HEAD,
            ..Asked::get(&[GZIP])
        };
        let response = asked.answered("", 200, &answer).0;
        assert_eq!(coding(&response), expected, "{length:?}");
        let kept = length.filter(|_| expected.is_none());
        assert_eq!(field(response.headers(), "content-length"), kept);
    }
}

#[test]
fn settings_are_read() {
    let compress = settings("types = [\"text/*\", \"*+json\", \"Font/TTF\"]\nminimum = \"2KiB\"");
    for (kind, included) in [
        ("text/x-anything", true),
        ("application/ld+json; charset=utf-8", true),
        ("font/ttf", true),
        ("font/woff2", false),
        ("text/event-stream;charset=utf-8", false),
        ("", false),
    ] {
        assert_eq!(
            compress.includes(&HeaderValue::from_static(kind)),
            included,
            "{kind}"
        );
    }
    assert_eq!(compress.minimum, 2048);
    let (lowered, mut problems) = lower("codings = [\"deflate\"]");
    Compress::build(&lowered, &mut problems);
    assert!(!problems.is_empty());
}

#[test]
fn directives_may_have_arguments() {
    let fields = fields(&[
        ("cache-control", "max-age=1"),
        ("cache-control", "private=\"x\", b"),
    ]);
    assert!(has_directive(&fields, &["private"]) && has_directive(&fields, &["nothing", "b"]));
    assert!(!has_directive(&fields, &["max"]));
}
