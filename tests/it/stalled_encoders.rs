//! Answers that are compressed for clients who do not take them: what their encoders hold, that others get theirs, that each
//! answer is whole in the end, and that the thread serves on beside long ones.

use std::time::Duration;

use tokio::time::Instant;

use crate::compression;
use crate::harness::h2_frames::{
    DATA, Frame, Frames, GOAWAY, HEADERS, RST_STREAM, WINDOW_UPDATE, request,
};
use crate::harness::load::alone;
use crate::harness::records::{self, Record};
use crate::harness::{
    Address, Connection, Files, Gateway, GatewaySetup, PATIENCE, Request, Script,
    ScriptedResponder, eventually,
};

const CODINGS: [&str; 3] = ["br", "zstd", "gzip"];

const STREAMS: u32 = 100;
const CONNECTIONS: u32 = 4;

/// Lines of text, none like another.
fn text(length: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(length + 64);
    let mut line = 0_u64;
    while text.len() < length {
        let number = line.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        text.extend(format!("line {line} says {number:x}\n").into_bytes());
        line += 1;
    }
    text.truncate(length);
    text
}

/// What a client makes of the whole.
fn decode(coding: &str, coded: &[u8]) -> Vec<u8> {
    let (plain, ended) = compression::decode(coding, coded);
    assert!(ended, "{coding}: cut");
    plain
}

/// A gateway with one thread and so much memory for encoders, and a file with so many bytes of text.
fn compressing(memory: &str, long: usize) -> GatewaySetup<Files> {
    Gateway::with_files()
        .server("workers = 1\nlimits = { keep_alive_requests = 1000000 }")
        .server(&format!("encoder_memory = \"{memory}\""))
        .site("compress = { cache = \"0B\" }")
        .file("long.txt", text(long))
        .file("short.txt", text(30_000))
        .file("tiny.bin", "x")
}

/// A connection with streams that stand still, and what came on each.
struct Stalled {
    frames: Frames,
    got: Vec<Vec<u8>>,
}

/// Asks for the long text on as many streams as there may be, with this window for each, and waits for all heads.
async fn stall(gateway: &Gateway, window: u32, coding: &str) -> Vec<Stalled> {
    let mut all = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut frames = Frames::open_with(gateway.address(), &[(4, window)]).await;
        frames
            .send(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes())
            .await;
        let fields = [("accept-encoding", coding)];
        for stream in 0..STREAMS {
            let asked = request("GET", "/long.txt", &fields);
            frames.head(stream * 2 + 1, &asked, true).await;
        }
        let got = vec![Vec::new(); usize::try_from(STREAMS).unwrap()];
        let mut stalled = Stalled { frames, got };
        let mut heads = 0;
        while heads < STREAMS {
            let frame = stalled.next().await;
            heads += u32::from(frame.kind == HEADERS);
        }
        all.push(stalled);
    }
    all
}

impl Stalled {
    async fn next(&mut self) -> Frame {
        let frame = self.frames.next().await.unwrap();
        assert!(
            frame.kind != RST_STREAM && frame.kind != GOAWAY,
            "{frame:?}"
        );
        if frame.kind == DATA {
            let which = usize::try_from(frame.stream / 2).unwrap();
            self.got[which].extend_from_slice(&frame.payload);
        }
        frame
    }
}

#[tokio::test]
async fn encoders_of_streams_that_stand_still_are_bounded() {
    const MEMORY_KIB: u64 = 32 * 1024;
    let streams = u64::from(STREAMS * CONNECTIONS);
    for coding in CODINGS {
        // Without a window there are none; with one there is memory for some, and a piece for each.
        for (window, most) in [(0, 24 * streams), (1000, MEMORY_KIB * 3 / 2 + 48 * streams)] {
            let gateway = compressing("32MiB", 6 << 20).start().await;
            let before = gateway.anonymous_kib();
            let stalled = stall(&gateway, window, coding).await;
            assert_eq!(gateway.get("/tiny.bin").await.text(), "x");
            let more = gateway.anonymous_kib().saturating_sub(before);
            assert!(more <= most, "{coding}, window {window}: {more} KiB");
            drop(stalled);
        }
    }
}

#[tokio::test]
async fn clients_that_read_nothing_of_http1_have_bounded_encoders() {
    const MANY: u64 = 60;
    let gateway = compressing("32MiB", 6 << 20).start().await;
    let before = gateway.anonymous_kib();
    let mut all = Vec::new();
    for _ in 0..MANY {
        let mut connection = Connection::open(gateway.address()).await;
        let asked = Request::get("/long.txt").field("Accept-Encoding", "br");
        connection.start(&asked).await;
        all.push(connection);
    }
    for connection in &mut all {
        let head = connection.head().await;
        assert_eq!(
            (head.status, head.header("vary")),
            (200, Some("Accept-Encoding"))
        );
    }
    let more = gateway.anonymous_kib().saturating_sub(before);
    assert!(more <= 48 * 1024 + 160 * MANY, "{more} KiB");
}

/// Others who come get an encoder, taken from who has not asked for anything for a second; and who it was taken from has
/// the same text in the end.
#[tokio::test]
async fn an_encoder_goes_from_who_does_not_read_to_who_waits() {
    for coding in CODINGS {
        let plain = text(2 << 20);
        let gateway = compressing("32MiB", plain.len()).start().await;
        let mut stalled = stall(&gateway, 1000, coding).await;
        let asked = Request::get("/short.txt").field("Accept-Encoding", coding);
        let coded = eventually("an encoder for who comes", PATIENCE, async || {
            let answer = gateway.send(&asked).await;
            assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
            match answer.header("content-encoding") {
                Some(used) if used == coding => Ok(answer.body),
                used => Err(used.map(str::to_owned)),
            }
        });
        assert!(decode(coding, &coded.await) == text(30_000));
        // The first of them have had encoders.
        let first = &mut stalled[0];
        const READ: u32 = 3;
        for stream in 0..READ {
            let all = (1_u32 << 30).to_be_bytes();
            first
                .frames
                .send(WINDOW_UPDATE, 0, stream * 2 + 1, &all)
                .await;
        }
        let mut ended = 0;
        while ended < READ {
            ended += u32::from(first.next().await.ends());
        }
        let is_plain = |got: &[u8]| got.starts_with(b"line 0 says");
        let read = &first.got[..usize::try_from(READ).unwrap()];
        assert!(!is_plain(&read[0]), "the first has had an encoder");
        for got in read {
            let whole = match is_plain(got) {
                true => got.clone(),
                false => decode(coding, got),
            };
            assert!(whole == plain, "{coding}");
        }
    }
}

/// The median, the wait that one in a hundred exceeds, of many requests on one connection.
async fn waits(address: &Address, count: usize) -> (Duration, Duration) {
    let mut connection = Connection::open(address).await;
    let mut waits = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        let answer = connection.send(&Request::get("/tiny.bin")).await;
        assert_eq!(answer.text(), "x");
        waits.push(begun.elapsed());
    }
    waits.sort();
    (waits[count / 2], waits[count * 99 / 100])
}

/// A fraction of what a request waits where long work has the thread to itself: 0.7 s and more.
const FLOOR: Duration = Duration::from_millis(400);

async fn check_beside(gateway: &Gateway, load: impl Future<Output = ()>, what: &str) {
    let (_, before) = waits(gateway.address(), 200).await;
    let measured = async {
        // The load has begun when some were served beside it.
        waits(gateway.address(), 5).await;
        waits(gateway.address(), 200).await
    };
    let (median, worst) = tokio::select! {
        biased;
        measured = measured => measured,
        () = load => panic!("{what}: it was over before the last was measured"),
    };
    let most = (before * 5).max(FLOOR);
    assert!(
        worst <= most && median <= FLOOR / 2,
        "{what}: {median:?}, {worst:?}, alone {before:?}"
    );
}

async fn read_all(gateway: &Gateway, count: usize) {
    let all = (0..count).map(|_| async {
        loop {
            let mut connection = Connection::open(gateway.address()).await;
            let asked = Request::get("/long.txt").field("Accept-Encoding", "gzip");
            connection.start(&asked).await;
            connection.head().await;
            while connection.piece().await.unwrap().is_some() {}
        }
    });
    futures_util::future::join_all(all).await;
}

#[tokio::test]
async fn long_compressed_answers_leave_the_thread_to_others() {
    let _alone = alone().await;
    for count in [1, 12] {
        let gateway = compressing("128MiB", 40 << 20).start().await;
        let load = read_all(&gateway, count);
        check_beside(&gateway, load, &format!("{count} long answers")).await;
    }
}

#[tokio::test]
async fn an_error_stream_of_short_lines_leaves_the_thread_to_others() {
    let _alone = alone().await;
    let lines = b"x\n".repeat(32_000);
    let script = Script::by(move |_| {
        let records = (0..100).map(|_| Record::new(records::STDERR, 0, lines.clone()));
        let script = Script::new().read_request().records(records);
        script.stdout("X-A: 1\n\nhello").end_request()
    });
    let responder = ScriptedResponder::start([script]).await;
    let script = responder
        .site("")
        .replace("[[site]]", "[[site]]\nhosts = [\"script\"]");
    let gateway = Gateway::with_files()
        .server("workers = 1\nlimits = { keep_alive_requests = 1000000 }")
        .site("hosts = [\"files\"]")
        .file("tiny.bin", "x")
        .section(&script);
    let gateway = gateway.start().await;
    let load = async {
        for _ in 0..100_000 {
            let asked = Request::get("/").field("Host", "script");
            assert_eq!(gateway.send(&asked).await.status, 200);
        }
    };
    check_beside(&gateway, load, "an error stream").await;
}
