//! The threads that serve: connections are spread over them, and workers of PHP go from one to the other.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::future::join_all;

use crate::harness::{Connection, Gateway, PATIENCE, PhpFpm, Request, eventually, patiently};

const HELLO: &str = "[[site]]\nrule = [{ respond = { body = \"hello\" } }]\n";

const THREADS: usize = 3;

/// What each epoll instance watches: proc(5), `tfd` in /proc/PID/fdinfo. A runtime has two descriptors of its own.
fn watched(gateway: &Gateway) -> BTreeMap<String, usize> {
    let process = Path::new("/proc").join(gateway.server_id().to_string());
    let descriptors = std::fs::read_dir(process.join("fd")).unwrap().flatten();
    let is_epoll = |path: &Path| {
        std::fs::read_link(path).is_ok_and(|to| to.to_string_lossy().contains("[eventpoll]"))
    };
    descriptors
        .filter(|descriptor| is_epoll(&descriptor.path()))
        .map(|descriptor| {
            let name = descriptor.file_name().into_string().unwrap();
            let info = std::fs::read_to_string(process.join("fdinfo").join(&name)).unwrap();
            let count = info.lines().filter(|line| line.starts_with("tfd:")).count();
            (name, count)
        })
        .collect()
}

#[tokio::test]
async fn each_thread_watches_its_share_of_the_connections() {
    let gateway = Gateway::start(&format!("[server]\nworkers = {THREADS}\n{HELLO}")).await;
    let before = watched(&gateway);
    assert!(before.len() >= THREADS, "{before:?}");
    let mut connections = Vec::new();
    for _ in 0..THREADS * 4 {
        let mut connection = Connection::open(gateway.address()).await;
        assert_eq!(connection.send(&Request::get("/")).await.text(), "hello");
        connections.push(connection);
    }
    let now = watched(&gateway);
    // The thread that hears signals serves nobody.
    let each = |count: usize| {
        let now = watched(&gateway);
        let grown = now.iter().map(|(name, now)| now - before[name]);
        let mut grown: Vec<_> = grown.filter(|more| *more > 0).collect();
        grown.dedup();
        let serving = now.iter().filter(|(name, now)| **now > before[*name]);
        grown == [count] && serving.count() == THREADS * 2
    };
    assert!(each(4), "{before:?}, then {now:?}");
    // Those that go make room where they were.
    let left: Vec<_> = connections.drain(..THREADS).collect();
    drop(left);
    eventually("the end of the closed connections", PATIENCE, async || {
        each(3)
    })
    .await;
}

/// One worker of PHP, and clients on every thread: it is handed about, and not given up to be asked for anew.
#[tokio::test]
async fn a_worker_is_handed_from_thread_to_thread() {
    const REQUESTS: usize = 50;
    let php = PhpFpm::start(1).await;
    php.write("wait.php", "<?php usleep(2000); echo 'done';");
    let gateway = Gateway::before(&php)
        .server(&format!("workers = {THREADS}"))
        .upstream("capacity = 1\nturn = \"1h\"\nkeep = \"1m\"")
        .admin();
    let gateway = gateway.start().await;
    let clients = (0..THREADS * 2).map(|_| async {
        let mut connection = Connection::open(gateway.address()).await;
        for _ in 0..REQUESTS {
            let answer = connection.send(&Request::get("/wait.php")).await;
            assert_eq!((answer.status, answer.text().as_str()), (200, "done"));
        }
    });
    patiently("all answers", join_all(clients)).await;
    let scrape = gateway.ask("/metrics").await;
    let text = scrape.text();
    let opened = |line: &&str| line.starts_with("fcgate_upstream_connections_opened_total");
    let opened = text.lines().find(opened).unwrap_or(&text);
    let count: usize = opened.rsplit(' ').next().unwrap().parse().unwrap();
    // Two of three requests come from another thread than the one before. A worker that was slow to acknowledge is not
    // kept while nobody waits.
    assert!(count < THREADS * 2 * REQUESTS / 3, "{opened}");
}
