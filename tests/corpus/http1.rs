//! Malformed and odd HTTP/1 messages, and what becomes of each; read by the unit tests of the
//! head guard and sent to a running gateway by the integration tests. The first word of a row is
//! the section of RFC 9112, or of RFC 9110 where it says so.

use Outcome::{Answered, Refused, Served};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The guard passes so many requests, and the application answers each.
    Served(usize),
    /// The guard passes one request, which the gateway answers with this status.
    Answered(u16),
    /// The guard refuses it, with this status and cause code.
    Refused(u16, &'static str),
}

/// A message, or several in a row.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) section: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) outcome: Outcome,
}

type Row = (&'static str, &'static [u8], Outcome);

/// Every row of every table.
pub(crate) fn cases() -> Vec<Case> {
    let tables: [(&[Row], &[u8], &[u8]); 4] = [
        (REQUEST_LINES, b"", b"\r\nHost: a\r\n\r\n"),
        (FIELDS, b"POST /f HTTP/1.1\r\nHost: a\r\n", b"\r\n\r\n"),
        (
            CHUNKED,
            b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"",
        ),
        (WHOLE, b"", b""),
    ];
    let wrap = |rows: &'static [Row], before: &[u8], after: &[u8]| -> Vec<Case> {
        let case = |(section, bytes, outcome): &Row| Case {
            section,
            bytes: [before, bytes, after].concat(),
            outcome: *outcome,
        };
        rows.iter().map(case).collect()
    };
    tables
        .into_iter()
        .flat_map(|(rows, before, after)| wrap(rows, before, after))
        .collect()
}

const LINE: Outcome = Refused(400, "BAD_REQUEST_LINE");
const TARGET: Outcome = Refused(400, "BAD_TARGET");
const VERSION: Outcome = Refused(505, "VERSION_NOT_SUPPORTED");
const LINE_END: Outcome = Refused(400, "BAD_LINE_END");
const NAME: Outcome = Refused(400, "BAD_FIELD_NAME");
const VALUE: Outcome = Refused(400, "BAD_FIELD_VALUE");
const FOLDED: Outcome = Refused(400, "FOLDED_FIELD");
const LENGTH: Outcome = Refused(400, "BAD_LENGTH");
const REPEATED: Outcome = Refused(400, "REPEATED_LENGTH");
const TWO: Outcome = Refused(400, "TWO_FRAMINGS");
const CODING: Outcome = Refused(400, "BAD_CODING");
const UNKNOWN: Outcome = Refused(501, "UNKNOWN_CODING");
const SIZE: Outcome = Refused(400, "BAD_CHUNK_SIZE");
const CHUNK_END: Outcome = Refused(400, "BAD_CHUNK_END");
const EXTENSION: Outcome = Refused(400, "BAD_CHUNK_EXTENSION");

/// Followed by a good Host.
const REQUEST_LINES: &[Row] = &[
    ("3", b"GET / HTTP/1.1", Served(1)),
    ("9110 §9.1", b"PROPFIND / HTTP/1.1", Served(1)),
    ("9110 §9.1", b"get / HTTP/1.1", Served(1)),
    (
        "9110 §5.6.2",
        b"M-SEARCH!#$%&'*+-.^_`|~ / HTTP/1.1",
        Served(1),
    ),
    ("3", b"GET  / HTTP/1.1", LINE),
    ("3", b"GET /  HTTP/1.1", LINE),
    ("3", b"GET / HTTP/1.1 ", LINE),
    ("3", b" GET / HTTP/1.1", LINE),
    ("3", b"GET\t/\tHTTP/1.1", LINE),
    ("3", b"GET /\tHTTP/1.1", LINE),
    ("3", b"GET /a b HTTP/1.1", LINE),
    ("3", b"GET / HTTP/1.1\r", LINE),
    ("3", b"GET / \rHTTP/1.1", LINE),
    ("3", b"GET\r / HTTP/1.1", LINE),
    ("3", b"GET", LINE),
    ("3", b"GET /", LINE),
    ("3", b"hello", LINE),
    ("3", b"/ HTTP/1.1", LINE),
    ("3", b" / HTTP/1.1", LINE),
    ("3", b"\x16\x03\x01\x02\x00", LINE),
    ("3.1", b"G@T / HTTP/1.1", LINE),
    ("3.1", b"GET: / HTTP/1.1", LINE),
    ("3.1", b"G\x00T / HTTP/1.1", LINE),
    ("3.1", b"G\x7fT / HTTP/1.1", LINE),
    ("3.1", b"G\xc3\x89T / HTTP/1.1", LINE),
    ("3.1", b"\"GET\" / HTTP/1.1", LINE),
    ("2.3", b"GET / HTTP/1.0", Answered(200)),
    ("9110 §2.5", b"GET / HTTP/1.2", Served(1)),
    ("9110 §2.5", b"GET / HTTP/1.9", Served(1)),
    ("2.3", b"GET / http/1.1", LINE),
    ("2.3", b"GET / HTTP/1", LINE),
    ("2.3", b"GET / HTTP/1.", LINE),
    ("2.3", b"GET / HTTP/.1", LINE),
    ("2.3", b"GET / HTTP/1.10", LINE),
    ("2.3", b"GET / HTTP/01.1", LINE),
    ("2.3", b"GET / HTTP/1.1.1", LINE),
    ("2.3", b"GET / HTTP/1,1", LINE),
    ("2.3", b"GET / HTTP/1.x", LINE),
    ("2.3", b"GET / HTTP/0.9", LINE),
    ("2.3", b"GET / HTTP/11.1", LINE),
    ("2.3", b"GET / HTTPS/1.1", LINE),
    ("2.3", b"GET / ICAP/1.0", LINE),
    ("2.3", b"GET / HTTP/", LINE),
    ("2.3", b"GET / HTTP/2", LINE),
    ("9110 §15.6.6", b"GET / HTTP/2.0", VERSION),
    ("9110 §15.6.6", b"GET / HTTP/3.0", VERSION),
    ("9110 §15.6.6", b"GET / HTTP/9.9", VERSION),
    ("3.2", b"GET /%00 HTTP/1.1", Answered(400)),
    ("3.2", b"GET /%zz HTTP/1.1", Answered(400)),
    ("3.2", b"GET /../x HTTP/1.1", Answered(400)),
    ("3.2", b"GET /%2e%2e/x HTTP/1.1", Answered(400)),
    ("3.2", b"GET /\xc3\xa9 HTTP/1.1", Served(1)),
    ("3.2", b"GET /\x00 HTTP/1.1", TARGET),
    ("3.2", b"GET /\x7f HTTP/1.1", TARGET),
    ("3.2", b"GET /a\x0bb HTTP/1.1", TARGET),
    ("3.2", b"GET /a\rb HTTP/1.1", TARGET),
    ("3.2", b"GET /a#b HTTP/1.1", TARGET),
    ("3.2", b"GET #b HTTP/1.1", TARGET),
    ("3.2.1", b"GET a HTTP/1.1", TARGET),
    ("3.2.1", b"GET ?a HTTP/1.1", TARGET),
    ("3.2.1", b"GET \\a HTTP/1.1", TARGET),
    ("3.2.1", b"GET //a/b HTTP/1.1", Served(1)),
    ("3.2.1", b"GET /http://b/ HTTP/1.1", Served(1)),
    ("3.2.2", b"GET http://a/ HTTP/1.1", Served(1)),
    ("3.2.2", b"GET HTTP://a/ HTTP/1.1", Served(1)),
    ("3.2.2", b"GET http://a HTTP/1.1", Served(1)),
    ("3.2.2", b"GET http://a?b HTTP/1.1", Served(1)),
    ("3.2.2", b"GET http://b/ HTTP/1.1", Served(1)),
    ("3.2.2", b"GET https://a/ HTTP/1.1", Served(1)),
    ("3.2.2", b"GET http:// HTTP/1.1", TARGET),
    ("3.2.2", b"GET http:///a HTTP/1.1", TARGET),
    ("3.2.2", b"GET http://?a HTTP/1.1", TARGET),
    ("3.2.2", b"GET http:/a HTTP/1.1", TARGET),
    ("3.2.2", b"GET ftp://a/ HTTP/1.1", TARGET),
    ("3.2.2", b"GET file:///etc/passwd HTTP/1.1", TARGET),
    ("3.2.2", b"GET http://user@a/ HTTP/1.1", Answered(400)),
    ("3.2.3", b"GET a:80 HTTP/1.1", TARGET),
    (
        "3.2.3",
        b"CONNECT a:80 HTTP/1.1",
        Refused(501, "METHOD_NOT_SUPPORTED"),
    ),
    (
        "3.2.3",
        b"CONNECT / HTTP/1.1",
        Refused(501, "METHOD_NOT_SUPPORTED"),
    ),
    ("3.2.4", b"OPTIONS * HTTP/1.1", Answered(204)),
    ("3.2.4", b"GET * HTTP/1.1", Answered(400)),
    ("3.2.4", b"OPTIONS *a HTTP/1.1", TARGET),
    ("9110 §9.3.8", b"TRACE / HTTP/1.1", Answered(501)),
];

/// Behind `POST` and a good Host.
const FIELDS: &[Row] = &[
    ("5", b"X: a", Served(1)),
    ("5", b"X:a", Served(1)),
    ("5", b"X:", Served(1)),
    ("5", b"X:\t a \t", Served(1)),
    ("5", b"X: a\tb", Served(1)),
    ("9110 §5.5", b"X: \xe9\xff", Served(1)),
    ("9110 §5.6.2", b"!#$%&'*+-.^_`|~09azAZ: a", Served(1)),
    ("5.1", b"X : a", NAME),
    ("5.1", b"X\t: a", NAME),
    ("5.1", b"Content-Length : 5", NAME),
    ("5.1", b"Transfer-Encoding : chunked", NAME),
    ("5.1", b": a", NAME),
    ("5.1", b"X y: a", NAME),
    ("5.1", b"X", NAME),
    ("5.1", b"X a", NAME),
    ("5.1", b"X\x00: a", NAME),
    ("5.1", b"X\r: a", NAME),
    ("5.1", b"\xc3\xa9: a", NAME),
    ("5.1", b"X(y): a", NAME),
    ("5.1", b"\"X\": a", NAME),
    ("5.1", b"X[y]: a", NAME),
    ("5.1", b"\x0bTransfer-Encoding: chunked", NAME),
    ("5.1", b"\rTransfer-Encoding: chunked", NAME),
    ("9110 §5.5", b"X: a\x00b", VALUE),
    ("9110 §5.5", b"X: a\rb", VALUE),
    ("9110 §5.5", b"X: a\r", VALUE),
    ("9110 §5.5", b"X: \ra", VALUE),
    ("9110 §5.5", b"X: a\rTransfer-Encoding: chunked", VALUE),
    ("9110 §5.5", b"X: a\x08b", VALUE),
    ("9110 §5.5", b"X: a\x7fb", VALUE),
    ("9110 §5.5", b"X: \x1b[31m", VALUE),
    ("2.2", b"X: a\nY: b", LINE_END),
    ("2.2", b"X: a\nTransfer-Encoding: chunked", LINE_END),
    ("2.2", b"\nX: a", LINE_END),
    ("5.2", b"X: a\r\n b", FOLDED),
    ("5.2", b"X: a\r\n\tb", FOLDED),
    ("5.2", b"X: a\r\n ", FOLDED),
    ("5.2", b"Transfer-Encoding:\r\n chunked", CODING),
    ("5.2", b"Content-Length:\r\n 5", LENGTH),
    ("2.2", b" X: a", FOLDED),
    ("9110 §8.6", b"Content-Length: 0", Served(1)),
    ("9110 §8.6", b"Content-Length: 000", Served(1)),
    ("9110 §8.6", b"content-LENGTH:0\t", Served(1)),
    ("9110 §8.6", b"Content-Length:", LENGTH),
    ("9110 §8.6", b"Content-Length: +5", LENGTH),
    ("9110 §8.6", b"Content-Length: -5", LENGTH),
    ("9110 §8.6", b"Content-Length: -0", LENGTH),
    ("9110 §8.6", b"Content-Length: 0x5", LENGTH),
    ("9110 §8.6", b"Content-Length: 5 6", LENGTH),
    ("9110 §8.6", b"Content-Length: 5,", LENGTH),
    ("9110 §8.6", b"Content-Length: 5, 5", LENGTH),
    ("9110 §8.6", b"Content-Length: 5, 6", LENGTH),
    ("9110 §8.6", b"Content-Length: 5;a", LENGTH),
    ("9110 §8.6", b"Content-Length: 5.0", LENGTH),
    ("9110 §8.6", b"Content-Length: 1e1", LENGTH),
    ("9110 §8.6", b"Content-Length: 1_0", LENGTH),
    ("9110 §8.6", b"Content-Length: \"5\"", LENGTH),
    ("9110 §8.6", b"Content-Length: a", LENGTH),
    ("9110 §8.6", b"Content-Length: \xb2", LENGTH),
    ("9110 §8.6", b"Content-Length: 9223372036854775808", LENGTH),
    ("9110 §8.6", b"Content-Length: 18446744073709551616", LENGTH),
    ("9110 §8.6", b"Content-Length: 99999999999999999999", LENGTH),
    (
        "6.3 (5)",
        b"Content-Length: 0\r\nContent-Length: 0",
        REPEATED,
    ),
    (
        "6.3 (5)",
        b"Content-Length: 5\r\nContent-Length: 6",
        REPEATED,
    ),
    (
        "6.3 (5)",
        b"Content-Length: 5\r\nX: a\r\ncontent-length: 5",
        REPEATED,
    ),
    (
        "6.3 (3)",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        TWO,
    ),
    (
        "6.3 (3)",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        TWO,
    ),
    (
        "6.3 (3)",
        b"Transfer-Encoding: chunked\r\nContent-Length: 0",
        TWO,
    ),
    (
        "6.3 (3)",
        b"Transfer-Encoding: chunked\r\nContent-Length: x",
        LENGTH,
    ),
    ("6.1", b"Transfer-Encoding:", CODING),
    ("6.1", b"Transfer-Encoding: ,", CODING),
    ("6.1", b"Transfer-Encoding: chunked,", CODING),
    ("6.1", b"Transfer-Encoding: , chunked", CODING),
    ("6.1", b"Transfer-Encoding: chunked;a=b", CODING),
    ("6.1", b"Transfer-Encoding: \"chunked\"", CODING),
    ("6.1", b"Transfer-Encoding: 'chunked", UNKNOWN),
    ("6.1", b"Transfer-Encoding: chun ked", CODING),
    ("6.1", b"Transfer-Encoding: chunked chunked", CODING),
    ("6.1", b"Transfer-Encoding: \x0bchunked", VALUE),
    ("6.1", b"Transfer-Encoding: \xa0chunked", CODING),
    ("6.1", b"Transfer-Encoding: xchunked", UNKNOWN),
    ("6.1", b"Transfer-Encoding: chunkedx", UNKNOWN),
    ("6.1", b"Transfer-Encoding: identity", UNKNOWN),
    ("6.1", b"Transfer-Encoding: gzip, chunked", UNKNOWN),
    ("6.1", b"Transfer-Encoding: identity, chunked", UNKNOWN),
    (
        "6.1",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        UNKNOWN,
    ),
    ("6.3 (4)", b"Transfer-Encoding: gzip", CODING),
    ("6.3 (4)", b"Transfer-Encoding: x-gzip, deflate", CODING),
    ("6.3 (4)", b"Transfer-Encoding: chunked, gzip", CODING),
    ("6.3 (4)", b"Transfer-Encoding: chunked, identity", CODING),
    ("7.1", b"Transfer-Encoding: chunked, chunked", CODING),
    (
        "7.1",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        CODING,
    ),
    (
        "7.1",
        b"Transfer-Encoding: chunked\r\ntransfer-encoding: identity",
        CODING,
    ),
    ("3.2", b"Host: a", Answered(400)),
    ("3.2", b"host: b", Answered(400)),
];

/// Chunked content of a request that is good so far.
const CHUNKED: &[Row] = &[
    ("7.1", b"0\r\n\r\n", Served(1)),
    ("7.1", b"000\r\n\r\n", Served(1)),
    ("7.1", b"3\r\nabc\r\n0\r\n\r\n", Served(1)),
    (
        "7.1",
        b"00000000000000000003\r\nabc\r\n0\r\n\r\n",
        Served(1),
    ),
    (
        "7.1",
        b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
        Served(1),
    ),
    ("7.1", b"2\r\n\r\n\r\n0\r\n\r\n", Served(1)),
    ("7.1.1", b"3;a\r\nabc\r\n0;b=c\r\n\r\n", Served(1)),
    ("7.1.1", b"3;a=\"b;c\"\r\nabc\r\n0\r\n\r\n", Served(1)),
    ("7.1.1", b"3 ;a\r\nabc\r\n0\t;a\r\n\r\n", Served(1)),
    ("7.1.2", b"0\r\nX: a\r\nY: b\r\n\r\n", Served(1)),
    ("7.1.2", b"0\r\nContent-Length: 5\r\n\r\n", Served(1)),
    ("7.1", b"x\r\nabc\r\n0\r\n\r\n", SIZE),
    ("7.1", b"\r\nabc\r\n0\r\n\r\n", SIZE),
    ("7.1", b"-1\r\na", SIZE),
    ("7.1", b"+3\r\nabc\r\n0\r\n\r\n", SIZE),
    ("7.1", b"0x3\r\nabc\r\n0\r\n\r\n", SIZE),
    ("7.1", b"3h\r\nabc\r\n0\r\n\r\n", SIZE),
    ("7.1", b" 3\r\nabc\r\n0\r\n\r\n", SIZE),
    ("7.1", b"3 \r\nabc\r\n0\r\n\r\n", SIZE),
    ("7.1", b"3 3\r\nabc\r\n0\r\n\r\n", SIZE),
    ("7.1", b"3,\r\nabc\r\n0\r\n\r\n", SIZE),
    ("7.1", b"3\x00\r\nabc\r\n0\r\n\r\n", SIZE),
    ("7.1", b"10000000000000000\r\na", SIZE),
    ("7.1", b"fffffffffffffffff\r\na", SIZE),
    ("7.1", b"3\r\r\nabc\r\n0\r\n\r\n", SIZE),
    ("2.2", b"3\nabc\r\n0\r\n\r\n", LINE_END),
    ("2.2", b"3\r\nabc\r\n0\n\r\n", LINE_END),
    ("7.1", b"3\r\nabc\n0\r\n\r\n", CHUNK_END),
    ("7.1", b"3\r\nabc\r0\r\n\r\n", CHUNK_END),
    ("7.1", b"3\r\nabcd\r\n0\r\n\r\n", CHUNK_END),
    ("7.1", b"3\r\nabc0\r\n\r\n", CHUNK_END),
    ("7.1", b"5\r\nabc\r\n0\r\n\r\n", CHUNK_END),
    ("7.1.1", b"3;a\x00\r\nabc\r\n0\r\n\r\n", EXTENSION),
    ("7.1.1", b"3;a\rb\r\nabc\r\n0\r\n\r\n", EXTENSION),
    ("7.1.1", b"3;a\nabc\r\n0\r\n\r\n", LINE_END),
    ("7.1.2", b"0\r\nX : a\r\n\r\n", NAME),
    ("7.1.2", b"0\r\nX: a\r\n b\r\n\r\n", FOLDED),
    ("7.1.2", b"0\r\nX: a\x00\r\n\r\n", VALUE),
    ("7.1.2", b"0\r\nX: a\n\r\n", LINE_END),
    ("7.1.2", b"0\r\n\n", LINE_END),
    ("7.1.2", b"0\r\nGET / HTTP/1.1\r\n\r\n", NAME),
];

/// Whole messages.
const WHOLE: &[Row] = &[
    ("2.2", b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Served(1)),
    ("2.2", b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", LINE),
    ("2.2", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", LINE_END),
    ("2.2", b"GET / HTTP/1.1\nHost: a\n\n", LINE_END),
    ("2.2", b"GET / HTTP/1.1\r\nHost: a\r\n\n", LINE_END),
    ("2.2", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", FOLDED),
    ("3", b"GET /\r\n\r\n", LINE),
    ("3.2", b"GET / HTTP/1.1\r\n\r\n", Answered(400)),
    ("3.2", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", Answered(400)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Answered(400)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Answered(400)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", Answered(400)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Answered(400)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", Answered(400)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: a..\r\n\r\n", Answered(400)),
    ("3.2", b"GET / HTTP/1.1\r\nHost: \xe9\r\n\r\n", Answered(400)),
    ("3.2", b"GET http://a/ HTTP/1.1\r\n\r\n", Answered(400)),
    ("3.2", b"GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n", Answered(400)),
    ("3.2.2", b"GET http://a/ HTTP/1.1\r\nHost:\r\n\r\n", Served(1)),
    ("3.2.2", b"GET http://a/ HTTP/1.1\r\nHost: \r\n\r\n", Served(1)),
    ("3.2", b"GET / HTTP/1.0\r\n\r\n", Answered(200)),
    ("6.1", b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(400, "CODING_IN_HTTP10")),
    ("6.1", b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nabcde", Refused(400, "CODING_IN_HTTP10")),
    ("6.1", b"POST / HTTP/1.2\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\n\r\n", Served(1)),
    ("6.3 (6)", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", Served(1)),
    ("6.3 (7)", b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", Served(1)),
    ("6.3", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", Served(1)),
    ("6.3", b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n", Served(2)),
    ("2.2", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Served(2)),
    ("9.3.2", b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n", Served(3)),
    ("9.3.2", b"POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\naGET /3 HTTP/1.1\r\nHost: a\r\n\r\n", Served(3)),
    ("9110 §7.8", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n", Served(1)),
    ("9110 §10.1.1", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", Answered(417)),
    ("2.3", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", VERSION),
];
