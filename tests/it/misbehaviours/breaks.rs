//! Records that are none, and ends at the wrong moment: refused before the answer was begun, visibly cut after.

use super::case::{Case, PART, View};
use crate::harness::Script;
use crate::harness::records::{END_REQUEST, GET_VALUES_RESULT, Record, STDERR, STDOUT};

const PROTOCOL: &str = "UPSTREAM_PROTOCOL";
const HEAD: &str = "UPSTREAM_HEAD";
const RESET: &str = "UPSTREAM_RESET";
const TRUNCATED: &str = "UPSTREAM_TRUNCATED";

pub(super) fn all() -> Vec<Case> {
    let mut cases = no_records();
    cases.extend(refusals());
    cases.extend(no_heads());
    cases.extend(deaths());
    cases.extend(cuts());
    cases
}

fn begun() -> Script {
    Script::new().read_request()
}

/// One that no request here has.
const OTHER_ID: u16 = 0x7777;

fn header(version: u8, kind: u8, id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    [
        &[version, kind, high, low, 0, 7, 0, 0],
        b"\nstolen".as_slice(),
    ]
    .concat()
}

/// Bytes that begin no record of an answer.
fn bad_headers() -> [(&'static str, Vec<u8>); 23] {
    [
        ("version 0", header(0, STDOUT, 1)),
        ("version 2", header(2, STDOUT, 1)),
        ("version 255", header(255, STDOUT, 1)),
        ("zeros", vec![0; 64]),
        ("ones", vec![0xff; 64]),
        ("HTTP", b"HTTP/1.1 200 OK\r\n\r\nstolen".to_vec()),
        ("a TLS alert", b"\x15\x03\x01\x00\x02\x02\x32\0\0".to_vec()),
        ("STDOUT of another request", header(1, STDOUT, OTHER_ID)),
        ("STDOUT of no request", header(1, STDOUT, 0)),
        (
            "the id in the wrong order",
            [&[1, STDOUT, 1, 0, 0, 7, 0, 0], b"\nstolen".as_slice()].concat(),
        ),
        ("STDERR of another request", header(1, STDERR, OTHER_ID)),
        (
            "END_REQUEST of another request",
            Record::end(OTHER_ID, 0, 0).encode(),
        ),
        ("END_REQUEST of no request", Record::end(0, 0, 0).encode()),
        ("type 0", header(1, 0, 1)),
        ("BEGIN_REQUEST", header(1, 1, 1)),
        ("ABORT_REQUEST", header(1, 2, 1)),
        ("PARAMS", header(1, 4, 1)),
        ("STDIN", header(1, 5, 1)),
        ("DATA", header(1, 8, 1)),
        ("GET_VALUES", header(1, 9, 0)),
        (
            "an acknowledgement with an id",
            header(1, GET_VALUES_RESULT, 1),
        ),
        ("a type that is not known", header(1, 12, 1)),
        ("type 255", header(1, 255, 1)),
    ]
}

fn no_records() -> Vec<Case> {
    let refused = |(name, bytes)| Case::refused(name, begun().raw(bytes).read_to_end(), PROTOCOL);
    let mut cases: Vec<_> = bad_headers().into_iter().map(refused).collect();
    let record = |kind, length| Record::new(kind, 0, vec![0; length]);
    let long = Record::new(GET_VALUES_RESULT, 0, vec![0; 5000]).encode();
    cases.extend([
        Case::refused(
            "an empty END_REQUEST",
            begun().records([record(END_REQUEST, 0)]),
            PROTOCOL,
        ),
        Case::refused(
            "END_REQUEST of seven bytes",
            begun().records([record(END_REQUEST, 7)]),
            PROTOCOL,
        ),
        Case::refused("a long acknowledgement", begun().raw(long), PROTOCOL),
        Case::refused(
            "garbage within the head",
            begun().stdout("X-Stolen: 1\n").raw([9; 64]),
            PROTOCOL,
        ),
    ]);
    cases
}

/// FastCGI §5.5: CANT_MPX_CONN, OVERLOADED, UNKNOWN_ROLE, and what it does not know.
fn refusals() -> Vec<Case> {
    let overloaded = View::Refused(503, "UPSTREAM_OVERLOADED");
    vec![
        Case::refused("cannot multiplex", begun().end(0, 1), PROTOCOL),
        Case::new("overloaded", begun().end(0, 2), overloaded),
        Case::refused("an unknown role", begun().end(0, 3), PROTOCOL),
        Case::refused("an unknown refusal", begun().end(0, 77), PROTOCOL),
    ]
}

fn no_heads() -> Vec<Case> {
    let flood = "X-Stolen: 1\n".repeat(20_000);
    vec![
        Case::refused("nothing", begun().end_request(), HEAD),
        Case::refused(
            "an empty STDOUT",
            begun().records([Record::new(STDOUT, 0, "")]).end_request(),
            HEAD,
        ),
        Case::refused("only STDERR", begun().stderr("oops\n").end_request(), HEAD),
        Case::refused(
            "no end of the head",
            begun().stdout("X-Stolen: 1\n").end_request(),
            HEAD,
        ),
        Case::refused("half a line", begun().stdout("X-Sto").end_request(), HEAD),
        Case::refused(
            "a head without end",
            begun().stdout(flood).read_to_end(),
            HEAD,
        ),
    ]
}

/// Before the head was complete.
fn deaths() -> Vec<Case> {
    let half = Record::new(STDOUT, 1, "X-Stolen: 1\n\nstolen").encode();
    let within = |bytes: usize| begun().raw(&half[..bytes]).close();
    vec![
        Case::refused("dies before all", begun().close(), RESET),
        Case::refused("dies before all of a POST", begun().close(), RESET).upload(10),
        Case::refused("dies with the content unread", Script::new().close(), RESET).upload(10),
        Case::refused(
            "dies within an upload",
            Script::new().read_some(1 << 20).close(),
            RESET,
        )
        .upload(8 << 20),
        Case::refused("dies within a header", within(4), RESET).method("POST"),
        Case::refused("dies within a record", within(12), TRUNCATED),
        Case::refused(
            "dies behind STDERR",
            begun().stderr("oops\n").close(),
            TRUNCATED,
        ),
        Case::refused(
            "dies within the head",
            begun().stdout("X-Stolen: 1\n").close(),
            TRUNCATED,
        ),
    ]
}

const LONGER: &str = "Content-Length: 2000\n";

/// Does the rest of a script.
type Rest = Box<dyn FnOnce(Script) -> Script>;

/// The client has the first part.
fn cuts() -> Vec<Case> {
    let mut cases = vec![large_cut()];
    cases.extend(cuts_by_closing());
    cases.extend(cuts_by_records());
    cases
}

fn large_cut() -> Case {
    let mut case = Case::cut("a large part, closed", "", Script::close, TRUNCATED);
    let text = "x".repeat(200_000);
    if let Some(pause) = &mut case.pause {
        pause.after = text.len();
        let begun = begun().stdout(format!("\n{text}"));
        case.script = begun.wait(&pause.gate).close();
    }
    case.view = View::Cut(text.into(), TRUNCATED);
    case
}

fn cuts_by_closing() -> Vec<Case> {
    let padded = Record::new(STDOUT, 1, "").encode_padded(200);
    let end = Record::end(1, 0, 0).encode();
    let empty = [Record::new(STDOUT, 0, "")];
    let rests: Vec<(&str, Rest)> = vec![
        ("at once", Box::new(|script| script)),
        ("an empty STDOUT", Box::new(|script| script.records(empty))),
        ("STDERR", Box::new(|script| script.stderr("oops\n"))),
        (
            "half a header",
            Box::new(|script| script.raw([1, STDOUT, 0])),
        ),
        (
            "half of the padding",
            Box::new(move |script| script.raw(&padded[..50])),
        ),
        (
            "half of END_REQUEST",
            Box::new(move |script| script.raw(&end[..15])),
        ),
    ];
    let cut =
        |(name, rest): (_, Rest)| Case::cut(name, "", |script| rest(script).close(), TRUNCATED);
    let mut cases: Vec<_> = rests.into_iter().map(cut).collect();
    let post = Case::cut("a part of a POST, closed", "", Script::close, TRUNCATED);
    cases.extend([
        Case::cut("a part of more, closed", LONGER, Script::close, TRUNCATED),
        Case::cut(
            "a part of more, ended",
            LONGER,
            Script::end_request,
            TRUNCATED,
        ),
        post.upload(PART.len()),
    ]);
    cases
}

fn cuts_by_records() -> Vec<Case> {
    let rests = [
        ("a part, garbage", "", vec![9; 64]),
        ("a part of more, garbage", LONGER, vec![9; 64]),
        ("a part, another request's", "", header(1, STDOUT, OTHER_ID)),
        (
            "a part, a short END_REQUEST",
            "",
            Record::new(END_REQUEST, 1, [0; 3]).encode(),
        ),
        ("a part, version 2", "", header(2, STDOUT, 1)),
        ("a part, BEGIN_REQUEST", "", header(1, 1, 1)),
    ];
    let cut = |(name, head, bytes): (_, _, Vec<u8>)| {
        Case::cut(name, head, |script| script.raw(bytes), PROTOCOL)
    };
    rests.into_iter().map(cut).collect()
}
