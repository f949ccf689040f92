//! Answers that nobody takes: what a stream without a window, or with a small one, and a connection that is not read hold
//! of a file; and that each goes on where it stood.

use std::path::Path;

use tokio::io::AsyncWriteExt;

use crate::harness::gateway::Gateway;
use crate::harness::h2_frames::{
    DATA, END_HEADERS, END_STREAM, Frame, Frames, GOAWAY, HEADERS, RST_STREAM, WINDOW_UPDATE,
    block, request,
};
use crate::harness::http1::Connection;
use crate::harness::php_fpm::write_below;
use crate::harness::tls::{Authority, TlsClient};
use crate::harness::{Files, GatewaySetup, Request};

const LARGE: usize = 1024 * 1024;

/// Streams of a connection, and connections.
const STREAMS: u32 = 100;
const CONNECTIONS: u32 = 3;

/// SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 §6.5.2).
const INITIAL_WINDOW: u16 = 4;

/// Fields of a request.
type Fields = &'static [(&'static str, &'static str)];

/// Ways to one large file: a path, and fields of the request.
const WAYS: [(&str, &str, Fields); 4] = [
    ("a file", "/large.bin", &[]),
    ("a part", "/large.bin", &[("range", "bytes=1000-66000")]),
    (
        "several parts",
        "/large.bin",
        &[("range", "bytes=0-300000,400000-700000")],
    ),
    (
        "one that was compressed before",
        "/page.html",
        &[("accept-encoding", "br")],
    ),
];

fn content() -> Vec<u8> {
    (0..LARGE)
        .map(|at| u8::try_from((at / 7 + at % 251) % 256).unwrap())
        .collect()
}

fn files(root: &Path) {
    write_below(root, "large.bin", content());
    write_below(root, "tiny.bin", "x");
    write_below(root, "page.html", "<p>".repeat(1000));
    write_below(root, "page.html.br", content());
}

/// The files and a larger one, over TLS only.
fn over_tls(authority: &Authority) -> GatewaySetup<Files> {
    Gateway::with_files()
        .certificate(authority)
        .listen("tls = true")
        .prepare(files)
        .file("huge.bin", content().repeat(16))
}

/// A gateway with one thread, so that its memory does not depend on who got which connection.
fn one_thread() -> GatewaySetup<Files> {
    Gateway::with_files()
        .server("workers = 1")
        .site("compress = { precompressed = true }")
        .prepare(files)
}

fn increment(by: u32) -> [u8; 4] {
    by.to_be_bytes()
}

/// Asks for `path` on as many streams as there may be, and waits for their heads and for all that the windows let through.
async fn stall(gateway: &Gateway, window: u32, path: &str, more: &[(&str, &str)]) -> Vec<Frames> {
    let mut all = Vec::new();
    for _ in 0..CONNECTIONS {
        let settings = [(INITIAL_WINDOW, window)];
        let mut frames = Frames::open_with(gateway.address(), &settings).await;
        frames.send(WINDOW_UPDATE, 0, 0, &increment(1 << 30)).await;
        for stream in 0..STREAMS {
            frames
                .head(stream * 2 + 1, &request("GET", path, more), true)
                .await;
        }
        let expected = usize::try_from(STREAMS * window).unwrap();
        let (mut heads, mut data) = (0, 0);
        while heads < STREAMS || data < expected {
            let frame = frames.next().await.unwrap();
            match frame.kind {
                HEADERS => heads += 1,
                DATA => data += frame.payload.len(),
                kind => assert!(kind != RST_STREAM && kind != GOAWAY, "{frame:?}"),
            }
        }
        all.push(frames);
    }
    // What is read ahead was read when another request is answered.
    assert_eq!(gateway.get("/tiny.bin").await.text(), "x");
    all
}

/// KiB of a gateway in which so many streams stand still.
async fn held(window: u32, path: &str, more: &[(&str, &str)]) -> u64 {
    let gateway = one_thread().start().await;
    let stalled = stall(&gateway, window, path, more).await;
    let held = gateway.anonymous_kib();
    drop(stalled);
    held
}

#[tokio::test]
async fn a_stream_that_stands_still_holds_no_file() {
    let streams = u64::from(STREAMS * CONNECTIONS);
    let alone = held(0, "/tiny.bin", &[]).await;
    for (way, path, more) in WAYS {
        for (window, most) in [(0, 4), (1, 4), (1000, 4), (16_384, 8)] {
            let more = held(window, path, more).await.saturating_sub(alone);
            assert!(
                more <= most * streams,
                "{way}, window {window}: {more} KiB for {streams} streams"
            );
        }
    }
}

/// Small files, each another, of which the cache keeps few: what a client holds on to is bounded by its share, and all come
/// whole.
#[tokio::test]
async fn small_files_that_nobody_takes_are_counted() {
    const SMALL: usize = 60_000;
    const MEMORY: u64 = 8 << 20;
    let count = usize::try_from(STREAMS * CONNECTIONS).unwrap();
    let gateway = Gateway::with_files()
        .server("workers = 1\nfile_cache = \"1MiB\"")
        .server(&format!("answer_memory = \"{MEMORY}B\""))
        .prepare(|root| {
            for at in 0..count {
                let name = format!("{at}.bin");
                write_below(root, &name, &content()[at..at + SMALL]);
                // Only what has not changed for a while is kept.
                let file = std::fs::File::options().write(true).open(root.join(name));
                file.unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
            }
        });
    let gateway = gateway.start().await;
    let mut all = Vec::new();
    for connection in 0..CONNECTIONS {
        let mut frames = Frames::open_with(gateway.address(), &[(INITIAL_WINDOW, 0)]).await;
        frames.send(WINDOW_UPDATE, 0, 0, &increment(1 << 30)).await;
        for stream in 0..STREAMS {
            let path = format!("/{}.bin", connection * STREAMS + stream);
            frames
                .head(stream * 2 + 1, &request("GET", &path, &[]), true)
                .await;
        }
        for _ in 0..STREAMS {
            frames.until("a head", |frame| frame.kind == HEADERS).await;
        }
        all.push(frames);
    }
    // A stream costs some KiB by itself; the files would be 17 MiB.
    let most = MEMORY / 1024 / 2 + 1024 + 14 * u64::from(STREAMS * CONNECTIONS);
    let held = gateway.anonymous_kib();
    for (at, frames) in (0..).zip(&mut all) {
        for stream in 0..STREAMS {
            let window = increment(1 << 20);
            frames.send(WINDOW_UPDATE, 0, stream * 2 + 1, &window).await;
            let mut got = Vec::new();
            while got.len() < SMALL {
                let frame = frames.until("data", |frame| frame.kind == DATA).await;
                assert_eq!(frame.stream, stream * 2 + 1);
                got.extend(frame.payload);
            }
            let first = usize::try_from(at * STREAMS + stream).unwrap();
            assert!(got == content()[first..first + SMALL]);
        }
    }
    assert!(held <= most + 8 * 1024, "{held} KiB, at most {most}");
}

#[tokio::test]
async fn a_stream_goes_on_where_it_stood() {
    let gateway = one_thread().start().await;
    let mut frames = Frames::open_with(gateway.address(), &[(INITIAL_WINDOW, 1)]).await;
    frames.send(WINDOW_UPDATE, 0, 0, &increment(1 << 30)).await;
    for stream in [1, 3] {
        frames
            .head(stream, &request("GET", "/large.bin", &[]), true)
            .await;
    }
    let mut got = [Vec::new(), Vec::new()];
    let mut ended = [false; 2];
    // Windows as they come: one byte, some, a frame, more than one, all.
    let mut steps = [1, 255, 256, 16_384, 40_000, 100, 300_000, 1 << 20].into_iter();
    let mut windows = 1;
    while ended != [true; 2] {
        if got.iter().all(|got| got.len() >= windows.min(LARGE)) && windows < LARGE {
            let step = steps.next().unwrap();
            windows += usize::try_from(step).unwrap();
            for stream in [1, 3] {
                frames
                    .send(WINDOW_UPDATE, 0, stream, &increment(step))
                    .await;
            }
        }
        let frame = frames.next().await.unwrap();
        let which = usize::try_from(frame.stream / 2).unwrap();
        if frame.kind == DATA {
            got[which].extend_from_slice(&frame.payload);
            assert!(got[which].len() <= windows);
        }
        if frame.ends() {
            ended[which] = true;
        }
    }
    assert!(got.iter().all(|got| *got == content()));
}

/// The stream ends with an error, and what was sent until then is the file; others go on.
#[tokio::test]
async fn a_file_that_changes_under_a_stream_breaks_that_stream() {
    let shorten = |file: &std::fs::File| file.set_len(20_000).unwrap();
    let overwrite = |file: &std::fs::File| file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let changes: [&dyn Fn(&std::fs::File); 2] = [&shorten, &overwrite];
    for change in changes {
        let gateway = one_thread().start().await;
        let mut frames = Frames::open_with(gateway.address(), &[(INITIAL_WINDOW, 16_384)]).await;
        frames.send(WINDOW_UPDATE, 0, 0, &increment(1 << 30)).await;
        frames
            .head(1, &request("GET", "/large.bin", &[]), true)
            .await;
        let first = frames
            .until("the first frame", |frame| frame.kind == DATA)
            .await;
        assert_eq!(first.payload, content()[..16_384]);
        let path = gateway.directory().join("public/large.bin");
        change(&std::fs::File::options().write(true).open(path).unwrap());
        frames.send(WINDOW_UPDATE, 0, 1, &increment(1 << 24)).await;
        let mut after = 0;
        let reset = loop {
            let frame = frames.next().await.unwrap();
            match frame.kind {
                DATA => after += frame.payload.len(),
                RST_STREAM => break frame,
                _ => {}
            }
            assert!(!frame.ends(), "the end of a file that is another");
        };
        // RFC 9113 §7: INTERNAL_ERROR, behind the frame that was begun.
        assert_eq!((reset.stream, reset.error_code()), (1, 2));
        assert!(after <= 2 * 16_384, "{after} bytes that are not the file's");
        frames
            .head(3, &request("GET", "/tiny.bin", &[]), true)
            .await;
        let whole = frames
            .until("another answer", |frame| frame.kind == DATA)
            .await;
        assert_eq!(whole.payload, b"x");
    }
}

/// TLS, where the kernel sends no files: HTTP/1 that reads nothing, and HTTP/2 whose windows are open.
#[tokio::test]
async fn a_connection_with_tls_that_is_not_read_holds_little() {
    const MANY: u64 = 30;
    for (protocol, most) in [("http/1.1", 64), ("h2", 96)] {
        let mut held = Vec::new();
        for path in ["/tiny.bin", "/huge.bin"] {
            let authority = Authority::new();
            let gateway = over_tls(&authority).server("workers = 1").start().await;
            let client = TlsClient::new(&authority);
            let mut all = Vec::new();
            for _ in 0..MANY {
                let mut stream = client
                    .connect(gateway.address(), "localhost", protocol)
                    .await
                    .unwrap();
                let asked = match protocol {
                    "h2" => h2_request(path),
                    _ => format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes(),
                };
                stream.write_all(&asked).await.unwrap();
                stream.flush().await.unwrap();
                all.push(stream);
            }
            held.push(gateway.settled_kib().await);
            drop(all);
        }
        let more = held[1].saturating_sub(held[0]);
        assert!(more <= most * MANY, "{protocol}: {more} KiB for {MANY}");
    }
}

/// A preface, windows of 1 GiB, and a request (RFC 9113 §3.4).
fn h2_request(path: &str) -> Vec<u8> {
    let mut settings = INITIAL_WINDOW.to_be_bytes().to_vec();
    settings.extend(increment(1 << 30));
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(Frame::bytes(4, 0, 0, &settings));
    bytes.extend(Frame::bytes(WINDOW_UPDATE, 0, 0, &increment(1 << 30)));
    let head = block(&request("GET", path, &[]));
    bytes.extend(Frame::bytes(HEADERS, END_HEADERS | END_STREAM, 1, &head));
    bytes
}

/// Over TLS on HTTP/1 files come as they are, and one that changes is never whole.
#[tokio::test]
async fn files_over_tls_are_whole_or_seen_to_be_not() {
    let authority = Authority::new();
    let gateway = over_tls(&authority).start().await;
    let client = TlsClient::new(&authority);
    let mut connection: Connection = client.http1(gateway.address(), "localhost").await;
    let ranged = Request::get("/large.bin").field("Range", "bytes=100-70000,80000-90000");
    for (asked, expected) in [
        (Request::get("/large.bin"), content()),
        (Request::get("/huge.bin"), content().repeat(16)),
    ] {
        let whole = connection.send(&asked).await;
        assert!(whole.whole && whole.body == expected);
    }
    let parts = connection.send(&ranged).await;
    let first = &content()[100..=70_000];
    assert!(parts.whole && parts.body.windows(first.len()).any(|part| part == first));

    let mut connection = client.http1(gateway.address(), "localhost").await;
    connection.start(&Request::get("/huge.bin")).await;
    connection.head().await;
    let path = gateway.directory().join("public/huge.bin");
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let mut length = 0;
    let broke = loop {
        match connection.piece().await {
            Ok(Some(piece)) => length += piece.len(),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broke && length < 16 * LARGE, "{length} bytes");
}
