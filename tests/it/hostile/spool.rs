//! Clients that take up the disk, or the memory of bodies.

use std::time::Duration;

use super::arena::{Arena, Bounds, Setup};
use crate::harness::attackers::{Stalled, Trickle, Unfinished};
use crate::harness::{Content, Request};

/// Of unknown length, which has to be spooled.
fn upload() -> Request {
    let content = Content::new(vec![b'x'; 64 * 1024], 8);
    Request::post("/upload.php").content(content).chunked()
}

const BUSY: Bounds = Bounds {
    // A client may keep a worker waiting for 4 s (docs/security.md).
    wait: Duration::from_secs(9),
    median: Duration::from_secs(6),
    memory: 200,
};

fn setup() -> Setup {
    Setup {
        server: "spool_quota = \"24MiB\"\nlimits = { body_rate = \"1KiB\" }",
        also: vec![("upload", upload())],
        ..Setup::default()
    }
}

#[tokio::test]
async fn slow_uploads_leave_room_for_others() {
    let arena = Arena::new(setup()).await;
    for (name, framing, bytes) in [
        ("announced", "Content-Length: 30000000", 0),
        ("announced, begun", "Content-Length: 30000000", 900_000),
        ("chunked, begun", "Transfer-Encoding: chunked", 900_000),
    ] {
        let head = format!("POST /upload.php HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n");
        let (begun, piece) = match framing.starts_with('T') {
            true => (
                format!("{bytes:x}\r\n{}\r\n", "x".repeat(bytes)),
                format!("c8\r\n{}\r\n", "x".repeat(200)),
            ),
            false => ("x".repeat(bytes), "x".repeat(200)),
        };
        let trickle = Trickle {
            first: (head + &begun).into_bytes(),
            piece: piece.into_bytes(),
            every: Duration::from_millis(100),
        };
        let attackers = arena.attackers();
        arena
            .withstands_within(BUSY, name, attackers.slow(40, &trickle))
            .await;
    }
}

#[tokio::test]
async fn unfinished_bodies_on_many_streams_leave_room_for_others() {
    let arena = Arena::new(setup()).await;
    for (name, attackers) in [
        ("HTTP/2", arena.attackers()),
        ("HTTP/2, TLS", arena.tls_attackers()),
    ] {
        let attack = Unfinished {
            connections: 25,
            streams: 100,
            target: "/upload.php",
            bytes: 200_000,
        };
        arena
            .withstands_within(BUSY, name, attackers.unfinished(&attack))
            .await;
    }
}

#[tokio::test]
async fn answers_that_are_not_taken_leave_room_for_uploads() {
    let arena = Arena::new(Setup {
        workers: 8,
        ..setup()
    })
    .await;
    let attack = Stalled {
        connections: 1,
        streams: 24,
        window: 0,
        more: None,
        target: "/page.php?kib=4096",
        fields: &[],
    };
    let attackers = arena.attackers();
    arena
        .withstands_within(BUSY, "answers", attackers.stalled(&attack))
        .await;
}
