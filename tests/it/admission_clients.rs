//! Clients that leave: what waits for PHP is forgotten, and what runs is finished or let go, as its method wants.

use crate::harness::load::scale;
use crate::harness::{
    Connection, Gateway, GatewaySetup, PATIENCE, PhpFpm, Request, eventually, http2, php_fpm,
};
use crate::upstream::settle;

/// Notes that it runs, waits for `go`, and notes that it is done; `connection_aborted()` tells whether anybody listens.
const LONG: &str =
    "<?php ignore_user_abort(true); file_put_contents(__DIR__ . '/begun', 'x', FILE_APPEND);
while (!file_exists(__DIR__ . '/go')) { usleep(1000); clearstatcache(); }
file_put_contents(__DIR__ . '/done', 'x', FILE_APPEND); echo 'long';";

/// Prints and flushes until nobody listens, or `go` is there.
const ENDLESS: &str = "<?php ignore_user_abort(true); file_put_contents(__DIR__ . '/begun', 'x', FILE_APPEND);
while (!connection_aborted() && !file_exists(__DIR__ . '/go')) { echo 'more'; flush(); usleep(1000); clearstatcache(); }
file_put_contents(__DIR__ . '/' . (connection_aborted() ? 'aborted' : 'done'), 'x', FILE_APPEND);";

const COUNTED: &str =
    "<?php file_put_contents(__DIR__ . '/count', 'x', FILE_APPEND); echo 'counted';";

/// One thread in front of one worker, and scripts that take their time.
fn one_worker() -> GatewaySetup<php_fpm::Setup> {
    Gateway::with_php(1)
        .file("long.php", LONG)
        .file("endless.php", ENDLESS)
        .file("count.php", COUNTED)
        .server("workers = 1")
        .ping()
}

/// How often a script has noted something.
fn noted(php: &PhpFpm, name: &str) -> usize {
    std::fs::read(php.root().join(name)).map_or(0, |notes| notes.len())
}

async fn begin(php: &PhpFpm, gateway: &Gateway, request: &Request) -> Connection {
    let before = noted(php, "begun");
    let mut client = Connection::open(gateway.address()).await;
    client.start(request).await;
    eventually("the script begins", PATIENCE, async || {
        noted(php, "begun") > before
    })
    .await;
    client
}

#[tokio::test]
async fn who_leaves_while_queued_is_never_seen_by_php() {
    let (php, gateway) = one_worker().start().await;
    let mut first = begin(&php, &gateway, &Request::get("/long.php")).await;
    let mut gone = Vec::new();
    for number in 0..scale(200, 1000) {
        let method = if number % 2 == 0 { "GET" } else { "POST" };
        let mut client = Connection::open(gateway.address()).await;
        client.start(&Request::new(method, "/count.php")).await;
        gone.push(client);
    }
    let mut over_http2 = http2::Connection::open(gateway.address()).await;
    let requests = Request::get("/count.php");
    let also_gone = tokio::spawn(async move { over_http2.send(&requests).await });
    settle(&gateway).await;
    let mut last = Connection::open(gateway.address()).await;
    last.start(&Request::get("/count.php")).await;
    settle(&gateway).await;
    let left = gone.len();
    drop(gone);
    also_gone.abort();
    let ended = |line: &str| line.contains("/count.php") && line.contains(" 499 ");
    gateway.access.wait_many(0, left, ended).await;
    php.write("go", "");
    assert_eq!(first.response().await.text(), "long");
    assert_eq!(last.response().await.text(), "counted");
    assert_eq!(
        noted(&php, "count"),
        1,
        "of {left} that left, none was executed"
    );
}

#[tokio::test]
async fn a_post_runs_to_its_end_without_its_client() {
    let (php, gateway) = one_worker().start().await;
    for (body, runs) in [("", 1), ("content", 2)] {
        let client = begin(&php, &gateway, &Request::post("/long.php").body(body)).await;
        drop(client);
        settle(&gateway).await;
        php.write("go", "");
        eventually("it is done", PATIENCE, async || noted(&php, "done") == runs).await;
        std::fs::remove_file(php.root().join("go")).unwrap();
        assert_eq!(
            gateway.get("/count.php").await.text(),
            "counted",
            "the worker is free"
        );
    }
    assert_eq!(
        (noted(&php, "begun"), noted(&php, "done")),
        (2, 2),
        "each ran once"
    );
}

#[tokio::test]
async fn a_post_that_prints_does_not_notice_that_its_client_left() {
    let (php, gateway) = one_worker().start().await;
    let mut client = begin(&php, &gateway, &Request::post("/endless.php")).await;
    assert_eq!(client.head().await.status, 200);
    drop(client);
    gateway
        .access
        .wait_for(|line| line.contains("/endless.php"))
        .await;
    settle(&gateway).await;
    php.write("go", "");
    eventually("it ends", PATIENCE, async || {
        noted(&php, "done") + noted(&php, "aborted") == 1
    })
    .await;
    assert_eq!((noted(&php, "done"), noted(&php, "begun")), (1, 1));
}

#[tokio::test]
async fn a_get_is_let_go_at_its_next_flush() {
    let (php, gateway) = one_worker().start().await;
    let mut client = begin(&php, &gateway, &Request::get("/endless.php")).await;
    assert_eq!(client.head().await.status, 200);
    drop(client);
    eventually("PHP sees it", PATIENCE, async || {
        noted(&php, "aborted") == 1
    })
    .await;
    assert_eq!(
        gateway.get("/count.php").await.text(),
        "counted",
        "the worker is free"
    );
    assert_eq!((noted(&php, "begun"), noted(&php, "done")), (1, 0));
}
