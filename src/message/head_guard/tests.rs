//! The head guard on the corpus, at its bounds, and on any bytes in any pieces.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

#[path = "../../../tests/corpus/http1.rs"]
mod corpus;

use corpus::{Outcome, cases};

const BOUNDS: Bounds = Bounds {
    request_line: 8 * 1024,
    field_line: 16 * 1024,
    head: 64 * 1024,
    fields: 100,
};

/// Result of feeding bytes to a guard.
#[derive(Debug, PartialEq, Eq)]
struct Judged {
    passed: Vec<u8>,
    heads: usize,
    in_content: bool,
    refusal: Option<Refusal>,
}

/// Feeds the pieces to a new guard.
fn judge<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Judged {
    let mut guard = HeadGuard::new(BOUNDS);
    let (mut passed, mut held) = (Vec::new(), Vec::new());
    let mut refusal = None;
    for piece in pieces {
        held.extend_from_slice(piece);
        while refusal.is_none() {
            match guard.judge(&mut held) {
                Verdict::More => break,
                Verdict::Refuse(found) => refusal = Some(found),
                Verdict::Pass(count) => {
                    assert!(count > 0);
                    passed.extend(held.drain(..count));
                }
            }
        }
    }
    Judged {
        passed,
        heads: guard.heads(),
        in_content: guard.is_in_content(),
        refusal,
    }
}

fn refusal(bytes: impl AsRef<[u8]>) -> Option<Refusal> {
    judge([bytes.as_ref()]).refusal
}

#[test]
fn the_corpus_is_judged_by_the_letter() {
    let cases = cases();
    assert!(cases.len() >= 150, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let judged = judge([&case.bytes[..]]);
        let outcome = match judged.refusal {
            Some(refusal) => Outcome::Refused(refusal.status().as_u16(), refusal.code()),
            None if judged.in_content || judged.passed.len() < case.bytes.len() => {
                Outcome::Served(usize::MAX)
            }
            None => Outcome::Served(judged.heads),
        };
        let expected = match case.outcome {
            Outcome::Answered(_) => Outcome::Served(1),
            expected @ (Outcome::Served(_) | Outcome::Refused(..)) => expected,
        };
        if outcome != expected {
            wrong.push((
                case.section,
                String::from_utf8_lossy(&case.bytes).into_owned(),
                outcome,
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_byte_of_a_bad_head_passes() {
    let good = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let bad = b"\r\nGET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n";
    let judged = judge([&good[..], bad]);
    assert_eq!((&judged.passed[..], judged.heads), (&good[..], 1));
    assert_eq!(judged.refusal, Some(Refusal::FieldName));
}

#[test]
fn a_newer_minor_version_is_rewritten_and_nothing_else() {
    let judged = judge([b"\r\nGET /1.7 HTTP/1.7\r\nHost: 1.7\r\n\r\n".as_slice()]);
    assert_eq!(judged.passed, b"\r\nGET /1.7 HTTP/1.1\r\nHost: 1.7\r\n\r\n");
}

#[test]
fn what_is_too_long_is_refused_to_the_byte() {
    let line = |length: usize| {
        let target = "a".repeat(length - "GET / HTTP/1.1\r\n".len());
        format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n")
    };
    assert_eq!(refusal(line(8192)), None);
    assert_eq!(refusal(line(8193)), Some(Refusal::RequestLineTooLong));

    let get = "GET / HTTP/1.1\r\n";
    let field = |length: usize| format!("X:{}\r\n", "a".repeat(length - "X:\r\n".len()));
    assert_eq!(refusal(format!("{get}{}\r\n", field(16_384))), None);
    let too_long = Some(Refusal::FieldTooLong);
    assert_eq!(refusal(format!("{get}{}\r\n", field(16_385))), too_long);

    let rest = 65_536 - get.len() - 4 * 16_000 - "\r\n".len();
    let head = |last| format!("{get}{}{}\r\n", field(16_000).repeat(4), field(last));
    assert_eq!(refusal(head(rest)), None);
    assert_eq!(refusal(head(rest + 1)), Some(Refusal::HeadTooLarge));

    let fields = |count| format!("{get}{}\r\n", "X: a\r\n".repeat(count));
    assert_eq!(refusal(fields(100)), None);
    assert_eq!(refusal(fields(101)), Some(Refusal::TooManyFields));
}

#[test]
fn what_never_ends_is_refused_without_its_end() {
    let get = "GET / HTTP/1.1\r\n";
    let endless = "a".repeat(70_000);
    assert_eq!(refusal(&endless), Some(Refusal::RequestLineTooLong));
    let field = format!("{get}X: {endless}");
    assert_eq!(refusal(field), Some(Refusal::FieldTooLong));
    let fields = format!(
        "{get}{}",
        format!("X: {}\r\n", &endless[..16_000]).repeat(5)
    );
    assert_eq!(refusal(fields), Some(Refusal::HeadTooLarge));
}

#[test]
fn chunks_are_bounded_in_all_but_data() {
    let head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunked = |rest: &str| refusal(format!("{head}{rest}"));
    let extension = |length: usize| format!("1;{}\r\na\r\n", "x".repeat(length - 1));
    assert_eq!(chunked(&extension(1000)), None);
    assert_eq!(chunked(&extension(1022)), Some(Refusal::ChunkExtension));
    assert_eq!(chunked(&"0".repeat(1024)), Some(Refusal::ChunkExtension));
    assert_eq!(chunked(&extension(1000).repeat(8)), None);
    assert_eq!(
        chunked(&extension(1000).repeat(9)),
        Some(Refusal::ChunkExtension)
    );

    let trailers = |length: usize| format!("0\r\nX:{}\r\n\r\n", "a".repeat(length - 6));
    assert_eq!(chunked(&trailers(8192)), None);
    assert_eq!(chunked(&trailers(8193)), Some(Refusal::TrailersTooLarge));
    let many = format!("0\r\n{}\r\n", "X:a\r\n".repeat(101));
    assert_eq!(chunked(&many), Some(Refusal::TooManyFields));
}

#[test]
fn content_of_any_length_is_followed_without_being_held() {
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n";
    let judged = judge([&head[..], &[0; 100_000]]);
    assert_eq!(judged.passed.len(), head.len() + 100_000);
    assert!(judged.in_content);
    let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n";
    let judged = judge([&head[..], &[0; 100_000]]);
    assert_eq!(judged.passed.len(), head.len() + 100_000);
}

/// Generates a few messages in a row with some bytes replaced.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let message = select(cases()).prop_map(|case| case.bytes);
    let telling = select(b"\r\n \t:;,0aA/\0\x80".to_vec());
    let mistakes = prop::collection::vec((any::<Index>(), telling), 0..3);
    (prop::collection::vec(message, 1..4), mistakes).prop_map(|(messages, mistakes)| {
        let mut bytes = messages.concat();
        for (index, byte) in mistakes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        bytes
    })
}

/// Cuts `bytes` at these places.
fn split<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    let pieces = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
    pieces.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_verdict_does_not_depend_on_how_bytes_arrive(
        bytes in messages(),
        cuts in prop::collection::vec(any::<Index>(), 0..8),
    ) {
        let whole = judge([&bytes[..]]);
        prop_assert_eq!(&judge(split(&bytes, &cuts)), &whole);
        prop_assert_eq!(&judge(bytes.chunks(1)), &whole);
    }

    #[test]
    fn what_passes_is_what_came(bytes in messages()) {
        let judged = judge([&bytes[..]]);
        let changed = judged.passed.iter().zip(&bytes).filter(|(passed, came)| passed != came);
        for (passed, came) in changed {
            prop_assert!(*passed == b'1' && (b'2'..=b'9').contains(came));
        }
        let all = judged.passed.len() == bytes.len();
        prop_assert!(!(all && judged.refusal.is_some()));
    }

    #[test]
    fn any_bytes_get_a_verdict(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        cuts in prop::collection::vec(any::<Index>(), 0..4),
    ) {
        if !bytes.is_empty() {
            prop_assert_eq!(judge(split(&bytes, &cuts)), judge([&bytes[..]]));
        }
    }
}
