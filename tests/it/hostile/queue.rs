//! Clients that ask for more than PHP can do, and what becomes of those who ask for little.

use std::time::Duration;

use super::arena::{Arena, Bounds, Setup};
use crate::harness::attackers::{Siege, Stalled};

const SLOW: Stalled = Stalled {
    connections: 8,
    streams: 100,
    window: 65_535,
    more: None,
    target: "/slow.php?ms=200",
    fields: &[],
};

fn bounds(wait: u64) -> Bounds {
    Bounds {
        wait: Duration::from_millis(wait),
        median: Duration::from_millis(wait / 2),
        ..Bounds::default()
    }
}

#[tokio::test]
async fn a_client_with_hundreds_of_requests_makes_nobody_wait_behind_them() {
    let arena = Arena::new(Setup::default()).await;
    let attackers = arena.attackers();
    // Four turns of 50 ms are expected, 40 s with one line for all.
    arena
        .withstands_within(bounds(5000), "one client", attackers.stalled(&SLOW))
        .await;
}

#[tokio::test]
async fn nor_do_several_such_clients() {
    let arena = Arena::new(Setup::default()).await;
    let each = Stalled {
        connections: 1,
        target: "/slow.php?ms=100",
        ..SLOW
    };
    let attack = async {
        let mut siege = Siege::default();
        for last in 3..11 {
            let attackers = arena.attackers().from(last);
            siege = siege.and(attackers.stalled(&each).await);
        }
        siege
    };
    // Two or three rounds of nine turns of 25 ms.
    arena
        .withstands_within(bounds(5000), "eight clients", attack)
        .await;
}

#[tokio::test]
async fn a_client_that_fills_the_queue_has_it_full_for_itself() {
    let arena = Arena::new(Setup {
        upstream: "queue_length = 300".into(),
        ..Setup::default()
    })
    .await;
    let attackers = arena.attackers();
    arena
        .withstands_within(bounds(2000), "a full queue", attackers.stalled(&SLOW))
        .await;
}
