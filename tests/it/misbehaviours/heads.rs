//! The head of the script's answer: what is forwarded, what is dropped, and what is refused.

use super::case::{Case, View};
use crate::harness::Script;

pub(super) fn all() -> Vec<Case> {
    let mut cases = forwarded();
    cases.extend(framed());
    cases.extend(refused());
    cases
}

fn answered(name: &'static str, text: impl AsRef<[u8]>) -> Case {
    Case::whole(name, Script::answer(text), "hello")
}

fn status(name: &'static str, text: &str, status: u16, content: &str) -> Case {
    Case::new(
        name,
        Script::answer(text),
        View::Whole(status, content.into()),
    )
}

fn fields(count: usize) -> String {
    let fields = (0..count).map(|number| format!("X-{number}: {number}\n"));
    fields.collect::<String>() + "\nhello"
}

fn kibibytes(count: usize) -> String {
    let fields = (0..count).map(|number| format!("X-{number:03}: {}\n", "x".repeat(1016)));
    fields.collect::<String>() + "\nhello"
}

fn forwarded() -> Vec<Case> {
    vec![
        answered("CRLF", "X-A: 1\r\n\r\nhello"),
        answered("LF", "X-A: 1\n\nhello"),
        answered("CRLF and LF", "X-A: 1\r\n\nhello"),
        answered("LF and CRLF", "X-A: 1\n\r\nhello"),
        answered("no fields", "\r\nhello"),
        answered("8-bit bytes", b"X-A: \xe9\xff\n\nhello"),
        answered("an empty value", "X-A:\n\nhello"),
        answered(
            "two dates and two servers",
            "Date: a\nDate: b\nServer: a\nServer: b\n\nhello",
        ),
        answered("1000 fields", fields(1000)),
        answered("63 KiB", kibibytes(63)),
        status(
            "a status without reason",
            "Status: 404\n\nhello",
            404,
            "hello",
        ),
        status("the highest status", "Status: 599 ?\n\nhello", 599, "hello"),
        status(
            "the same status twice",
            "Status: 404\nStatus: 404\n\nhello",
            404,
            "hello",
        ),
        status("Location alone", "Location: /x\n\nhello", 302, "hello"),
        status("204 with content", "Status: 204\n\nhello", 204, ""),
        status("205 with content", "Status: 205\n\nhello", 205, ""),
        status("304 with content", "Status: 304\n\nhello", 304, ""),
        status(
            "204 with a length",
            "Status: 204\nContent-Length: 5\n\nhello",
            204,
            "",
        ),
    ]
}

/// RFC 9112 §6: what frames the message is not the script's to say.
fn framed() -> Vec<Case> {
    vec![
        answered("chunked that is not", "Transfer-Encoding: chunked\n\nhello"),
        answered(
            "an unknown coding",
            "Transfer-Encoding: gzip, chunked\n\nhello",
        ),
        answered(
            "length and chunked",
            "Content-Length: 5\nTransfer-Encoding: chunked\n\nhello",
        ),
        answered(
            "hop-by-hop fields",
            "Connection: close, X-A\nKeep-Alive: 1\nUpgrade: h2c\nTrailer: X\nTE: gzip\nX-A: 1\n\nhello",
        ),
        answered(
            "an upgrade",
            "Connection: upgrade\nUpgrade: websocket\n\nhello",
        ),
        answered("no number", "Content-Length: five\n\nhello"),
        answered("a negative length", "Content-Length: -5\n\nhello"),
        answered("a signed length", "Content-Length: +5\n\nhello"),
        answered("a list of lengths", "Content-Length: 5, 5\n\nhello"),
        answered(
            "two lengths",
            "Content-Length: 2\nContent-Length: 5\n\nhello",
        ),
        answered(
            "the same length twice",
            "Content-Length: 5\nContent-Length: 5\n\nhello",
        ),
        answered(
            "a length beyond 64 bits",
            "Content-Length: 99999999999999999999\n\nhello",
        ),
        answered("more than announced", "Content-Length: 5\n\nhello stolen"),
        status(
            "content and no length",
            "Content-Length: 0\n\nhello",
            200,
            "",
        ),
        status("HEAD", "Content-Length: 5\n\nhello", 200, "").method("HEAD"),
        status(
            "HEAD with a wrong length",
            "Content-Length: 7\n\nhello",
            200,
            "",
        )
        .method("HEAD"),
    ]
}

fn refused() -> Vec<Case> {
    let heads: [(&str, &[u8]); 21] = [
        ("no colon", b"PHP Parse error\n\nstolen"),
        ("a folded line", b"X-Stolen: 1\n 2\n\nstolen"),
        ("a bare CR", b"X-A: 1\rX-Stolen: 2\n\nstolen"),
        ("a NUL in a value", b"X-Stolen: a\0b\n\nstolen"),
        ("a NUL in a name", b"X-\0Stolen: a\n\nstolen"),
        ("a control byte", b"X-Stolen: \x01\n\nstolen"),
        ("DEL", b"X-Stolen: \x7f\n\nstolen"),
        ("a space in a name", b"X Stolen: 1\n\nstolen"),
        ("a space before the colon", b"X-Stolen : 1\n\nstolen"),
        ("an 8-bit byte in a name", b"X-\xe9: 1\n\nstolen"),
        ("no name", b": 1\n\nstolen"),
        ("an empty status", b"Status:\n\nstolen"),
        ("no number for a status", b"Status: none\n\nstolen"),
        ("a status of four digits", b"Status: 2000\n\nstolen"),
        ("a status of two digits", b"Status: 99\n\nstolen"),
        ("a status beyond", b"Status: 600\n\nstolen"),
        ("two statuses", b"Status: 200\nStatus: 404\n\nstolen"),
        ("100", b"Status: 100 Continue\n\nstolen"),
        (
            "101",
            b"Status: 101 Switching Protocols\nUpgrade: websocket\n\nstolen",
        ),
        ("103", b"Status: 103 Early Hints\n\nstolen"),
        ("HTTP", b"HTTP/1.1 200 OK\n\nstolen"),
    ];
    const CAUSE: &str = "UPSTREAM_HEAD";
    let refused = |(name, head)| Case::refused(name, Script::answer(head), CAUSE);
    let mut cases: Vec<_> = heads.into_iter().map(refused).collect();
    cases.extend([
        Case::refused("1001 fields", Script::answer(fields(1001)), CAUSE),
        Case::refused("65 KiB", Script::answer(kibibytes(65)), CAUSE),
        Case::refused(
            "a line of 128 KiB",
            Script::answer("x".repeat(128 << 10)),
            CAUSE,
        ),
    ]);
    cases
}
