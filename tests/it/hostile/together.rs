//! All of it at once, for as long as wanted (`make soak`), and that memory does not grow with time.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::arena::{Arena, Bounds, Setup};
use crate::harness::attackers::{Siege, Stalled, Trickle, Unfinished};
use crate::harness::load::load_time;

const WAVE: Duration = Duration::from_millis(1500);

/// More and another kind at once than any of the bounds is made for, on the processors of the bystander.
const BOUNDS: Bounds = Bounds {
    wait: Duration::from_secs(9),
    median: Duration::from_secs(5),
    memory: 230,
};

#[tokio::test]
async fn all_at_once() {
    let arena = Arena::new(Setup {
        server: "spool_quota = \"128MiB\"\nlimits = { connections = 1000 }",
        site: "compress = true\nsend_file = { roots = [\"{root}\"] }".into(),
        workers: 8,
        ..Setup::default()
    })
    .await;
    let time = load_time(10);
    let mut waves = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < time {
        let name = format!("after {:?}", begun.elapsed());
        let peak = arena
            .withstands_for(WAVE, BOUNDS, &name, wave(&arena))
            .await;
        waves.push(peak);
    }
    let (first, second) = waves.split_at(waves.len() / 2);
    let most = |peaks: &[u64]| peaks.iter().max().copied().unwrap_or_default();
    let (first, second) = (most(first), most(second));
    println!(
        "the most memory of {} waves: {first} MiB, then {second} MiB",
        waves.len()
    );
    // What differs between two waves is how much of them there is at once.
    assert!(
        waves.len() < 4 || second <= first + first / 4 + 16,
        "memory grows: {waves:?}"
    );
}

async fn wave(arena: &Arena) -> Siege {
    let stalled = |target, fields, window| Stalled {
        connections: 2,
        streams: 100,
        window,
        more: Some((1, Duration::from_millis(100))),
        target,
        fields,
    };
    let streams = [
        stalled("/6m.txt", &[("accept-encoding", "br")], 0),
        stalled("/1m.bin", &[], 1),
        stalled("/1m.bin", &[], 16_384),
        stalled("/page.php?kib=200", &[], 0),
        stalled("/page.php?kib=2048", &[("accept-encoding", "gzip")], 1),
        stalled("/send.php?file=6m.txt", &[("accept-encoding", "zstd")], 0),
        stalled("/slow.php?ms=100", &[], 65_535),
    ];
    let (plain, secured) = (arena.attackers(), arena.tls_attackers());
    let plain_streams = join_all(streams.iter().map(|how| plain.stalled(how)));
    let secured_streams = join_all(streams.iter().map(|how| secured.stalled(how)));
    let cramped = plain.clone().cramped();
    let unfinished = Unfinished {
        connections: 2,
        streams: 100,
        target: "/upload.php",
        bytes: 100_000,
    };
    let trickle = Trickle {
        first: b"POST /upload.php HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n"
            .to_vec(),
        piece: vec![b'x'; 1800],
        every: Duration::from_millis(100),
    };
    let (mut siege, secured, mute, coded, long, greedy, unfinished, slow, idle) = tokio::join!(
        async { sum(plain_streams.await) },
        async { sum(secured_streams.await) },
        cramped.mute(50, GET_FILE),
        cramped.mute(50, GET_CODED),
        cramped.mute(16, GET_PAGE),
        plain.greedy(2, GET_COMPLAINTS),
        plain.unfinished(&unfinished),
        plain.slow(40, &trickle),
        plain.satisfied(300, GET_SMALL),
    );
    for more in [secured, mute, coded, long, greedy, unfinished, slow, idle] {
        siege = siege.and(more);
    }
    siege
}

fn sum(sieges: Vec<Siege>) -> Siege {
    sieges.into_iter().fold(Siege::default(), Siege::and)
}

const GET_FILE: &[u8] = b"GET /8m.bin HTTP/1.1\r\nHost: localhost\r\n\r\n";
const GET_CODED: &[u8] =
    b"GET /6m.txt HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n";
const GET_PAGE: &[u8] = b"GET /page.php?kib=4096 HTTP/1.1\r\nHost: localhost\r\n\r\n";
const GET_COMPLAINTS: &[u8] =
    b"GET /complain.php?lines=20000&length=10 HTTP/1.1\r\nHost: localhost\r\n\r\n";
const GET_SMALL: &[u8] = b"GET /small.txt HTTP/1.1\r\nHost: localhost\r\n\r\n";
