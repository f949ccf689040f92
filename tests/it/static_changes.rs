//! Files that change while they are sent, and releases that change while they are served.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use crate::harness::php_fpm::write_below;
use crate::harness::{Connection, Files, Gateway, GatewaySetup, Request, patiently};

/// More than sockets and buffers hold: the end of it is read from the disk after the client has asked.
const LARGE: usize = 16 * 1024 * 1024;

const CLIENTS: usize = 50;

fn large_and_small() -> GatewaySetup<Files> {
    Gateway::with_files()
        .file("large.bin", vec![b'a'; LARGE])
        .file("small.txt", "small")
}

/// 50 clients with the head of an answer each, of which they read the rest later.
async fn begun(gateway: &Gateway) -> Vec<Connection> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Connection::open(gateway.address()).await;
        client.start(&Request::get("/large.bin")).await;
        let head = client.head().await;
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, Some(LARGE.to_string().as_str()))
        );
        clients.push(client);
    }
    clients
}

/// What came: bytes, whether all of them are of the first content, and whether that is all that was announced.
async fn rest(mut client: Connection) -> (usize, bool, bool) {
    let (mut length, mut old) = (0, true);
    loop {
        match client.piece().await {
            Ok(Some(piece)) => {
                length += piece.len();
                old &= is_old(&piece);
            }
            Ok(None) => return (length, old, true),
            Err(_) => return (length, old, false),
        }
    }
}

/// The same of all clients at once: one that waits for the others would be taken for one that has stopped.
async fn rests(clients: Vec<Connection>) -> Vec<(usize, bool, bool)> {
    let all = clients.into_iter().map(rest);
    patiently(
        "the ends of all answers",
        futures_util::future::join_all(all),
    )
    .await
}

/// Compared as a whole: byte by byte takes long in a build for tests.
fn is_old(content: &[u8]) -> bool {
    content == vec![b'a'; content.len()]
}

async fn check_the_others(gateway: &Gateway) {
    assert_eq!(gateway.get("/small.txt").await.text(), "small");
}

#[tokio::test]
async fn a_file_that_is_truncated_breaks_its_transfers_and_nothing_else() {
    let gateway = large_and_small().start().await;
    let root = gateway.root();
    let clients = begun(&gateway).await;
    std::fs::File::options()
        .write(true)
        .open(root.join("large.bin"))
        .unwrap()
        .set_len(1000)
        .unwrap();
    // What was on its way was the file itself, not a copy: the client learns that it is worth nothing.
    for (length, _, whole) in rests(clients).await {
        assert!(!whole && length < LARGE, "{} bytes", length);
    }
    check_the_others(&gateway).await;
    assert_eq!(gateway.get("/large.bin").await.body.len(), 1000);
}

#[tokio::test]
async fn a_file_that_is_overwritten_is_not_sent_as_if_it_were_one() {
    let gateway = large_and_small().start().await;
    let root = gateway.root();
    // The time of what is written now is another, however coarse the clock of the file system is.
    let file = std::fs::File::options()
        .write(true)
        .open(root.join("large.bin"))
        .unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let clients = begun(&gateway).await;
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![b'b'; LARGE], 0).unwrap();
    for (length, _, whole) in rests(clients).await {
        assert!(!whole && length < LARGE, "{} bytes", length);
    }
    check_the_others(&gateway).await;
}

#[tokio::test]
async fn a_file_that_is_replaced_or_removed_is_sent_to_its_end() {
    let gateway = large_and_small().file("new.bin", "new").start().await;
    let root = gateway.root();
    let first = begun(&gateway).await;
    std::fs::rename(root.join("new.bin"), root.join("large.bin")).unwrap();
    assert_eq!(gateway.get("/large.bin").await.text(), "new");
    std::fs::remove_file(root.join("large.bin")).unwrap();
    assert_eq!(gateway.get("/large.bin").await.status, 404);
    for (length, old, whole) in rests(first).await {
        assert!(whole && length == LARGE && old);
    }
    check_the_others(&gateway).await;
}

/// `current` is flipped all the time. Each release has an index of its own name only, so that a request that looked in
/// one and opened in the other would be 404.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_mixes_two_releases() {
    let directory = TempDir::new().unwrap();
    let base = directory.path().to_owned();
    for (release, index) in [("1", "one.html"), ("2", "two.html")] {
        write_below(&base.join(release), index, release);
    }
    symlink("1", base.join("current")).unwrap();
    let config = format!(
        "[[site]]\nroot = \"{}/current\"\nindex = [\"one.html\", \"two.html\"]\n",
        base.display()
    );
    let gateway = Gateway::start_in(directory, &config).await;
    let over = Arc::new(AtomicBool::new(false));
    let flips = std::thread::spawn({
        let over = Arc::clone(&over);
        move || {
            for release in ["2", "1"].into_iter().cycle() {
                symlink(release, base.join("next")).unwrap();
                std::fs::rename(base.join("next"), base.join("current")).unwrap();
                // So that there are requests within one release too.
                std::thread::sleep(std::time::Duration::from_millis(1));
                if over.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    });
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    let mut connection = Connection::open(gateway.address()).await;
    // Until the root was resolved anew a few times. A connection has a bounded number of requests.
    patiently("both releases", async {
        while seen.len() < 2 || seen.values().sum::<usize>() < 500 {
            if seen.values().sum::<usize>() % 500 == 499 {
                connection = Connection::open(gateway.address()).await;
            }
            let response = connection.send(&Request::get("/")).await;
            assert_eq!(response.status, 200, "{response:?}");
            *seen.entry(response.text()).or_default() += 1;
        }
    })
    .await;
    over.store(true, Ordering::Relaxed);
    flips.join().unwrap();
    assert!(seen.keys().eq(["1", "2"]), "{seen:?}");
}

/// A root that is exchanged by a rename, as a deployment does it, and what stands below it.
#[tokio::test]
async fn without_a_cache_each_request_looks_at_the_root_too() {
    for cache in ["0", "0KiB"] {
        let directory = TempDir::new().unwrap();
        let base = directory.path().to_owned();
        for release in ["1", "2"] {
            write_below(&base.join(release), "a.txt", release);
            write_below(&base.join(release).join("sub"), "index.html", release);
        }
        let config = format!(
            // The sandbox knows folders and not their names: another folder takes another server.
            "[server]\nsandbox = \"off\"\nfile_cache = \"{cache}\"\n[[site]]\nroot = \"{}/current\"\n",
            base.display()
        );
        std::fs::rename(base.join("1"), base.join("current")).unwrap();
        let gateway = Gateway::start_in(directory, &config).await;
        let seen = async || {
            let file = gateway.get("/a.txt").await.text();
            (file, gateway.get("/sub/").await.text())
        };
        let mut away = base.join("1");
        let mut other = base.join("2");
        for release in ["1", "2", "1", "2", "1"] {
            let expected = (release.to_owned(), release.to_owned());
            assert_eq!(seen().await, expected, "file_cache = {cache}");
            std::fs::rename(base.join("current"), &away).unwrap();
            std::fs::rename(&other, base.join("current")).unwrap();
            std::mem::swap(&mut away, &mut other);
        }
    }
}
