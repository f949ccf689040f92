//! Heads as scripts print them, well and badly.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn head(text: &[u8]) -> AnswerHead {
    let (head, length) = parse(text, HeadLimits::default()).unwrap().unwrap();
    assert_eq!(length, text.len(), "{}", excerpt(text));
    head
}

fn refused(text: &[u8]) -> HeadError {
    parse(text, HeadLimits::default()).unwrap_err()
}

/// Returns the forwarded fields, one per line, sorted by name; repeated ones in their order.
fn forwarded(text: &str) -> Vec<String> {
    let head = head(text.as_bytes());
    let mut fields: Vec<_> = head.headers.iter().collect();
    fields.sort_by_key(|(name, _)| name.as_str());
    let line = |(name, value): (&HeaderName, &HeaderValue)| {
        format!("{name}: {}", value.as_bytes().escape_ascii())
    };
    fields.into_iter().map(line).collect()
}

#[test]
fn a_head_ends_at_its_empty_line() {
    let check = |text: &str, expected: Option<usize>| {
        let parsed = parse(text.as_bytes(), HeadLimits::default()).unwrap();
        assert_eq!(parsed.map(|(_, length)| length), expected, "{text:?}");
    };
    check("A: b\r\n\r\nbody\r\n\r\n", Some(8));
    check("A: b\n\nbody", Some(6));
    check("A: b\r\n\nbody", Some(7));
    check("A: b\n\r\nbody", Some(7));
    check("A: b\r\nC: d\n\n", Some(12));
    // PHP with expose_php off and an empty default_mimetype.
    check("\r\nbody", Some(2));
    check("\n\n", Some(1));
    check("", None);
    check("\r", None);
    check("A: b", None);
    check("A: b\r\n", None);
    check("A: b\r\n\r", None);
    check("no colon yet", None);
}

#[test]
fn status_is_read_and_not_forwarded() {
    let check = |text: &str, expected: u16| {
        let head = head(text.as_bytes());
        assert_eq!(head.status.as_u16(), expected, "{text:?}");
        assert!(!head.headers.contains_key("status"));
    };
    check("A: b\n\n", 200);
    check("\n", 200);
    check("Status: 404 Not Found\n\n", 404);
    check("status:404\n\n", 404);
    check("STATUS:\t 599 \n\n", 599);
    check("Status: 403Forbidden\n\n", 403);
    check("Status: 200\nStatus: 200 OK\n\n", 200);
    check("Location: /a\n\n", 302);
    check("Location: /a\nStatus: 201\n\n", 201);
    check("Status: 200 OK\nLocation: /a\n\n", 200);
    check("Connection: location\nLocation: /a\n\n", 200);
}

#[test]
fn a_reason_is_kept_that_is_not_the_usual_one() {
    let check = |text: &str, expected: Option<&str>| {
        let head = head(text.as_bytes());
        let reason = head.reason.as_ref().map(|reason| reason.as_bytes());
        assert_eq!(reason, expected.map(str::as_bytes), "{text:?}");
    };
    check("A: b\n\n", None);
    check("Status: 404\n\n", None);
    check("Status: 404 \n\n", None);
    check("Status: 404 Not Found\n\n", None);
    check("Status: 404 No such page\n\n", Some("No such page"));
    check("Status: 404\tnot found \n\n", Some("not found"));
    check("Status: 599 So it goes\n\n", Some("So it goes"));
    check("Status: 403Forbidden\n\n", None);
    check("Status: 200 \u{fc}ber\n\n", Some("\u{fc}ber"));
    check("Status: 200 a\nStatus: 200 b\n\n", Some("b"));
    check("Location: /a\n\n", None);
}

#[test]
fn a_status_that_cannot_be_final_is_refused() {
    let invalid = |value: &str| {
        let error = refused(format!("Status: {value}\n\n").as_bytes());
        assert_eq!(error, HeadError::InvalidStatus(format!("Status: {value}")));
    };
    for value in [
        "", "20", "2x0", "OK", "000", "099", "600", "999", "2000", "-20", "+200",
    ] {
        invalid(value);
    }
    for value in ["101 Switching Protocols", "104", "199"] {
        let error = refused(format!("Status: {value}\n\n").as_bytes());
        assert_eq!(error, HeadError::Informational(format!("Status: {value}")));
    }
    let contradiction = refused(b"Status: 200\nStatus: 404\n\n");
    assert_eq!(
        contradiction,
        HeadError::InvalidStatus("Status: 404".into())
    );
}

#[test]
fn fields_are_forwarded() {
    let check = |text: &str, expected: &[&str]| assert_eq!(forwarded(text), expected, "{text:?}");
    check(
        "X-Powered-By:PHP/8.2\r\nContent-type: text/html; charset=UTF-8\r\n\r\n",
        &[
            "content-type: text/html; charset=UTF-8",
            "x-powered-by: PHP/8.2",
        ],
    );
    check("A:  \t one \ttwo \t \r\n\r\n", &["a: one \\ttwo"]);
    check("A:\nB: \n\n", &["a: ", "b: "]);
    check("A: b:c\n\n", &["a: b:c"]);
    check("Content-type: \r\nA: b\r\n\r\n", &["a: b"]);
    check(
        "Set-Cookie: a=1\nX: y\nSet-Cookie: b=2\nset-cookie: a=1\n\n",
        &[
            "set-cookie: a=1",
            "set-cookie: b=2",
            "set-cookie: a=1",
            "x: y",
        ],
    );
    check(
        "Date: then\nServer: mine\nDate: now\nServer: other\n\n",
        &["date: then", "server: mine"],
    );
    assert_eq!(
        head(b"A: \xfc\xff\x80\n\n").headers["a"].as_bytes(),
        b"\xfc\xff\x80"
    );
}

#[test]
fn of_what_has_one_value_the_last_is_sent() {
    for name in [
        "content-type",
        "location",
        "etag",
        "last-modified",
        "content-range",
    ] {
        let text = format!("{name}: a\nX: y\n{}: b\n\n", name.to_uppercase());
        assert_eq!(
            forwarded(&text),
            [format!("{name}: b"), "x: y".into()],
            "{name}"
        );
    }
}

#[test]
fn an_empty_content_type_is_not_sent() {
    let check = |text: &str, expected: &[&str]| assert_eq!(forwarded(text), expected, "{text:?}");
    check("Content-Type:\n\n", &[]);
    check("Content-Type: a/b\nContent-type: \t \n\n", &[]);
    check(
        "Content-Type:\nContent-Type: a/b\n\n",
        &["content-type: a/b"],
    );
}

#[test]
fn hop_by_hop_fields_are_dropped() {
    let check = |text: &str, expected: &[&str]| assert_eq!(forwarded(text), expected, "{text:?}");
    check(
        "Connection: close\nKeep-Alive: timeout=5\nProxy-Connection: close\nTE: trailers\n\
         Trailer: A\nTransfer-Encoding: chunked\nUpgrade: h2c\nX: y\n\n",
        &["x: y"],
    );
    check(
        "A: 1\nConnection: a , , B\t,/\nB: 2\nC: 3\nA: 4\n\n",
        &["c: 3"],
    );
    check("Connection: content-length\nContent-Length: 5\n\n", &[]);
}

#[test]
fn content_length_is_the_last_one_where_it_is_a_number() {
    let check = |values: &[&str], expected: Option<u64>| {
        let mut text = String::new();
        for value in values {
            text += &format!("Content-Length: {value}\r\n");
        }
        let head = head((text + "\r\n").as_bytes());
        assert_eq!(head.content_length, expected, "{values:?}");
        assert!(head.headers.is_empty());
    };
    check(&[], None);
    check(&["0"], Some(0));
    check(&[" 0123 "], Some(123));
    check(&["18446744073709551615"], Some(u64::MAX));
    check(&["18446744073709551616"], None);
    check(&["5", "5", "5"], Some(5));
    check(&["5", "05"], Some(5));
    check(&["5", "6"], Some(6));
    check(&["5", "6", "5"], Some(5));
    check(&["5", "x"], None);
    check(&["x", "5"], Some(5));
    for value in ["", "+5", "-5", "5, 5", "5 5", "0x5", "5.0", "\u{665}"] {
        check(&[value], None);
    }
}

#[test]
fn malformed_lines_are_refused() {
    let check = |text: &[u8], expected: fn(String) -> HeadError, line: &str| {
        assert_eq!(refused(text), expected(line.into()), "{}", excerpt(text));
    };
    check(b"A: b\nWarning\n\n", HeadError::NoColon, "Warning");
    check(
        b"HTTP/1.1 200 OK\r\n\r\n",
        HeadError::NoColon,
        "HTTP/1.1 200 OK",
    );
    check(b"A: b\r\n c: d\r\n\r\n", HeadError::Folded, " c: d");
    check(b"\tA: b\n\n", HeadError::Folded, "\\tA: b");
    check(b" \n\n", HeadError::Folded, " ");
    check(b": b\n\n", HeadError::InvalidName, ": b");
    check(b"A : b\n\n", HeadError::InvalidName, "A : b");
    check(b"A\0: b\n\n", HeadError::InvalidName, "A\\x00: b");
    check(b"A\rB: c\n\n", HeadError::InvalidName, "A\\rB: c");
    check(b"\xfc: b\n\n", HeadError::InvalidName, "\\xfc: b");
    check(
        b"A: b\rSet-Cookie: c\n\n",
        HeadError::InvalidValue,
        "A: b\\rSet-Cookie: c",
    );
    check(b"A: b\r\r\n\r\n", HeadError::InvalidValue, "A: b\\r");
    check(b"A: \0\n\n", HeadError::InvalidValue, "A: \\x00");
    check(b"A: \x1b[2J\n\n", HeadError::InvalidValue, "A: \\x1b[2J");
    check(b"A: \x7f\n\n", HeadError::InvalidValue, "A: \\x7f");
}

#[test]
fn every_control_character_but_tab_is_refused() {
    for byte in (0..=u8::MAX).filter(|&byte| byte != b'\n') {
        let result = parse(
            &[b'A', b':', b'x', byte, b'y', b'\n', b'\n'],
            HeadLimits::default(),
        );
        assert_eq!(
            result.is_err(),
            byte.is_ascii_control() && byte != b'\t',
            "{byte}"
        );
    }
}

#[test]
fn an_error_shows_at_most_80_bytes() {
    let HeadError::NoColon(line) = refused(&[&[0xff; 500], &b"\n\n"[..]].concat()) else {
        panic!("expected NoColon");
    };
    assert_eq!(line, "\\xff".repeat(20));
}

#[test]
fn limits_hold_to_the_byte_and_the_field() {
    let check = |bytes: usize, fields: usize, expected: Option<Limit>| {
        let result = parse(
            b"A: b\nCc: dd\nEe: 1234\n\nbody",
            HeadLimits { bytes, fields },
        );
        match (result, expected) {
            (Ok(head), None) => assert_eq!(head.unwrap().1, 22),
            (Err(HeadError::TooLarge { limit, .. }), Some(expected)) => assert_eq!(limit, expected),
            (result, _) => panic!("{bytes} {fields}: {result:?}"),
        }
    };
    check(22, 3, None);
    check(21, 3, Some(Limit::Bytes(21)));
    check(22, 2, Some(Limit::Fields(2)));
    check(0, 0, Some(Limit::Bytes(0)));
}

#[test]
fn so_many_fields_fit_and_more_are_named() {
    let fields = |count: usize| {
        (0..count)
            .map(|n| format!("X-{n}: {n}\r\n"))
            .collect::<String>()
    };
    let text = fields(1000) + "\r\n";
    assert_eq!(head(text.as_bytes()).headers.len(), 1000);

    let text = format!(
        "Big: {}\nBigger: {}\n{}\n",
        "b".repeat(20),
        "b".repeat(30),
        fields(999)
    );
    assert_eq!(
        refused(text.as_bytes()).to_string(),
        "the script's head is over the limit of 1000 fields (server.limits.answer_fields); biggest fields: \
         Bigger (38 bytes), Big (25 bytes), X-100 (10 bytes)"
    );
}

#[test]
fn a_head_without_end_is_refused_at_the_limit() {
    let mut text = b"Set-Cookie: ".to_vec();
    text.resize(65_535, b'x');
    assert!(parse(&text, HeadLimits::default()).unwrap().is_none());
    text.push(b'x');
    assert_eq!(
        refused(&text).to_string(),
        "the script's head is over the limit of 65536 bytes (server.limits.answer_head); biggest fields: Set-Cookie (65536 bytes)"
    );
}

#[test]
fn a_map_takes_the_most_fields_that_count() {
    let limits = HeadLimits {
        bytes: usize::MAX,
        fields: usize::MAX,
    };
    let parse_fields = |count: usize| {
        let text: String = (0..count).map(|n| format!("{n}:\n")).collect();
        parse((text + "\n").as_bytes(), limits).map(|head| head.unwrap().0.headers.len())
    };
    assert_eq!(parse_fields(16_384), Ok(16_384));
    let error = parse_fields(16_385).unwrap_err();
    assert!(matches!(
        error,
        HeadError::TooLarge {
            limit: Limit::Fields(16_384),
            ..
        }
    ));
}

/// Generates texts that look like heads: mostly well-formed, often not.
fn headlike() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("\r\n".to_owned()),
        Just("\n".to_owned()),
        Just("Status: 200\n".to_owned()),
        Just("Connection: a, x-b\n".to_owned()),
        "[Ss]tatus: ?[0-9]{2,4}( OK)?\r?\n",
        "Content-Length: [0-9x]{0,3}\r?\n",
        "[a-zA-Z-]{1,8}:[ \t]?[ -~]{0,12}\r?\n",
        "[\\x00-\\x7f]{0,6}",
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn where_the_input_is_cut_does_not_matter(text in headlike(), at: prop::sample::Index, bytes in 0_usize..80) {
        let limits = HeadLimits { bytes, fields: 4 };
        let cut = at.index(text.len() + 1);
        let described = |result: Result<Option<(AnswerHead, usize)>, HeadError>| {
            result.map(|head| head.map(|(head, length)| (format!("{head:?}"), length)))
        };
        let whole = described(parse(&text, limits));
        match described(parse(&text[..cut], limits)) {
            Ok(None) => prop_assert_eq!(described(parse_from(&text, cut, limits)), whole),
            settled => prop_assert_eq!(settled, whole),
        }
    }

    #[test]
    fn a_well_formed_head_is_read_only_when_complete(
        fields in vec(("x-[a-z0-9]{1,8}", "([!-~]([ -~]{0,20}[!-~])?)?"), 0..20),
        line_end in prop_oneof![Just("\n"), Just("\r\n")],
        body in vec(any::<u8>(), 0..20),
    ) {
        let lines = fields.iter().map(|(name, value)| format!("{name}: {value}{line_end}"));
        let text = lines.collect::<String>() + line_end;
        for cut in 0..text.len() {
            prop_assert!(parse(&text.as_bytes()[..cut], HeadLimits::default()).unwrap().is_none());
        }
        let input = [text.as_bytes(), &body[..]].concat();
        let (head, length) = parse(&input, HeadLimits::default()).unwrap().unwrap();
        prop_assert_eq!(length, text.len());
        prop_assert_eq!(head.headers.len(), fields.len());
        for (name, _) in &fields {
            let sent: Vec<_> = fields.iter().filter(|field| field.0 == *name).map(|field| &field.1[..]).collect();
            let read: Vec<_> = head.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
            prop_assert_eq!(sent, read);
        }
    }

    #[test]
    fn random_bytes_never_panic(text in vec(any::<u8>(), 0..200), scanned in 0_usize..300) {
        let _ = parse(&text, HeadLimits::default());
        let _ = parse_from(&[&text[..], b"\n\n"].concat(), scanned, HeadLimits::default());
    }
}
