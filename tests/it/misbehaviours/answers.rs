//! Records that are odd and allowed, and answers that are whole whatever follows them.

use super::case::{Case, PART, View};
use crate::harness::Script;
use crate::harness::records::{self, Record, STDERR, STDOUT};

const TEXT: &str = "X-A: 1\n\nhello";

pub(super) fn all() -> Vec<Case> {
    [
        records(),
        between(),
        ends(),
        late_bytes(),
        announced(),
        silent(),
        uploads(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn begun() -> Script {
    Script::new().read_request()
}

fn stdout(content: impl Into<Vec<u8>>) -> Record {
    Record::new(STDOUT, 0, content)
}

/// A record with the null request id, which [`Script::records`] would replace.
fn management(kind: u8, content: impl Into<Vec<u8>>) -> Vec<u8> {
    Record::new(kind, 0, content).encode()
}

fn whole(name: &'static str, script: Script) -> Case {
    Case::whole(name, script, "hello")
}

fn records() -> Vec<Case> {
    let bytes = TEXT.bytes().map(|byte| stdout([byte])).collect::<Vec<_>>();
    let ended = stdout_of_1("").encode_padded(9);
    let end = Record::end(1, 0, 0).encode_padded(255);
    let mut reserved = stdout_of_1(TEXT).encode();
    reserved[7] = 0xff;
    let large = "x".repeat(200_000);
    let long = begun().stdout_padded(format!("\n{large}"), 255);
    let bytewise = begun().stderr("note\n").stdout(TEXT).end_request();
    let one_write = [stdout(TEXT), stdout(""), Record::end(0, 0, 0)];
    let odd = vec![
        ("a record a byte", begun().records(bytes)),
        ("padding of 255", begun().stdout_padded(TEXT, 255)),
        ("an empty padded STDOUT", begun().raw(ended).stdout(TEXT)),
        ("a reserved byte that is set", begun().raw(reserved)),
    ];
    let odd = odd.into_iter();
    let mut cases: Vec<_> = odd
        .map(|(name, script)| whole(name, script.end_request()))
        .collect();
    cases.extend([
        whole("byte by byte", bytewise.bytewise()),
        whole("padding behind the end", begun().stdout(TEXT).raw(end)),
        whole("all in one write", begun().records(one_write)),
        Case::whole("records of 65 535 bytes", long.end_request(), &large),
        Case::whole("nothing but a line", begun().stdout("\n").end_request(), ""),
    ]);
    cases
}

/// Records of other kinds between those of STDOUT.
fn between() -> Vec<Case> {
    let flood = "PHP Warning: flood\n".repeat(3_400);
    let none = Record::new(STDERR, 0, "");
    let unknown = management(11, [9, 0, 0, 0, 0, 0, 0, 0]);
    let acknowledgement = management(records::GET_VALUES_RESULT, "");
    let half = || begun().stdout("X-A: 1\n");
    let scripts = vec![
        (
            "an empty STDOUT",
            half().stdout("\nhel").records([stdout("")]).stdout("lo"),
        ),
        ("an empty STDERR", begun().records([none]).stdout(TEXT)),
        (
            "STDERR within the head",
            half().stderr("note\n").stdout("\nhello"),
        ),
        (
            "STDERR behind all",
            begun().stdout(TEXT).records([stdout("")]).stderr("note\n"),
        ),
        (
            "64 KiB of STDERR first",
            begun().stderr(&flood).stdout(TEXT),
        ),
        (
            "an unknown management record",
            begun().raw(management(99, "?")).stdout(TEXT),
        ),
        ("UNKNOWN_TYPE", half().raw(unknown).stdout("\nhello")),
        (
            "an acknowledgement",
            half().raw(acknowledgement).stdout("\nhello"),
        ),
    ];
    let scripts = scripts.into_iter();
    scripts
        .map(|(name, script)| whole(name, script.end_request()))
        .collect()
}

fn stdout_of_1(content: impl Into<Vec<u8>>) -> Record {
    Record::new(STDOUT, 1, content)
}

fn ends() -> Vec<Case> {
    let long_end = |extra: usize| {
        let mut record = Record::end(0, 0, 0);
        record.content.extend(vec![b'E'; extra]);
        record
    };
    let answered = || begun().stdout(TEXT);
    vec![
        whole("no empty STDOUT at the end", answered().end_request()),
        whole("exit status 255", answered().end(255, 0)),
        whole("the highest exit status", answered().end(u32::MAX, 0)),
        // The specification does not say what a refusal behind an answer would mean.
        whole("a refusal behind the answer", answered().end(0, 2)),
        whole(
            "END_REQUEST with a byte more",
            answered().records([long_end(1)]),
        ),
        whole(
            "END_REQUEST with 60 000 bytes more",
            answered().records([long_end(60_000)]),
        ),
        whole(
            "closed behind END_REQUEST",
            answered().end_request().close(),
        ),
        whole("END_REQUEST without its padding", {
            let mut bytes = Record::end(1, 0, 0).encode_padded(255);
            bytes.truncate(20);
            answered().raw(bytes).stall()
        }),
    ]
}

fn late_bytes() -> Vec<Case> {
    let end = || Record::end(0, 0, 0);
    let stolen = [stdout("\nstolen"), end()];
    let behind =
        |records: Vec<Record>| begun().records([vec![stdout(TEXT), end()], records].concat());
    // The first read takes 16 KiB: END_REQUEST is the last of it, and what follows stays in the socket.
    let filled = |more: usize| {
        let head = "Content-Length: 5\nX-A: ";
        let rest = 16_384 - 8 - head.len() - "\n\nhello".len() - 16 + more;
        let text = format!("{head}{}\n\nhello", "x".repeat(rest));
        begun().records([stdout(text), end(), stdout("\nstolen"), end()])
    };
    vec![
        whole("another END_REQUEST", behind(vec![end()])),
        whole("another answer", behind(stolen.to_vec())),
        whole("another answer, closed", behind(stolen.to_vec()).close()),
        whole(
            "STDERR behind the end",
            behind(vec![Record::new(STDERR, 0, "late\n")]),
        ),
        whole(
            "a byte behind the end",
            begun().raw(
                [
                    stdout_of_1(TEXT).encode(),
                    Record::end(1, 0, 0).encode(),
                    vec![1],
                ]
                .concat(),
            ),
        ),
        whole(
            "HTTP behind the end",
            begun().raw(
                [
                    stdout_of_1(TEXT).encode(),
                    Record::end(1, 0, 0).encode(),
                    b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
                ]
                .concat(),
            ),
        ),
        whole("another answer behind a full read", filled(0)),
        whole(
            "another answer, its first byte in the read",
            filled(1).close(),
        ),
        whole("another answer, END_REQUEST cut by the read", filled(4)),
    ]
}

/// All that Content-Length says is there: what follows is no part of the answer.
fn announced() -> Vec<Case> {
    let head = format!("Content-Length: {}\n", PART.len());
    let text = format!("{head}\n{PART}");
    let one =
        |name, end: &dyn Fn(Script) -> Script| Case::whole(name, end(begun().stdout(&text)), PART);
    let two = |name, end: &dyn Fn(Script) -> Script| Case::paused(name, &head, end);
    let garbage = |script: Script| script.raw([9; 64]);
    let short = |script: Script| script.records([Record::new(records::END_REQUEST, 0, [0; 4])]);
    vec![
        one("all, then closed", &Script::close),
        one("all, then garbage", &garbage),
        one("all, then a short END_REQUEST", &short),
        one("all, then nothing", &Script::stall),
        one("all in one write with garbage", &|_| {
            begun().raw([stdout_of_1(&*text).encode(), vec![9; 64]].concat())
        }),
        two("all, a moment, closed", &Script::close),
        two("all, a moment, garbage", &garbage),
        two("all, a moment, a short END_REQUEST", &short),
        two("all, a moment, more content", &|script| {
            script.stdout("stolen").end_request()
        }),
    ]
}

/// The head is all that the client gets: the same holds for what follows it.
fn silent() -> Vec<Case> {
    let empty = |name, head: &str, status, end: fn(Script) -> Script| {
        let view = View::Whole(status, Vec::new());
        Case::new(name, end(begun().stdout(format!("{head}\n"))), view)
    };
    let garbage = |script: Script| script.raw([9; 64]);
    vec![
        empty("204, then closed", "Status: 204\n", 204, Script::close),
        empty("204, then garbage", "Status: 204\n", 204, garbage),
        empty("304, then closed", "Status: 304\n", 304, Script::close),
        empty("HEAD, then closed", "X-A: 1\n", 200, Script::close).method("HEAD"),
        empty("HEAD, then garbage", "X-A: 1\n", 200, garbage).method("HEAD"),
        empty("HEAD, then nothing", "X-A: 1\n", 200, Script::stall).method("HEAD"),
    ]
}

/// The answer comes before the request was read.
fn uploads() -> Vec<Case> {
    const MIB: usize = 1 << 20;
    let early = |script: Script| script.stdout("Status: 413\n\ntoo large").end_request();
    let view = || View::Whole(413, "too large".into());
    vec![
        Case::new("PARAMS read, answered", early(Script::new()), view()).upload(8 * MIB),
        Case::new(
            "PARAMS read, answered, closed",
            early(Script::new()).close(),
            view(),
        ),
        Case::new(
            "some of STDIN read, answered",
            early(Script::new().read_some(MIB)).stall(),
            view(),
        )
        .upload(8 * MIB),
        whole("all of STDIN read", begun().stdout(TEXT).end_request()).upload(8 * MIB),
    ]
}
