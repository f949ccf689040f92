//! Connections that hold a place, a descriptor or memory, and do nothing with it.

use crate::harness::{eventually, require};
use std::process::Command;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::arena::{Arena, Bounds, Setup};
use crate::harness::attackers::{Attackers, Siege, Stalled, Trickle};
use crate::harness::cage::anonymous_kib;

/// As many from each of these addresses, which have a share each.
const ADDRESSES: [u8; 3] = [3, 4, 5];
const EACH: usize = 80;

/// A head may be on its way for a second before its connection makes room.
const CROWDED: Bounds = Bounds {
    wait: Duration::from_secs(8),
    median: Duration::from_secs(4),
    memory: 200,
};

/// Half of a head, and then a byte at a time.
fn slow_head() -> Trickle {
    Trickle {
        first: b"GET /small.txt HTTP/1.1\r\nHost: localhost\r\nX: ".to_vec(),
        piece: b"x".to_vec(),
        every: Duration::from_millis(100),
    }
}

const GET: &[u8] = b"GET /small.txt HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The same from each address.
async fn from_all(attackers: &Attackers, attack: impl AsyncFn(Attackers) -> Siege) -> Siege {
    let mut siege = Siege::default();
    for last in ADDRESSES {
        siege = siege.and(attack(attackers.clone().from(last)).await);
    }
    siege
}

#[tokio::test]
async fn connections_that_do_nothing_make_room() {
    let arena = Arena::new(Setup {
        server: "limits = { connections = 100 }",
        ..Setup::default()
    })
    .await;
    let plain = arena.attackers();
    let secured = arena.tls_attackers();
    let no_handshake = Attackers::new(&arena.gateway.addresses()[1]);
    let attack = from_all(&plain, async |it| it.mute(EACH, "").await);
    arena.withstands_within(CROWDED, "no byte", attack).await;
    let attack = from_all(&plain, async |it| it.satisfied(EACH, GET).await);
    arena.withstands_within(CROWDED, "idle", attack).await;
    let attack = from_all(&plain, async |it| it.slow(EACH, &slow_head()).await);
    arena.withstands_within(CROWDED, "slow heads", attack).await;
    let attack = from_all(&no_handshake, async |it| it.mute(EACH, "").await);
    arena
        .withstands_within(CROWDED, "no handshake", attack)
        .await;
    let attack = from_all(&secured, async |it| it.satisfied(EACH, GET).await);
    arena.withstands_within(CROWDED, "idle, TLS", attack).await;
    let attack = from_all(&plain, async |it| it.stalled(&idle_streams(0)).await);
    arena
        .withstands_within(CROWDED, "idle, HTTP/2", attack)
        .await;
}

fn idle_streams(streams: u32) -> Stalled {
    Stalled {
        connections: EACH,
        streams,
        window: 65_535,
        more: None,
        target: "/slow.php?ms=60000",
        fields: &[],
    }
}

#[tokio::test]
async fn a_client_with_requests_on_all_its_connections_has_its_share() {
    let arena = Arena::new(Setup {
        server: "limits = { connections = 100 }",
        ..Setup::default()
    })
    .await;
    let upload = "POST /upload.php HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc";
    let attackers = arena.attackers();
    arena
        .withstands("half a body", attackers.mute(2 * EACH, upload))
        .await;
    let file = "GET /8m.bin HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let attackers = arena.attackers().cramped();
    arena
        .withstands("unread files", attackers.mute(2 * EACH, file))
        .await;
}

#[tokio::test]
async fn descriptors_are_left_for_php_and_files() {
    let arena = Arena::new(Setup {
        descriptors: 200,
        ..Setup::default()
    })
    .await;
    let plain = arena.attackers();
    let attack = from_all(&plain, async |it| it.satisfied(EACH, GET).await);
    arena.withstands_within(CROWDED, "idle", attack).await;
    let attack = from_all(&plain, async |it| it.slow(EACH, &slow_head()).await);
    arena.withstands_within(CROWDED, "slow heads", attack).await;
}

/// Connections that have had an answer, and the most that one may hold then, in bytes: twice what docs/security.md says.
const IDLE: usize = 3000;
const IDLE_BYTES: u64 = 8 * 1024;

#[tokio::test]
async fn an_idle_connection_holds_little() {
    let arena = Arena::new(Setup::default()).await;
    let process = arena.gateway.server_id();
    let before = anonymous_kib(process).unwrap();
    let attackers = arena.attackers();
    let mut siege = Siege::default();
    for last in ADDRESSES {
        for _ in 0..10 {
            let attackers = attackers.clone().from(last);
            siege = siege.and(attackers.satisfied(IDLE / 30, GET).await);
        }
    }
    let begun = Instant::now();
    let what = "few bytes for each idle connection";
    let each = eventually(what, Duration::from_secs(10), async || {
        let growth = anonymous_kib(process).unwrap().saturating_sub(before) * 1024;
        require(growth / IDLE as u64, |each| *each <= IDLE_BYTES)
    });
    println!("{} bytes each after {:?}", each.await, begun.elapsed());
    let connections = arena.metric(&["fcgate_connections "]).await;
    assert!(connections >= IDLE as f64, "{connections} are left");
}

#[tokio::test]
async fn slow_clients_of_the_admin_socket_leave_it_to_others() {
    let arena = Arena::new(Setup::default()).await;
    let mut held = Vec::new();
    for number in 0..200 {
        // Once it takes no more of them, it has as many as it wants.
        let Ok(mut stream) = arena.gateway.admin().try_connect().await else {
            break;
        };
        if number % 2 == 0 {
            let _ = stream.write_all(b"GET /met").await;
        }
        held.push(stream);
    }
    let file = arena.gateway.directory().join("fcgate.toml");
    let health = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fcgate"));
        command.arg("health").arg("-c").arg(file).output().unwrap()
    });
    let health = tokio::time::timeout(Duration::from_secs(10), health).await;
    let health = health.expect("health waits for slow clients").unwrap();
    assert!(health.status.success(), "{health:?}");
    arena
        .withstands("the admin socket", async { Siege::default() })
        .await;
    drop(held);
}
