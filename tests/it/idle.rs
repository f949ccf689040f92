//! Connections that wait: they cost little, lose no request, and end when their time is up.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::time::Instant;

use crate::harness::tls::{Authority, TlsClient};
use crate::harness::{
    Connection, Gateway, PATIENCE, Request, eventually, http2, patiently, require,
};
use crate::room::connections;

const HELLO: &str = "[[site]]\nrule = [{ respond = { body = \"hello\" } }]\n";

/// Waits until the only connection is parked: it has had a request, and is among those that may make room.
async fn is_parked(gateway: &Gateway) {
    connections(gateway, "it is parked", |it| {
        it["open"] == 1 && it["idle"] == 1
    })
    .await;
}

#[tokio::test]
async fn a_slow_answer_is_not_taken_for_idleness() {
    let (_php, gateway) = Gateway::with_php(1)
        .file("slow.php", "<?php sleep(4); echo 'slow';")
        .start()
        .await;
    let mut connection = Connection::open(gateway.address()).await;
    for _ in 0..2 {
        let answer = connection.send(&Request::get("/slow.php")).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "slow"));
    }
}

#[tokio::test]
async fn a_parked_connection_wakes_with_its_first_byte() {
    let gateway = Gateway::with(HELLO).admin().start().await;
    let mut connection = Connection::open(gateway.address()).await;
    for _ in 0..2 {
        assert_eq!(connection.send(&Request::get("/")).await.text(), "hello");
        is_parked(&gateway).await;
    }
    // Byte by byte, and two requests at once.
    for byte in b"GET / HTTP/1.1\r\nHost: a\r\n" {
        connection.write([*byte]).await;
    }
    connection
        .write("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    for _ in 0..2 {
        assert_eq!(connection.response().await.text(), "hello");
    }
}

#[tokio::test]
async fn a_parked_connection_is_closed_in_its_time_and_by_the_drain() {
    let config = format!("[server]\nlimits = {{ keep_alive = \"3s\" }}\n{HELLO}");
    let gateway = Gateway::with(&config).admin().start().await;
    let mut old = Connection::open(gateway.address()).await;
    assert_eq!(old.send(&Request::get("/")).await.status, 200);
    assert_eq!(patiently("the close", old.read_to_end()).await, b"");

    let mut parked = Connection::open(gateway.address()).await;
    assert_eq!(parked.send(&Request::get("/")).await.status, 200);
    is_parked(&gateway).await;
    assert!(gateway.terminate().await.success());
    assert_eq!(parked.read_to_end().await, b"");
}

/// Each connection has served a request. Prints bytes of resident memory for each.
#[tokio::test]
async fn many_idle_connections_cost_little() {
    const MANY: usize = 5000;
    allow_descriptors();
    let gateway = Gateway::start(&format!("{QUIET}{HELLO}")).await;
    let before = gateway.anonymous_kib();
    let mut connections = Vec::with_capacity(MANY);
    for _ in 0..MANY {
        let mut connection = Connection::open(gateway.address()).await;
        assert_eq!(connection.send(&Request::get("/")).await.status, 200);
        connections.push(connection);
    }
    report(("clear text", MANY, 4), &gateway, before).await;
    for connection in connections.iter_mut().step_by(500) {
        assert_eq!(connection.send(&Request::get("/")).await.text(), "hello");
    }
}

#[tokio::test]
async fn many_idle_http2_connections_cost_little() {
    const MANY: usize = 2000;
    allow_descriptors();
    let gateway = Gateway::start(&format!("{QUIET}{HELLO}")).await;
    let before = gateway.anonymous_kib();
    let mut connections = Vec::with_capacity(MANY);
    for _ in 0..MANY {
        let mut connection = http2::Connection::open(gateway.address()).await;
        assert_eq!(connection.send(&Request::get("/")).await.status, 200);
        connections.push(connection);
    }
    report(("HTTP/2", MANY, 28), &gateway, before).await;
    for connection in connections.iter_mut().step_by(500) {
        assert_eq!(connection.send(&Request::get("/")).await.text(), "hello");
    }
}

#[tokio::test]
async fn many_idle_tls_connections_cost_little() {
    const MANY: usize = 2000;
    allow_descriptors();
    let authority = Authority::new();
    let hello = HELLO.replace("[[site]]\n", "[[site]]\n{tls}\n");
    let gateway = Gateway::with(&format!("{QUIET}{hello}"))
        .listen("tls = true")
        .certificate(&authority);
    let gateway = gateway.start().await;
    let client = TlsClient::new(&authority);
    let before = gateway.anonymous_kib();
    let mut connections = Vec::with_capacity(MANY);
    for _ in 0..MANY {
        let mut connection = client.http1(gateway.address(), "localhost").await;
        assert_eq!(connection.send(&Request::get("/")).await.status, 200);
        connections.push(connection);
    }
    report(("TLS", MANY, 14), &gateway, before).await;
    for connection in connections.iter_mut().step_by(500) {
        assert_eq!(connection.send(&Request::get("/")).await.text(), "hello");
    }
}

const QUIET: &str =
    "[server]\naccess_log = { to = \"off\" }\nlimits = { connections_per_client = 0 }\n";

/// A connection is an open file here and one there.
fn allow_descriptors() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
}

/// Nothing else happens meanwhile: the memory is given back by itself. hyper alone holds 22 KiB for a connection in clear
/// text and 33 KiB with TLS (docs/internals/limits.md, "Memory of an idle connection").
async fn report((name, many, most_kib): (&str, usize, u64), gateway: &Gateway, before: u64) {
    let begun = Instant::now();
    let bytes = eventually("few bytes for each idle connection", PATIENCE, async || {
        let bytes = gateway.anonymous_kib().saturating_sub(before) * 1024 / many as u64;
        require(bytes, |bytes| *bytes <= most_kib * 1024)
    })
    .await;
    let after = begun.elapsed();
    println!("{name}: {bytes} bytes for each of {many} idle connections after {after:?}");
}
