//! Clients that hold PHP's workers: answers that they do not take, uploads that they do not finish.

use std::time::Duration;

use super::arena::{Arena, Bounds, Setup};
use crate::harness::attackers::{Attackers, Stalled, Trickle};

/// PHP makes a hundred mebibytes for the attackers on the bystander's processors.
const BUSY: Bounds = Bounds {
    wait: Duration::from_secs(5),
    median: Duration::from_secs(2),
    memory: 200,
};

const WORKERS: usize = 8;

fn eight() -> Setup {
    Setup {
        workers: WORKERS,
        ..Setup::default()
    }
}

#[tokio::test]
async fn pages_that_are_not_taken_hold_no_worker() {
    let arena = Arena::new(eight()).await;
    for window in [0, 1, 16_384] {
        for (how, attackers) in ways(&arena, window) {
            let attack = Stalled {
                connections: 1,
                streams: 2 * 8,
                window,
                more: None,
                target: "/page.php?kib=200",
                fields: &[],
            };
            let name = format!("pages, a window of {window}{how}");
            arena
                .withstands_within(BUSY, &name, attackers.stalled(&attack))
                .await;
        }
    }
}

/// TLS is tried with one window.
fn ways(arena: &Arena, window: u32) -> Vec<(&'static str, Attackers)> {
    let mut ways = vec![("", arena.attackers())];
    if window == 0 {
        ways.push((", TLS", arena.tls_attackers()));
    }
    ways
}

#[tokio::test]
async fn long_answers_that_are_not_taken_hold_no_worker() {
    let arena = Arena::new(eight()).await;
    for (name, attackers) in [
        ("long answers", arena.attackers()),
        ("long answers, TLS", arena.tls_attackers()),
    ] {
        let attackers = attackers.cramped();
        let attack = attackers.mute(2 * WORKERS, GET_LONG);
        arena.withstands_within(BUSY, name, attack).await;
    }
}

#[tokio::test]
async fn coded_answers_that_are_not_taken_hold_no_worker() {
    let arena = Arena::new(Setup {
        site: "compress = true".into(),
        ..eight()
    })
    .await;
    let attackers = arena.attackers().cramped();
    let attack = attackers.mute(2 * WORKERS, GET_LONG_CODED);
    arena
        .withstands_within(BUSY, "long coded answers", attack)
        .await;
}

#[tokio::test]
async fn answers_that_are_taken_byte_by_byte_hold_no_worker() {
    let arena = Arena::new(eight()).await;
    let attack = Stalled {
        connections: 2,
        streams: 16,
        window: 1,
        more: Some((1, Duration::from_millis(50))),
        target: "/page.php?kib=200",
        fields: &[],
    };
    let attackers = arena.attackers();
    arena
        .withstands_within(BUSY, "byte by byte", attackers.stalled(&attack))
        .await;
}

#[tokio::test]
async fn uploads_that_begin_fast_and_go_on_slowly_hold_no_worker() {
    let arena = Arena::new(eight()).await;
    let head = "POST /upload.php HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8000000\r\n\r\n"
        .to_owned();
    // Faster than `limits.stream_rate`.
    let trickle = Trickle {
        first: (head + &"x".repeat(400_000)).into_bytes(),
        piece: vec![b'x'; 1800],
        every: Duration::from_millis(100),
    };
    // A client may keep a worker waiting for 4 s (docs/security.md); one that never gives it back does so for ever.
    let bounds = Bounds {
        wait: Duration::from_secs(9),
        median: Duration::from_secs(6),
        ..BUSY
    };
    let attackers = arena.attackers();
    let attack = attackers.slow(WORKERS, &trickle);
    arena.withstands_within(bounds, "uploads", attack).await;
}

const GET_LONG: &str = "GET /page.php?kib=8192 HTTP/1.1\r\nHost: localhost\r\n\r\n";

const GET_LONG_CODED: &str =
    "GET /page.php?kib=8192 HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n";
