//! HTTP/2 below what a well-behaved client library can say: wrong heads, lengths that lie, floods, and clients that do
//! not read (RFC 9113 §5.1.2, §6, §8.1, §8.2, §10.5).

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::h2_frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, FRAME_SIZE_ERROR, Frame, Frames, GOAWAY,
    HEADERS, Outcome, PING, PROTOCOL_ERROR, REFUSED_STREAM, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    block, request,
};
use crate::harness::scripted_responder::Received;
use crate::harness::{Gate, Gateway, Request, Script, ScriptedResponder, patiently};

/// What a flood may add to the gateway's memory, in KiB. A debug build that answers streams has a few MiB.
const FLOODED_KIB: u64 = 32 * 1024;

const SITE: &str = "[[site]]\nrule = [{ respond = { body = \"fixed\" } }]\n";

fn answered(status: u16, data: usize) -> Outcome {
    Outcome::Answered { status, data }
}

/// The memory at its peak is bounded, and somebody else is served.
async fn stays_well(gateway: &Gateway, before: u64) {
    let response = patiently("another client", gateway.get("/")).await;
    assert_eq!(response.status, 200, "another client");
    let grown = gateway.peak_rss_kib().saturating_sub(before);
    assert!(grown < FLOODED_KIB, "grown by {grown} KiB");
}

/// Writes `bytes` again and again until the connection ends or takes nothing more; how often it went.
async fn flood(frames: &mut Frames, bytes: &[u8], times: usize) -> usize {
    for time in 0..times {
        let wrote = tokio::time::timeout(Duration::from_secs(1), frames.try_raw(bytes)).await;
        if !matches!(wrote, Ok(Ok(()))) {
            return time;
        }
    }
    times
}

/// Waits until the gateway has read everything; the error with which it ended the connection instead.
async fn all_taken(frames: &mut Frames) -> Option<u32> {
    let ping = Frame::bytes(PING, 0, 0, b"the last");
    if frames.try_raw(&ping).await.is_err() {
        return frames.ended().await;
    }
    while let Some(frame) = frames.next().await {
        match frame.kind {
            PING if frame.payload == b"the last" => return None,
            GOAWAY => return Some(frame.error_code()),
            _ => {}
        }
    }
    None
}

/// Name and head of each.
fn malformed() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    let path = (":path", "/");
    let (method, scheme) = ((":method", "GET"), (":scheme", "http"));
    let authority = (":authority", "localhost");
    let with = |field| vec![method, scheme, authority, path, field];
    vec![
        ("§8.2.1 upper case", with(("X-Upper", "1"))),
        ("§8.2.2 connection", with(("connection", "close"))),
        ("§8.2.2 keep-alive", with(("keep-alive", "5"))),
        ("§8.2.2 proxy", with(("proxy-connection", "close"))),
        ("§8.2.2 coding", with(("transfer-encoding", "chunked"))),
        ("§8.2.2 upgrade", with(("upgrade", "h2c"))),
        ("§8.2.2 te", with(("te", "gzip"))),
        ("§8.2.1 name", with(("a b", "1"))),
        ("§8.2.1 empty name", with(("", "1"))),
        ("§8.2.1 CR LF", with(("x-a", "1\r\nx-b: 2"))),
        ("§8.2.1 NUL", with(("x-a", "1\0"))),
        ("§8.3.1 no path", vec![method, scheme, authority]),
        (
            "§8.3.1 empty path",
            vec![method, scheme, authority, (":path", "")],
        ),
        ("§8.3.1 no method", vec![scheme, authority, path]),
        ("§8.3.1 no scheme", vec![method, authority, path]),
        ("§8.3.1 two paths", with(path)),
        ("§8.3.1 two methods", with(method)),
        (
            "§8.3 late",
            vec![method, scheme, authority, ("x-a", "1"), path],
        ),
        ("§8.3 unknown", with((":unknown", "1"))),
        ("§8.3 of answers", with((":status", "200"))),
        ("§8.3.1 differing host", with(("host", "other.example"))),
        (
            "two hosts",
            vec![method, scheme, path, ("host", "a"), ("host", "b")],
        ),
    ]
}

#[tokio::test]
async fn heads_that_are_malformed_are_errors_and_reach_nobody() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\nok")]).start().await;
    for (name, head) in malformed() {
        let mut frames = Frames::open(gateway.address()).await;
        frames.head(1, &head, true).await;
        let outcome = frames.outcome(1).await;
        let refused = matches!(
            outcome,
            Outcome::Reset(PROTOCOL_ERROR)
                | Outcome::Gone(Some(PROTOCOL_ERROR))
                | Outcome::Answered { status: 400, .. }
        );
        assert!(refused, "{name}: {outcome:?}");
        // §5.4.2 lets an error of a stream end the connection.
        if matches!(outcome, Outcome::Gone(_)) {
            continue;
        }
        frames.head(3, &request("GET", "/next", &[]), true).await;
        assert_eq!(frames.outcome(3).await, answered(200, 2), "after {name}");
    }
    let all_right = |seen: &Received| seen.param("REQUEST_URI") == "/next";
    assert!(responder.requests().iter().all(all_right));
}

#[tokio::test]
async fn connect_is_refused_in_both_forms() {
    let gateway = Gateway::start(SITE).await;
    let plain = vec![(":method", "CONNECT"), (":authority", "localhost:443")];
    let extended = request("CONNECT", "/chat", &[(":protocol", "websocket")]);
    for head in [plain, extended] {
        let mut frames = Frames::open(gateway.address()).await;
        frames.head(1, &head, false).await;
        let outcome = frames.outcome(1).await;
        let refused = matches!(
            outcome,
            Outcome::Reset(PROTOCOL_ERROR)
                | Outcome::Answered {
                    status: 400..=501,
                    ..
                }
        );
        assert!(refused, "{head:?}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_length_that_lies_never_reaches_the_application() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\nok")]).start().await;
    // RFC 9113 §8.1.1.
    for (length, sent) in [("9", "12345"), ("3", "12345"), ("5", "")] {
        let mut frames = Frames::open(gateway.address()).await;
        let head = request("POST", "/lie", &[("content-length", length)]);
        frames.head(1, &head, false).await;
        frames.send(DATA, END_STREAM, 1, sent.as_bytes()).await;
        let outcome = frames.outcome(1).await;
        let refused = matches!(
            outcome,
            Outcome::Reset(PROTOCOL_ERROR) | Outcome::Answered { status: 400, .. }
        );
        assert!(refused, "{length} and {sent:?}: {outcome:?}");
        frames.head(3, &request("GET", "/", &[]), true).await;
        assert_eq!(frames.outcome(3).await, answered(200, 2));
    }
    let mut frames = Frames::open(gateway.address()).await;
    let head = request("POST", "/lie", &[("content-length", "5")]);
    frames.head(1, &head, true).await;
    let outcome = frames.outcome(1).await;
    assert!(
        !matches!(outcome, Outcome::Answered { status: 200, .. }),
        "{outcome:?}"
    );
    let lies = responder.requests();
    let lies = lies
        .iter()
        .filter(|seen| seen.param("REQUEST_URI") == "/lie");
    assert_eq!(lies.count(), 0);
}

#[tokio::test]
async fn cookie_crumbs_become_one_field() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\nok")]).start().await;
    let mut frames = Frames::open(gateway.address()).await;
    let crumbs = [
        ("cookie", "a=1"),
        ("x-between", "1"),
        ("cookie", "b=2; c=3"),
        ("te", "trailers"),
    ];
    frames.head(1, &request("GET", "/", &crumbs), true).await;
    assert_eq!(frames.outcome(1).await, answered(200, 2));
    // RFC 9113 §8.2.3.
    assert_eq!(
        responder.requests()[0].param("HTTP_COOKIE"),
        "a=1; b=2; c=3"
    );
}

#[tokio::test]
async fn answers_without_content_have_no_data() {
    let scripts = [
        Script::answer("\nnot for HEAD"),
        Script::answer("Status: 204\n\n"),
        Script::answer("Status: 304\n\n"),
    ];
    let (_responder, gateway) = Gateway::with_app(scripts).start().await;
    let mut frames = Frames::open(gateway.address()).await;
    for (stream, method, expected) in [(1, "HEAD", 200), (3, "GET", 204), (5, "GET", 304)] {
        frames.head(stream, &request(method, "/", &[]), true).await;
        let head = frames
            .until("the head", |frame| frame.stream == stream)
            .await;
        assert_eq!((head.status(), head.ends()), (expected, true), "{method}");
    }
}

#[tokio::test]
async fn the_129th_stream_at_once_is_refused() {
    let gate = Gate::new();
    let held = Script::held(&gate, "\nok");
    let (responder, gateway) = Gateway::with_app([held])
        .upstream("capacity = 128")
        .start()
        .await;
    let mut frames = Frames::open(gateway.address()).await;
    for number in 0..128 {
        frames
            .head(1 + 2 * number, &request("GET", "/", &[]), true)
            .await;
    }
    responder
        .wait_until("128 requests", |seen| seen.busy == 128)
        .await;
    frames.head(257, &request("GET", "/", &[]), true).await;
    // RFC 9113 §5.1.2.
    assert_eq!(frames.outcome(257).await, Outcome::Reset(REFUSED_STREAM));
    gate.pass(128);
    for _ in 0..128 {
        frames.until("an answer", Frame::ends).await;
    }
    assert_eq!(responder.requests().len(), 128);
}

#[tokio::test]
async fn a_head_beyond_the_limit_is_refused_and_the_next_one_served() {
    let gateway = Gateway::start(SITE).await;
    let mut frames = Frames::open(gateway.address()).await;
    let value = "x".repeat(15_000);
    let large = [("x-a", value.as_str()); 5];
    let block = block(&request("GET", "/", &large));
    let mut pieces = block.chunks(16_384);
    frames
        .send(HEADERS, END_STREAM, 1, pieces.next().unwrap())
        .await;
    for piece in pieces {
        frames.send(CONTINUATION, 0, 1, piece).await;
    }
    frames.send(CONTINUATION, END_HEADERS, 1, &[]).await;
    assert_eq!(frames.outcome(1).await, answered(431, 0));
    frames.head(3, &request("GET", "/", &[]), true).await;
    assert_eq!(frames.outcome(3).await, answered(200, 5));
}

#[tokio::test]
async fn a_flood_of_continuation_ends_the_connection() {
    let gateway = Gateway::start(SITE).await;
    for piece in [&[][..], &block(&[("x-a", &"x".repeat(16_000))])] {
        let before = gateway.rss_kib();
        let mut frames = Frames::open(gateway.address()).await;
        let head = block(&request("GET", "/", &[]));
        frames.send(HEADERS, END_STREAM, 1, &head).await;
        let continuation = Frame::bytes(CONTINUATION, 0, 1, piece);
        let times = flood(&mut frames, &continuation, 20_000).await;
        let error = frames.ended().await;
        assert!(
            times < 20_000 || error.is_some(),
            "{times} went, then {error:?}"
        );
        stays_well(&gateway, before).await;
    }
}

#[tokio::test]
async fn a_flood_of_resets_is_bounded() {
    let (_responder, gateway) = Gateway::with_app([Script::answer("\nok")])
        .upstream("capacity = 4")
        .start()
        .await;
    let before = gateway.rss_kib();
    let mut frames = Frames::open(gateway.address()).await;
    let head = block(&request("GET", "/", &[]));
    for number in 0..5_000 {
        let stream = 1 + 2 * number;
        let mut both = Frame::bytes(HEADERS, END_HEADERS | END_STREAM, stream, &head);
        both.extend(Frame::bytes(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        if frames.try_raw(&both).await.is_err() {
            break;
        }
    }
    assert_ne!(all_taken(&mut frames).await, Some(PROTOCOL_ERROR));
    stays_well(&gateway, before).await;
}

#[tokio::test]
async fn floods_of_ping_and_settings_are_bounded() {
    let gateway = Gateway::start(SITE).await;
    let ping = Frame::bytes(PING, 0, 0, &[7; 8]).repeat(100);
    let settings = Frame::bytes(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255]).repeat(100);
    let window = Frame::bytes(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(100);
    for bytes in [ping, settings, window] {
        let before = gateway.rss_kib();
        let mut frames = Frames::open(gateway.address()).await;
        // Nothing is read: what the gateway acknowledges stays with it.
        if flood(&mut frames, &bytes, 20_000).await == 20_000 {
            all_taken(&mut frames).await;
        }
        stays_well(&gateway, before).await;
    }
}

#[tokio::test]
async fn sixty_four_answers_that_nobody_reads_stay_small() {
    let large = Script::answer([b"\n".to_vec(), vec![b'x'; 8 * 1024 * 1024]].concat());
    let responder = ScriptedResponder::start([large]).await;
    let site = responder.site("capacity = 64\nresponse_buffer = \"0B\"");
    let gateway = Gateway::start(&site).await;
    let before = gateway.rss_kib();
    // Windows of 1 GiB for each stream (RFC 9113 §6.5.2), and nothing for the connection.
    let mut frames = Frames::open_with(gateway.address(), &[(4, 1 << 30)]).await;
    for number in 0..64 {
        frames
            .head(1 + 2 * number, &request("GET", "/", &[]), true)
            .await;
    }
    responder
        .wait_until("64 requests", |seen| {
            seen.requests
                .iter()
                .filter(|request| request.complete)
                .count()
                == 64
        })
        .await;
    frames
        .until("the window to be used", |frame| frame.kind == DATA)
        .await;
    gateway.settled_kib().await;
    assert_eq!(responder.seen().busy, 64, "the applications wait");
    let grown = gateway.peak_rss_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "grown by {grown} KiB");
}

#[tokio::test]
async fn a_stream_without_a_window_gives_its_worker_back() {
    let large = Script::answer([b"\n".to_vec(), vec![b'x'; 8 * 1024 * 1024]].concat());
    let small = Script::answer("\nsmall");
    let responder = ScriptedResponder::start([large.clone(), large, small]).await;
    let site = responder.site("capacity = 2\ntimeouts = { queue = \"60s\" }");
    let gateway = Gateway::start(&format!(
        "[server]\nlimits = {{ send_pause = \"1s\" }}\n{site}"
    ))
    .await;
    // One stream without any window, one that had some and got no more.
    let mut without = Frames::open_with(gateway.address(), &[(4, 0)]).await;
    without.head(1, &request("GET", "/", &[]), true).await;
    let mut some = Frames::open(gateway.address()).await;
    some.head(1, &request("GET", "/", &[]), true).await;
    responder
        .wait_until("two requests", |seen| seen.busy == 2)
        .await;
    // The connections are not idle: only the streams are.
    let keep_busy = async {
        loop {
            for frames in [&mut without, &mut some] {
                frames.send(PING, 0, 0, b"not idle").await;
            }
            // Ten in one limits.send_pause.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        response = gateway.get("/") => assert_eq!(response.text(), "small"),
        () = keep_busy => {}
    }
}

#[tokio::test]
async fn sigterm_says_goaway_and_a_stream_in_flight_finishes() {
    let gate = Gate::new();
    let held = Script::held(&gate, "\nok");
    let responder = ScriptedResponder::start([held]).await;
    let mut gateway = Gateway::start(&responder.site("")).await;
    let mut frames = Frames::open(gateway.address()).await;
    frames.head(1, &request("GET", "/", &[]), true).await;
    responder
        .wait_until("the request", |seen| seen.busy == 1)
        .await;
    gateway.signal(Signal::SIGTERM);
    let goaway = frames.until("GOAWAY", |frame| frame.kind == GOAWAY).await;
    assert_eq!(goaway.error_code(), 0);
    // RFC 9113 §6.8: a PING finds out what was on its way when the first was sent.
    let ping = frames.until("PING", |frame| frame.kind == PING).await;
    frames.send(PING, ACK, 0, &ping.payload).await;
    let last = frames.until("GOAWAY", |frame| frame.kind == GOAWAY).await;
    assert_eq!(
        last.payload[..4],
        [0, 0, 0, 1],
        "the last stream that counts"
    );
    gate.pass(1);
    assert_eq!(frames.outcome(1).await, answered(200, 2));
    assert_eq!(frames.ended().await, None);
    assert!(gateway.ended().await.success());
}

/// `asks` requests, and then the beginning of one where it is `unfinished`; whether the client `answers` the PING.
async fn rests_too_long(gateway: &Gateway, (asks, answers, unfinished): (u8, bool, bool)) {
    let mut frames = Frames::open(gateway.address()).await;
    if asks == 1 {
        frames.head(1, &request("GET", "/", &[]), true).await;
        assert_eq!(frames.outcome(1).await, answered(200, 5));
    }
    if unfinished {
        let head = block(&request("GET", "/", &[]));
        frames.send(HEADERS, END_STREAM, 3, &head).await;
    }
    let case = format!("{asks} requests, answers {answers}, unfinished {unfinished}");
    let goaway = frames.until("GOAWAY", |frame| frame.kind == GOAWAY).await;
    assert_eq!(goaway.error_code(), 0, "{case}");
    // Within a head nothing but its rest may come (RFC 9113 §6.10).
    if answers && !unfinished {
        let ping = frames.until("PING", |frame| frame.kind == PING).await;
        frames.send(PING, ACK, 0, &ping.payload).await;
        let last = frames.until("GOAWAY", |frame| frame.kind == GOAWAY).await;
        assert_eq!(last.payload, [0, 0, 0, asks, 0, 0, 0, 0], "{case}");
    }
    assert_eq!(frames.ended().await, None, "{case}");
}

#[tokio::test]
async fn a_connection_that_rests_too_long_ends_with_goaway() {
    let limits = "[server]\nlimits = { keep_alive = \"2s\" }\n";
    let gateway = Gateway::start(&format!("{limits}{SITE}")).await;
    let cases = [
        (1, true, false),
        (0, true, false),
        (1, false, false),
        (0, false, false),
        (1, true, true),
        (0, false, true),
    ];
    let resting = cases.map(|case| rests_too_long(&gateway, case));
    futures_util::future::join_all(resting).await;
}

#[tokio::test]
async fn a_request_on_its_way_when_a_connection_rests_too_long_is_answered() {
    let limits = "[server]\nlimits = { keep_alive = \"500ms\" }\n";
    let gateway = Gateway::start(&format!("{limits}{SITE}")).await;
    let mut frames = Frames::open(gateway.address()).await;
    frames.until("GOAWAY", |frame| frame.kind == GOAWAY).await;
    let ping = frames.until("PING", |frame| frame.kind == PING).await;
    frames.head(1, &request("GET", "/", &[]), true).await;
    frames.send(PING, ACK, 0, &ping.payload).await;
    assert_eq!(frames.outcome(1).await, answered(200, 5));
    // The second GOAWAY comes before the answer or behind it.
    assert!(matches!(frames.ended().await, None | Some(0)));
}

/// A frame that is wrong in its size or its compression, by type, flags, stream and content.
type Wrong = (&'static str, u8, u8, u32, &'static [u8]);

const WHOLE: u8 = END_HEADERS | END_STREAM;

/// RFC 9113 §4.2, §6: FRAME_SIZE_ERROR.
const WRONG_SIZES: [Wrong; 5] = [
    ("a PING of 7", PING, 0, 0, &[0; 7]),
    ("SETTINGS of 5", SETTINGS, 0, 0, &[0; 5]),
    ("an ACK of 6", SETTINGS, ACK, 0, &[0; 6]),
    ("WINDOW_UPDATE of 3", WINDOW_UPDATE, 0, 0, &[0; 3]),
    ("RST_STREAM of 3", RST_STREAM, 0, 1, &[0; 3]),
];

/// RFC 9113 §4.3: COMPRESSION_ERROR.
const WRONG_BLOCKS: [Wrong; 3] = [
    ("index 0", HEADERS, WHOLE, 1, &[0x80]),
    ("an unknown index", HEADERS, WHOLE, 1, &[0xff, 0x7f]),
    ("a cut literal", HEADERS, WHOLE, 1, &[0, 9, b'x']),
];

/// What h2 says of them: tests/bench/upstream/h2-error-codes.md, of which a line may go when this fails.
#[tokio::test]
async fn errors_of_frames_and_of_compression_have_the_codes_of_h2() {
    let gateway = Gateway::start(SITE).await;
    let wrong = WRONG_SIZES.iter().chain(&WRONG_BLOCKS);
    for (name, kind, flags, stream, payload) in wrong {
        let mut frames = Frames::open(gateway.address()).await;
        frames.send(*kind, *flags, *stream, payload).await;
        assert_eq!(frames.ended().await, Some(PROTOCOL_ERROR), "{name}");
    }
    let mut frames = Frames::open(gateway.address()).await;
    frames.send(DATA, 0, 1, &[0; 16_385]).await;
    assert_eq!(frames.ended().await, Some(FRAME_SIZE_ERROR));
}

#[tokio::test]
async fn a_get_after_a_wrong_client_is_served() {
    let gateway = Gateway::start(SITE).await;
    let mut frames = Frames::open(gateway.address()).await;
    // RFC 9113 §6.1: DATA belongs to a stream.
    frames.send(DATA, 0, 0, b"x").await;
    assert_eq!(frames.ended().await, Some(PROTOCOL_ERROR));
    assert_eq!(gateway.send(&Request::get("/")).await.text(), "fixed");
}
