//! Lines, to the byte.

use super::*;
use crate::access_log::sample;

fn check(format: Format, record: &Record, expected: &str) {
    let out = Formatter::new(format, TimeZone::UTC).line(record);
    assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"));
}

#[test]
fn combined_is_apaches() {
    let mut record = sample("/a?b=c");
    check(
        Format::Combined,
        &record,
        r#"192.0.2.1 - - [25/Nov/2026:02:15:29 +0000] "GET /a?b=c HTTP/1.1" 200 1234 "https://example.org/" "curl/8""#,
    );
    record.bytes = 0;
    record.referer = None;
    record.user_agent = Some(HeaderValue::from_static(""));
    record.protocol = "HTTP/2.0";
    check(
        Format::Combined,
        &record,
        r#"192.0.2.1 - - [25/Nov/2026:02:15:29 +0000] "GET /a?b=c HTTP/2.0" 200 - "-" """#,
    );
}

#[test]
fn combined_escapes_what_would_deceive() {
    let mut record = sample("/");
    record.user_agent = Some(HeaderValue::from_bytes(b"a\"b\\c\td\xe4\xff ~").unwrap());
    check(
        Format::Combined,
        &record,
        r#"192.0.2.1 - - [25/Nov/2026:02:15:29 +0000] "GET / HTTP/1.1" 200 1234 "https://example.org/" "a\"b\\c\td\xe4\xff ~""#,
    );
    let mut out = Vec::new();
    escape(b"\0\x08\x0b\x1b\x7f\r\n", &mut out);
    assert_eq!(out, br"\x00\b\v\x1b\x7f\r\n");
}

#[test]
fn the_zone_is_local_and_the_second_is_kept() {
    let zone = TimeZone::fixed(jiff::tz::offset(-3));
    let formatter = Formatter::new(Format::Combined, zone);
    let check = |time, expected: &str| {
        formatter.with_second(time, |second, _| assert_eq!(second, expected));
    };
    for (second, expected, latest) in [
        (1_795_572_929, "[24/Nov/2026:23:15:29 -0300]", 1_795_572_929),
        (1_795_572_929, "[24/Nov/2026:23:15:29 -0300]", 1_795_572_929),
        (1_795_572_930, "[24/Nov/2026:23:15:30 -0300]", 1_795_572_930),
        (1_795_572_929, "[24/Nov/2026:23:15:29 -0300]", 1_795_572_930),
    ] {
        check(UNIX_EPOCH + Duration::from_secs(second), expected);
        assert_eq!(formatter.latest.load().since_epoch, latest);
    }
    check(
        UNIX_EPOCH - Duration::from_secs(1),
        "[31/Dec/1969:21:00:00 -0300]",
    );
    check(
        UNIX_EPOCH + Duration::from_secs(1 << 50),
        "[31/Dec/1969:21:00:00 -0300]",
    );
}

#[test]
fn json_tells_all() {
    let mut record = sample("/a");
    record.site = Some("example.org".into());
    record.handler = "fastcgi";
    record.upstream = Some("php".into());
    record.cause = Some("TIMEOUT_IDLE");
    record.complete = false;
    record.duration = Duration::from_micros(1_234_567);
    record.queue = Some(Duration::ZERO);
    record.connect = Some(Duration::from_micros(85));
    record.first_byte = Some(Duration::from_millis(20));
    let expected = [
        r#"{"time":"2026-11-25T02:15:29.000123Z","client":"192.0.2.1","host":"example.org","#,
        r#""method":"GET","uri":"/a","protocol":"HTTP/1.1","status":200,"bytes":1234,"#,
        r#""complete":false,"duration_ms":1234.567,"queue_ms":0.000,"connect_ms":0.085,"#,
        r#""first_byte_ms":20.000,"site":"example.org","handler":"fastcgi","upstream":"php","#,
        r#""cause":"TIMEOUT_IDLE","referer":"https://example.org/","user_agent":"curl/8","#,
        r#""request_id":"0123456789abcdef00000001"}"#,
    ];
    check(Format::Json, &record, &expected.concat());
}

#[test]
fn json_is_valid_whatever_clients_send() {
    let mut record = sample("/");
    record.referer = None;
    record.user_agent = Some(HeaderValue::from_bytes(b"\"\\\t\xff\xc3\xa4").unwrap());
    let out = Formatter::new(Format::Json, TimeZone::UTC).line(&record);
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
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
