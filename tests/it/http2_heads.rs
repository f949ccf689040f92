//! Heads of HTTP/2 requests, whose fields are compressed and of which many are there at once: what they become is
//! bounded, not what they were sent as (RFC 7541 §7.3, RFC 9113 §10.5.1).

use crate::harness::h2_frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, Outcome, block, request,
};
use crate::harness::{Gate, Gateway, Request, Script, ScriptedResponder, http2};

/// RFC 7541 §6.2.1: a literal that goes into the dynamic table, and §6.1: that entry again.
fn indexed(name: &str, value: &str) -> Vec<u8> {
    let mut literal = block(&[(name, value)]);
    literal[0] = 0x40;
    literal
}
const AGAIN: u8 = 0x80 | 62;

#[tokio::test]
async fn a_head_is_what_it_becomes() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\nok")]).start().await;
    let begun = block(&request("GET", "/bomb", &[]));
    // A few bytes each, and what they stand for: many fields, and many bytes.
    for (value, times) in [
        ("1", 99),
        ("1", 100),
        ("1", 800),
        ("x".repeat(3900).as_str(), 16),
        ("", 15_000),
    ] {
        let mut head = [begun.clone(), indexed("x-again", value)].concat();
        head.extend(vec![AGAIN; times]);
        let mut frames = Frames::open(gateway.address()).await;
        let before = gateway.peak_rss_kib();
        frames
            .send(HEADERS, END_STREAM | END_HEADERS, 1, &head)
            .await;
        let outcome = frames.outcome(1).await;
        let refused = matches!(outcome, Outcome::Answered { status: 431, .. });
        // RFC 9113 §7: ENHANCE_YOUR_CALM, for what is far over all bounds.
        let gone = outcome == Outcome::Gone(Some(11));
        assert!(refused || gone, "{times}: {outcome:?}");
        if gone {
            frames = Frames::open(gateway.address()).await;
        }
        let grown = gateway.peak_rss_kib() - before;
        assert!(grown < 4096, "{times}: grown by {grown} KiB");
        frames.head(3, &request("GET", "/next", &[]), true).await;
        let next = frames.outcome(3).await;
        assert_eq!(
            next,
            Outcome::Answered {
                status: 200,
                data: 2
            },
            "{times}"
        );
    }
    let requests = responder.requests();
    assert!(
        requests
            .iter()
            .all(|seen| seen.param("REQUEST_URI") == "/next")
    );
}

#[tokio::test]
async fn trailers_reach_nobody() {
    let responder =
        ScriptedResponder::start([Script::new().read_request().stdout("\nok").end_request()]).await;
    let gateway = Gateway::start(&responder.site("")).await;
    let many: Vec<_> = (0..800)
        .map(|number| (format!("x-{number}"), "1"))
        .collect();
    let many: Vec<_> = many
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let mut frames = Frames::open(gateway.address()).await;
    frames.head(1, &request("POST", "/", &[]), false).await;
    frames.send(DATA, 0, 1, b"content").await;
    frames
        .send(HEADERS, END_STREAM | END_HEADERS, 1, &block(&many))
        .await;
    // Over the bound or not, they are no part of the request.
    let outcome = frames.outcome(1).await;
    assert!(!matches!(outcome, Outcome::Gone(_)), "{outcome:?}");
    for seen in responder.requests() {
        assert!(
            seen.params
                .iter()
                .all(|(name, _)| name == "HTTP_X_REQUEST_ID" || !name.starts_with("HTTP_X_"))
        );
    }
    frames.head(3, &request("GET", "/", &[]), true).await;
    assert!(matches!(
        frames.outcome(3).await,
        Outcome::Answered { status: 200, .. }
    ));
}

/// Heads of which a part is there, as many as a connection has streams for, are one head: nothing may come between the
/// frames of one (RFC 9113 §4.3).
#[tokio::test]
async fn only_one_head_is_on_its_way() {
    let gateway = Gateway::start("[[site]]\nrule = [{ respond = { body = \"fixed\" } }]\n").await;
    let mut frames = Frames::open(gateway.address()).await;
    let head = block(&request("GET", "/", &[]));
    frames.send(HEADERS, END_STREAM, 1, &head).await;
    frames
        .send(HEADERS, END_STREAM | END_HEADERS, 3, &head)
        .await;
    assert_eq!(frames.ended().await, Some(1), "PROTOCOL_ERROR");
}

/// Sends a request without content whose head is larger than a frame.
async fn in_pieces(frames: &mut Frames, stream: u32, head: &[u8]) {
    let (first, rest) = head.split_at(16_384);
    frames.send(HEADERS, END_STREAM, stream, first).await;
    for piece in rest.chunks(16_384) {
        frames.send(CONTINUATION, 0, stream, piece).await;
    }
    frames.send(CONTINUATION, END_HEADERS, stream, &[]).await;
}

/// What requests hold that wait for PHP: heads of 60 KB each, on as many streams as there are.
#[tokio::test]
async fn heads_that_wait_are_bounded_for_each_client() {
    let gate = Gate::new();
    let script = Script::held(&gate, "\nok");
    let responder = ScriptedResponder::start([script]).await;
    let site = responder.site("capacity = 1");
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("web.sock");
    let listen = format!("[[listen]]\naddress = \"unix:{}\"\n", socket.display());
    let config = format!(
        "[server]\nbody_memory = \"4MiB\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n{listen}{site}"
    );
    let gateway = Gateway::start(&config).await;
    let before = gateway.rss_kib();
    let value = "x".repeat(15_000);
    let large = [("x-a", value.as_str()); 4];
    let head = block(&request("GET", "/", &large));
    let mut all = Vec::new();
    for _ in 0..4 {
        let mut frames = Frames::open(gateway.address()).await;
        for number in 0..100 {
            in_pieces(&mut frames, 2 * number + 1, &head).await;
        }
        // Those that found no room are answered at once, and those that did wait: some 34 have half of all, and no other.
        let least = if all.is_empty() { 60 } else { 95 };
        for _ in 0..least {
            // The first says its status, the others by an index into what was said.
            frames
                .until("a refusal", |frame| frame.kind == HEADERS)
                .await;
        }
        all.push(frames);
    }
    let grown = gateway.rss_kib().saturating_sub(before);
    assert!(grown < 32 * 1024, "grown by {grown} KiB");
    // Somebody else finds room, and what was given back is there again.
    gate.pass(500);
    let other = http2::send(&gateway.addresses()[1], &Request::get("/")).await;
    assert_eq!(other.text(), "ok", "another client");
    drop(all);
    let again = http2::send(gateway.address(), &Request::get("/")).await;
    assert_eq!(again.text(), "ok");
}
