//! Clients that ask for much and read nothing, or a little: what is kept for them, in memory.

use std::time::Duration;

use super::arena::{Arena, Bounds, Setup};
use crate::harness::attackers::Stalled;

/// Connections with a hundred streams each.
const CONNECTIONS: usize = 20;
const STREAMS: u32 = 100;

/// Twenty times a hundred streams: MiB that are 48 KiB for each of them, which have no file, or one frame of it.
const LITTLE: u64 = 96;

const fn stalled(target: &'static str, window: u32) -> Stalled {
    Stalled {
        connections: CONNECTIONS,
        streams: STREAMS,
        window,
        more: None,
        target,
        fields: &[],
    }
}

fn little() -> Bounds {
    Bounds {
        memory: LITTLE,
        ..Bounds::default()
    }
}

#[tokio::test]
async fn a_file_is_not_held_for_a_stream_without_window() {
    let arena = Arena::new(Setup::default()).await;
    for window in [0, 1, 16_384] {
        let attack = stalled("/1m.bin", window);
        let name = format!("a file, a window of {window}");
        let attackers = arena.attackers();
        arena
            .withstands_within(little(), &name, attackers.stalled(&attack))
            .await;
    }
}

#[tokio::test]
async fn nor_over_tls_nor_where_windows_open_byte_by_byte() {
    let arena = Arena::new(Setup::default()).await;
    let none = stalled("/1m.bin", 0);
    let attackers = arena.tls_attackers();
    let attack = attackers.stalled(&none);
    arena.withstands_within(little(), "TLS", attack).await;
    let bytewise = Stalled {
        more: Some((1, Duration::from_millis(50))),
        connections: CONNECTIONS / 2,
        ..none
    };
    let attackers = arena.attackers();
    let attack = attackers.stalled(&bytewise);
    arena
        .withstands_within(little(), "byte by byte", attack)
        .await;
}

#[tokio::test]
async fn a_tls_connection_holds_little_that_is_not_read() {
    let arena = Arena::new(Setup::default()).await;
    let attackers = arena.tls_attackers().cramped();
    // 128 KiB for each of them. Their handshakes come at once.
    let bounds = Bounds {
        wait: Duration::from_secs(3),
        memory: 45,
        ..Bounds::default()
    };
    let attack = attackers.mute(300, GET_FILE);
    arena.withstands_within(bounds, "TLS, HTTP/1", attack).await;
}

#[tokio::test]
async fn encoders_are_bounded_in_sum_over_http2() {
    let arena = Arena::new(Setup {
        site: "compress = true".into(),
        ..Setup::default()
    })
    .await;
    for (name, fields, window) in [
        ("br", BR, 0),
        ("br, a byte", BR, 1),
        ("zstd", ZSTD, 0),
        ("gzip", GZIP, 0),
    ] {
        let attack = Stalled {
            connections: 4,
            fields,
            ..stalled("/6m.txt", window)
        };
        let attackers = arena.attackers();
        arena.withstands(name, attackers.stalled(&attack)).await;
    }
}

#[tokio::test]
async fn encoders_are_bounded_in_sum_over_http1_and_tls() {
    let arena = Arena::new(Setup {
        site: "compress = true".into(),
        ..Setup::default()
    })
    .await;
    let plain = arena.attackers().cramped();
    arena.withstands("HTTP/1", plain.mute(150, GET_CODED)).await;
    let secured = arena.tls_attackers().cramped();
    arena.withstands("TLS", secured.mute(150, GET_CODED)).await;
}

#[tokio::test]
async fn a_file_that_a_script_names_is_held_no_more_than_any_other() {
    let arena = Arena::new(Setup {
        site: "compress = true\nsend_file = { roots = [\"{root}\"] }".into(),
        ..Setup::default()
    })
    .await;
    for (name, target, memory, fields) in [
        ("X-Sendfile", "/send.php?file=1m.bin", 56, &[][..]),
        ("X-Sendfile, coded", "/send.php?file=6m.txt", 200, BR),
    ] {
        let attack = Stalled {
            connections: 8,
            fields,
            ..stalled(target, 0)
        };
        let attackers = arena.attackers();
        let bounds = Bounds {
            memory,
            ..Bounds::default()
        };
        arena
            .withstands_within(bounds, name, attackers.stalled(&attack))
            .await;
    }
}

#[tokio::test]
async fn an_error_page_is_held_no_more_than_any_other_file() {
    let arena = Arena::new(Setup {
        site: "[[site.error_page]]\nstatus = \"404\"\nfile = \"{root}/1m.bin\"\n[[site.rule]]\nprefix = \"/missing\"\nrespond = { status = 404 }".into(),
        ..Setup::default()
    })
    .await;
    for window in [0, 1] {
        let attack = stalled("/missing", window);
        let name = format!("an error page, a window of {window}");
        let attackers = arena.attackers();
        arena
            .withstands_within(little(), &name, attackers.stalled(&attack))
            .await;
    }
}

#[tokio::test]
async fn parts_of_files_are_held_no_more_than_whole_ones() {
    let arena = Arena::new(Setup::default()).await;
    let attack = Stalled {
        connections: CONNECTIONS / 4,
        fields: &[("range", "bytes=0-299999,400000-699999,800000-999999")],
        ..stalled("/1m.bin", 0)
    };
    let attackers = arena.attackers();
    arena.withstands("parts", attackers.stalled(&attack)).await;
}

const GET_FILE: &str = "GET /8m.bin HTTP/1.1\r\nHost: localhost\r\n\r\n";

const GET_CODED: &str = "GET /6m.txt HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: br\r\n\r\n";

type Fields = &'static [(&'static str, &'static str)];

const BR: Fields = &[("accept-encoding", "br")];
const ZSTD: Fields = &[("accept-encoding", "zstd")];
const GZIP: Fields = &[("accept-encoding", "gzip")];
