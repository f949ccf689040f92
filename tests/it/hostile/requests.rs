//! Requests that are too large, too many, or no requests at all.

use std::time::Duration;

use super::arena::{Arena, Bounds, Setup};
use crate::harness::attackers::Siege;
use crate::harness::h2_frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, Frames, HEADERS, Outcome, PING, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, block, request,
};
use crate::harness::{Gateway, Script};

const PRIORITY: u8 = 2;

#[tokio::test]
async fn no_more_fields_reach_php_than_the_key_allows() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\nok")]).start().await;
    let names: Vec<_> = (0..800).map(|number| format!("x-{number}")).collect();
    let different: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
    for (name, fields) in [
        ("different", different),
        ("the same", vec![("x-a", "1"); 800]),
        ("empty", vec![("x-a", ""); 800]),
        ("lists", vec![("accept-language", "en"); 800]),
    ] {
        let mut frames = Frames::open(gateway.address()).await;
        let fields = request("GET", "/", &fields);
        frames.head(1, &fields, true).await;
        let outcome = frames.outcome(1).await;
        assert!(
            matches!(outcome, Outcome::Answered { status: 431, .. }),
            "{name}: {outcome:?}"
        );
    }
    assert_eq!(responder.requests(), []);
}

/// A request and what takes it back.
fn reset(stream: u32, target: &str) -> Vec<u8> {
    let fields = block(&request("GET", target, &[]));
    let mut bytes = Frame::bytes(HEADERS, END_HEADERS | END_STREAM, stream, &fields);
    bytes.extend(Frame::bytes(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    bytes
}

#[tokio::test]
async fn floods_of_frames_that_ask_for_nothing_hold_nobody_up() {
    let arena = Arena::new(Setup::default()).await;
    let upload = block(&request("POST", "/upload.php", &[]));
    let upload = |flags| Frame::bytes(HEADERS, flags, 1, &upload);
    let none: Vec<u8> = Vec::new();
    let resets = |target| (0..5000).flat_map(move |number| reset(2 * number + 1, target));
    for (name, begin, again) in [
        ("PING", none.clone(), Frame::bytes(PING, 0, 0, &[0; 8])),
        ("SETTINGS", none.clone(), Frame::bytes(SETTINGS, 0, 0, &[])),
        (
            "PRIORITY",
            none.clone(),
            Frame::bytes(PRIORITY, 0, 9, &[0, 0, 0, 3, 1]),
        ),
        (
            "WINDOW_UPDATE",
            none.clone(),
            Frame::bytes(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
        ),
        (
            "empty DATA",
            upload(END_HEADERS),
            Frame::bytes(DATA, 0, 1, &[]),
        ),
        (
            "empty CONTINUATION",
            upload(0),
            Frame::bytes(CONTINUATION, 0, 1, &[]),
        ),
        ("resets, files", resets("/1m.bin").collect(), none.clone()),
        ("resets, PHP", resets("/hello.php").collect(), none.clone()),
    ] {
        let again = again.repeat(100);
        let attackers = arena.attackers();
        arena
            .withstands_within(FLOODED, name, attackers.flood(2, &begin, &again))
            .await;
    }
}

/// Two clients that send as fast as they can, on the bystander's processors.
const FLOODED: Bounds = Bounds {
    wait: Duration::from_secs(3),
    median: Duration::from_secs(1),
    memory: 60,
};

#[tokio::test]
async fn trailers_and_ranges_cost_nobody_else() {
    let arena = Arena::new(Setup::default()).await;
    let trailers = vec![("x-trailer", "0123456789012345"); 90];
    let trailers = block(&trailers);
    let fields = block(&request("POST", "/upload.php", &[]));
    let uploads = (0..100).flat_map(|number| {
        let stream = 2 * number + 1;
        let mut bytes = Frame::bytes(HEADERS, END_HEADERS, stream, &fields);
        bytes.extend(Frame::bytes(DATA, 0, stream, b"abc"));
        bytes.extend(Frame::bytes(
            HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            &trailers,
        ));
        bytes
    });
    let uploads: Vec<u8> = uploads.collect();
    let attackers = arena.attackers();
    arena
        .withstands("trailers", attackers.flood(4, &uploads, &[]))
        .await;
    let ranges: Vec<_> = (0..1000).map(|n| format!("{n}-{}", n + 900_000)).collect();
    let ranges = format!(
        "GET /1m.bin HTTP/1.1\r\nHost: localhost\r\nRange: bytes={}\r\n\r\n",
        ranges.join(",")
    );
    let attack = async {
        let read = attackers
            .greedy(20, ranges.clone().into_bytes().leak())
            .await;
        let cramped = arena.attackers().cramped();
        read.and(cramped.mute(50, ranges.repeat(3)).await)
    };
    arena.withstands("ranges", attack).await;
    let half = "GET /8m.bin HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let attack = async {
        let attackers = arena.attackers().cramped();
        let mut siege = Siege::default();
        for _ in 0..4 {
            siege = siege.and(attackers.half_closed(50, half).await);
        }
        siege
    };
    arena.withstands("half-closed", attack).await;
}
