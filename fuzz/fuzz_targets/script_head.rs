//! Heads that scripts print: read alike however they arrive, and what is forwarded cannot split a response.
#![no_main]

use fcgate::cgi::response::{HeadError, HeadLimits, parse, parse_from};
use fcgate::message::AnswerHead;
use fcgate_fuzz::arrivals;
use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;

/// Small enough for the fuzzer to reach.
const SMALL: HeadLimits = HeadLimits {
    bytes: 512,
    fields: 8,
};

type Read = Result<Option<(StatusCode, HeaderMap, Option<u64>, usize)>, HeadError>;

fuzz_target!(|bytes: &[u8]| {
    for limits in [SMALL, HeadLimits::default()] {
        let [_, others @ ..] = arrivals(bytes);
        let whole = comparable(parse(bytes, limits));
        for pieces in others {
            assert_eq!(incremental(&pieces, limits), whole);
        }
        match &whole {
            Ok(Some((status, headers, _, length))) => {
                assert!(*length <= limits.bytes && *length <= bytes.len());
                is_fit_to_forward(*status, headers);
            }
            Ok(None) => assert!(bytes.len() < limits.bytes),
            Err(error) => is_fit_for_a_log(&error.to_string()),
        }
    }
});

fn incremental(pieces: &[&[u8]], limits: HeadLimits) -> Read {
    let mut input = Vec::new();
    for piece in pieces {
        let scanned = input.len();
        input.extend_from_slice(piece);
        match parse_from(&input, scanned, limits) {
            Ok(None) => {}
            settled => return comparable(settled),
        }
    }
    Ok(None)
}

fn comparable(read: Result<Option<(AnswerHead, usize)>, HeadError>) -> Read {
    let read = read?;
    Ok(read.map(|(head, length)| (head.status, head.headers, head.content_length, length)))
}

fn is_fit_to_forward(status: StatusCode, headers: &HeaderMap) {
    // RFC 9110 §15.2: an interim head is one too, of which nothing is forwarded, and another follows. 101 never is: it
    // would switch the protocol.
    assert!(matches!(status.as_u16(), 100 | 102 | 103 | 200..=599));
    for (name, value) in headers {
        let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
        assert!(
            !value.as_bytes().iter().any(is_control),
            "{name}: {value:?}"
        );
    }
    // RFC 9110 §8.3: an empty one is no media type.
    assert!(
        headers
            .get("content-type")
            .is_none_or(|kind| !kind.is_empty())
    );
    // RFC 9110 §7.6.1, RFC 9112 §6: what frames a message is not the script's to say.
    for name in [
        "status",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "upgrade",
        "te",
        "trailer",
    ] {
        assert!(!headers.contains_key(name), "{name}");
    }
}

fn is_fit_for_a_log(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
    assert!(text.len() < 1000, "{} bytes", text.len());
}
