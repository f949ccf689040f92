//! Formatted lines, compared byte by byte.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use jiff::tz::TimeZone;

use super::*;
use crate::access_log::sample;
use crate::message::Wire;
use crate::message::wire::TlsFacts;

/// A parsed format with its needs.
struct Parsed {
    format: Format,
    needs: Needs,
}

fn parse(text: &str, secrets: bool) -> Result<Parsed, FormatError> {
    let mut needs = Needs::default();
    let format = Format::parse(text, secrets, &mut needs)?;
    Ok(Parsed { format, needs })
}

/// Returns a record of a request and a response with these fields.
fn record(
    format: &Parsed,
    uri: &'static str,
    request: &[(&'static str, &[u8])],
    response: &[(&'static str, &[u8])],
) -> Record {
    let mut parts = http::Request::new(()).into_parts().0;
    parts.headers = fields(request);
    let mut record = sample(uri);
    record.captured = format.needs.capture.of_request(&parts);
    let mut answer = http::Response::new(());
    *answer.headers_mut() = fields(response);
    let capture = &format.needs.capture;
    capture.of_response(&answer, &mut record.captured);
    record
}

fn fields(lines: &[(&'static str, &[u8])]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in lines {
        fields.append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    fields
}

const USUAL: [(&str, &[u8]); 2] = [
    ("referer", b"https://example.org/"),
    ("user-agent", b"curl/8"),
];

fn line(format: &Parsed, record: &Record) -> String {
    let clock = Clock::new(format.needs.times.clone(), TimeZone::UTC);
    let mut line = Vec::new();
    format.format.line(record, &clock, &mut line);
    let line = String::from_utf8(line).unwrap();
    line.strip_suffix('\n').unwrap().to_owned()
}

/// Checks the line of the sample, changed by `change`.
fn check(format: &str, change: impl Fn(&mut Record), expected: &str) {
    let format = parse(format, false).unwrap();
    let mut record = record(&format, "/a?b=c", &USUAL, &[]);
    change(&mut record);
    assert_eq!(line(&format, &record), expected);
}

#[test]
fn combined_and_common_are_apaches() {
    let same = |_: &mut Record| {};
    let common = r#"192.0.2.1 - - [25/Nov/2026:02:15:29 +0000] "GET /a?b=c HTTP/1.1" 200 1234"#;
    let combined = format!(r#"{common} "https://example.org/" "curl/8""#);
    check("common", same, common);
    check("combined", same, &combined);
    // The format of Debian's apache2.conf.
    let debian = r#"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\""#;
    check(debian, same, &combined);

    let format = parse("combined", false).unwrap();
    let mut record = record(&format, "/a?b=c", &[("user-agent", b"")], &[]);
    record.bytes = 0;
    record.protocol = "HTTP/2.0";
    assert_eq!(
        line(&format, &record),
        r#"192.0.2.1 - - [25/Nov/2026:02:15:29 +0000] "GET /a?b=c HTTP/2.0" 200 - "-" """#,
    );
}

#[test]
fn what_would_deceive_is_escaped() {
    let format = parse("\"%{User-Agent}i\"", false).unwrap();
    let agent = ("user-agent", b"a\"b\\c\td\xe4\xff ~".as_slice());
    let record = record(&format, "/", &[agent], &[]);
    assert_eq!(line(&format, &record), r#""a\"b\\c\td\xe4\xff ~""#);
}

#[test]
fn every_directive_says_what_apaches_says() {
    let fill = |record: &mut Record| {
        record.duration = Duration::from_micros(1_234_567);
        record.site = Some("main".into());
        record.handler = "fastcgi";
        record.host = "example.org:8443".to_owned();
        record.method = Method::POST;
    };
    for (format, expected) in [
        ("%a %h %A", "192.0.2.1 192.0.2.1 198.51.100.7"),
        ("%b %B %O", "1234 1234 1253"),
        ("%D %T %{s}T %{ms}T %{us}T", "1234567 1 1 1234 1234567"),
        (
            "%H %m %U %q %r",
            "HTTP/1.1 POST /a ?b=c POST /a?b=c HTTP/1.1",
        ),
        ("%l %u", "- -"),
        (
            "%L %{UNIQUE_ID}e",
            "0123456789abcdef0000000000000001 0123456789abcdef0000000000000001",
        ),
        (
            "%p %{canonical}p %{local}p %{remote}p",
            "8443 8443 8443 50123",
        ),
        ("%R %v %V", "fastcgi main example.org"),
        ("%s %<s %>s", "200 200 200"),
        ("%X", "+"),
        ("%%h 100%%", "%h 100%"),
        ("%t %{%Y-%m-%d}t", "[25/Nov/2026:02:15:29 +0000] 2026-11-25"),
        (
            "%{sec}t %{begin:msec}t %{usec}t",
            "1795572929 1795572929000 1795572929000123",
        ),
        (
            "%{msec_frac}t %{usec_frac}t %{end:usec_frac}t",
            "000 000123 234690",
        ),
        (
            "%{begin:}t %{end:%H:%M:%S}t",
            "[25/Nov/2026:02:15:29 +0000] 02:15:30",
        ),
        ("%{HTTPS}x %{scheme}x %{SSL_PROTOCOL}x", "off http -"),
        ("%200{Referer}i %!200{Referer}i", "https://example.org/ -"),
        ("%!404,500{Referer}i %404,200m", "https://example.org/ POST"),
        ("%{X-None}i %{X-None}o %{none}C", "- - -"),
        ("\\t%m\\\\", "\tPOST\\"),
    ] {
        check(format, fill, expected);
    }
    check("%P", fill, &std::process::id().to_string());
}

#[test]
fn our_own_names_are_those_of_the_object() {
    let fill = |record: &mut Record| {
        record.queue = Some(Duration::from_micros(2_500));
        record.upstream = Some("php".into());
    };
    for (format, expected) in [
        ("%{time}x", "2026-11-25T02:15:29.000123Z"),
        ("%{client}x %{host}x", "192.0.2.1 example.org"),
        (
            "%{duration_ms}x %{queue_ms}x %{connect_ms}x",
            "1.500 2.500 -",
        ),
        ("%{first_byte_ms}x %{upstream}x %{cause}x", "- php -"),
        ("%{complete}x %{handler}x %{site}x", "true none -"),
        (
            "%{request_id}x %{uri}x",
            "0123456789abcdef0000000000000001 /a?b=c",
        ),
    ] {
        check(format, fill, expected);
    }
}

#[test]
fn secrets_are_redacted_unless_asked_for() {
    let request = [
        ("authorization", b"Basic x".as_slice()),
        ("cookie", b"sid=1; lang=de"),
        ("referer", b"https://a/?token=x"),
    ];
    let response = [
        ("set-cookie", b"sid=1".as_slice()),
        ("location", b"/#access_token=x"),
    ];
    let text = "%{Authorization}i %{Cookie}i %{sid}C %{no}C %{Referer}i %{Set-Cookie}o %{Location}o %q %r %{uri}x";
    for (secrets, expected) in [
        (
            false,
            "redacted redacted redacted - https://a/?token=redacted redacted /#access_token=redacted ?pwd=redacted GET /?pwd=redacted HTTP/1.1 /?pwd=redacted",
        ),
        (
            true,
            "Basic x sid=1; lang=de 1 - https://a/?token=x sid=1 /#access_token=x ?pwd=x GET /?pwd=x HTTP/1.1 /?pwd=x",
        ),
    ] {
        let format = parse(text, secrets).unwrap();
        let record = record(&format, "/?pwd=x", &request, &response);
        assert_eq!(line(&format, &record), expected);
    }
}

#[test]
fn tls_is_told() {
    let facts = || TlsFacts {
        protocol: "TLSv1.3",
        cipher: "TLS_AES_128_GCM_SHA256",
        key_bits: "128",
        resumed: false,
        server_name: Some("a.example".to_owned()),
        client: None,
    };
    check(
        "%{HTTPS}x %{tls}x %{cipher}x %{SSL_TLS_SNI}x %{SSL_CLIENT_S_DN}x %p",
        |record| {
            let wire = Wire::clone(&record.wire);
            record.wire = Arc::new(wire.with_tls(facts()));
        },
        "on TLSv1.3 TLS_AES_128_GCM_SHA256 a.example - 443",
    );
}

#[test]
fn a_connection_that_ends_is_told_apart() {
    check("%X", |record| record.complete = false, "X");
    check("%X", |record| record.captured.persists = false, "-");
}

#[test]
fn json_tells_all() {
    let fill = |record: &mut Record| {
        record.site = Some("example.org".into());
        record.handler = "fastcgi";
        record.upstream = Some("php".into());
        record.cause = Some("TIMEOUT_IDLE");
        record.complete = false;
        record.duration = Duration::from_micros(1_234_567);
        record.queue = Some(Duration::ZERO);
        record.connect = Some(Duration::from_micros(85));
        record.acknowledge = Some(Duration::from_micros(310));
        record.first_byte = Some(Duration::from_millis(20));
    };
    let expected = [
        r#"{"time":"2026-11-25T02:15:29.000123Z","client":"192.0.2.1","host":"example.org","#,
        r#""scheme":"http","method":"GET","uri":"/a?b=c","protocol":"HTTP/1.1","status":200,"#,
        r#""bytes":1234,"complete":false,"duration_ms":1234.567,"queue_ms":0.000,"#,
        r#""connect_ms":0.085,"acknowledge_ms":0.310,"first_byte_ms":20.000,"site":"example.org","#,
        r#""handler":"fastcgi","upstream":"php","cause":"TIMEOUT_IDLE","#,
        r#""request_id":"0123456789abcdef0000000000000001","referer":"https://example.org/","#,
        r#""user_agent":"curl/8"}"#,
    ];
    check("json", fill, &expected.concat());
}

#[test]
fn json_is_valid_whatever_clients_send() {
    let format = parse("json", false).unwrap();
    let agent = ("user-agent", b"\"\\\t\xff\xc3\xa4".as_slice());
    let record = record(&format, "/", &[agent], &[]);
    let line = line(&format, &record);
    assert!(!line.contains('\n'));
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["user_agent"], "\"\\\t\u{fffd}\u{e4}");
    assert_eq!(value.get("referer"), None);
    assert_eq!(value["duration_ms"], 1.5);
}

#[test]
fn the_target_is_path_and_query() {
    for (uri, expected) in [
        ("/a?b", "/a?b"),
        ("*", "*"),
        ("http://example.org", "/"),
        ("https://example.org/a?b", "/a?b"),
    ] {
        assert_eq!(sample(uri).target(), expected, "{uri}");
    }
}

#[test]
fn what_is_no_format_is_refused_at_its_place() {
    for (text, offset, message) in [
        (
            "combind",
            0,
            "`combind` is not a log format: write \"combined\", \"common\", \"json\", or directives such as '%h %t \"%r\" %>s'",
        ),
        ("%h %Z", 3, "unknown directive `%Z`: write `%%` for a `%`"),
        ("%h %", 3, "a `%` without its letter: write `%%` for a `%`"),
        ("%h %{x", 3, "`{` has no `}`"),
        ("%i", 0, "`%i` needs a name: `%{NAME}i`"),
        ("%I", 0, "`%I` is not supported"),
        ("%{a b}i", 0, "`a b` is not the name of a field"),
        ("é %{x}b", 3, "`%{x}b` is not known: write `%b`"),
        (
            "%{min}T",
            0,
            "`%{min}T` is not known: known units are s, ms and us",
        ),
        ("%{c}a", 0, "`%{c}a` is not known: write `%a`"),
        ("%700m", 0, "700 is not a status"),
        ("%m\n", 2, "a format cannot have line breaks"),
        ("%m\\n", 2, "a format cannot have line breaks"),
        ("%m\\x", 2, "`\\` must precede `\"`, `\\` or `t`"),
    ] {
        let error = parse(text, false).map(|_| ()).unwrap_err();
        assert_eq!(
            (error.message.as_str(), error.offset),
            (message, offset),
            "{text}"
        );
    }
    let error = parse("%{queue}x", false).map(|_| ()).unwrap_err();
    assert!(error.message.contains("queue_ms"), "{error}");
}
