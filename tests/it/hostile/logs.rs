//! Logs that nobody reads: a pipe that is full, as under a supervisor that hangs.

use nix::sys::signal::Signal;

use super::arena::{Arena, Setup};
use crate::harness::{PATIENCE, eventually};

/// More than a pipe holds, in few requests.
const COMPLAIN: &[u8] =
    b"GET /complain.php?lines=200&length=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Refused before any rule, with a target of 8000 bytes in the access log.
fn many_lines() -> String {
    let line = format!(
        "GET /small.txt?{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "x".repeat(8000)
    );
    line.repeat(50)
}

#[tokio::test]
async fn logs_that_nobody_reads_stop_nobody() {
    let arena = Arena::new(Setup::default()).await;
    {
        let _unread = arena.gateway.log.unread().await;
        let attackers = arena.attackers();
        arena
            .withstands("stderr", attackers.greedy(8, COMPLAIN))
            .await;
        check_health(&arena).await;
    }
    {
        let _unread = arena.gateway.access.unread().await;
        let attackers = arena.attackers();
        arena
            .withstands("stdout", attackers.mute(8, many_lines()))
            .await;
        check_health(&arena).await;
    }
    arena
        .withstands("read again", async { Default::default() })
        .await;
}

async fn check_health(arena: &Arena) {
    let live = arena.gateway.ask("/live").await;
    assert_eq!(live.status, 200);
}

#[tokio::test]
async fn logs_that_nobody_reads_keep_no_process_alive() {
    let arena = Arena::new(Setup::default()).await;
    let _unread = (
        arena.gateway.log.unread().await,
        arena.gateway.access.unread().await,
    );
    let attackers = arena.attackers();
    let siege = attackers.greedy(8, COMPLAIN).await;
    let siege = siege.and(attackers.mute(8, many_lines()).await);
    // One of them has been given all of its answers by now or never will be.
    arena.gateway.signal(Signal::SIGTERM);
    arena.gateway.signal(Signal::SIGTERM);
    eventually("the end", PATIENCE, async || !arena.gateway.is_alive()).await;
    drop(siege);
}
