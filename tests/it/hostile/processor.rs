//! Work that takes long on a thread that serves others too.

use std::time::Duration;

use super::arena::{Arena, Bounds, Setup, text};
use crate::harness::{Script, ScriptedResponder};

/// Without optimisation each step takes twenty times as long; without yielding, thousands of times.
const ENCODING: Bounds = Bounds {
    wait: Duration::from_secs(5),
    median: Duration::from_millis(1500),
    memory: 200,
};

const COMPLAINING: Bounds = Bounds {
    wait: Duration::from_secs(3),
    median: Duration::from_millis(200),
    memory: 200,
};

#[tokio::test]
async fn a_long_coded_answer_leaves_its_thread_to_others() {
    let arena = Arena::new(Setup {
        site: "compress = true".into(),
        ..Setup::default()
    })
    .await;
    arena.php.write("40m.txt", text(40 << 20));
    for (coding, request) in [
        ("gzip", GET_GZIP),
        ("br", GET_BROTLI),
        ("zstd", GET_ZSTD),
        ("gzip of a script's answer", GET_PHP_GZIP),
    ] {
        let attackers = arena.attackers();
        let attack = attackers.greedy(2, request);
        arena.withstands_within(ENCODING, coding, attack).await;
    }
}

#[tokio::test]
async fn what_scripts_complain_of_leaves_their_thread_to_others() {
    for (name, line) in [("short lines", "x\n"), ("no lines", "x")] {
        let complaint = Script::new().read_request().stderr(line.repeat(16 << 20));
        let responder = ScriptedResponder::start([complaint.stdout("\nok").end_request()]).await;
        let arena = Arena::new(Setup {
            site: "[[site.rule]]\nprefix = \"/complain\"\nfastcgi = { upstream = \"app\", script = \"/srv/app/index.php\", root = \"/srv/app\", missing = \"pass\" }".into(),
            upstream: format!("[upstream.app]\nservers = [\"{}\"]", responder.address()),
            ..Setup::default()
        })
        .await;
        let attackers = arena.attackers();
        let attack = attackers.greedy(2, GET_COMPLAINTS);
        arena.withstands_within(COMPLAINING, name, attack).await;
    }
}

const GET_GZIP: &[u8] =
    b"GET /40m.txt HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n";
const GET_BROTLI: &[u8] =
    b"GET /40m.txt HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: br\r\n\r\n";
const GET_ZSTD: &[u8] =
    b"GET /40m.txt HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: zstd\r\n\r\n";
const GET_PHP_GZIP: &[u8] =
    b"GET /page.php?kib=40000 HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n";

const GET_COMPLAINTS: &[u8] = b"GET /complain HTTP/1.1\r\nHost: localhost\r\n\r\n";
