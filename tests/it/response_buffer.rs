//! `response_buffer`: PHP does not wait for slow clients.

use crate::harness::{
    Connection, Gateway, GatewaySetup, PATIENCE, Request, Script, eventually, http2, php_fpm,
};

const MIB: usize = 1 << 20;

/// Large answers, of which the gateway holds so much.
fn buffering(buffer: &str) -> GatewaySetup<php_fpm::Setup> {
    Gateway::with_php(1)
        .file("hello.php", "<?php echo 'hello';")
        .file("large.php", LARGE)
        .upstream(&format!("response_buffer = \"{buffer}\""))
}

/// Sends the MiB that it is asked for, with their length or without, and notes how far it is, in 64 KiB.
const LARGE: &str = "<?php ignore_user_abort(true); if (isset($_GET['length'])) header('Content-Length: ' . ($_GET['mib'] << 20));
$piece = ''; for ($i = 0; $i < 65536; $i++) $piece .= chr($i % 251);
for ($i = 1; $i <= $_GET['mib'] * 16; $i++) { echo $piece; file_put_contents(__DIR__ . '/progress', $i); }";

/// What `large.php` prints.
fn content(mebibytes: usize) -> Vec<u8> {
    let piece: Vec<u8> = (0..=250).cycle().take(65_536).collect();
    piece.repeat(mebibytes * 16)
}

async fn rest(connection: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(piece) = connection.piece().await.unwrap() {
        bytes.extend(piece);
    }
    bytes
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_no_worker() {
    let (_php, gateway) = buffering("32MiB").start().await;
    for target in ["/large.php?mib=20", "/large.php?mib=20&length"] {
        let mut slow = Connection::open(gateway.address()).await;
        slow.start(&Request::get(target)).await;
        assert_eq!(slow.head().await.status, 200);
        assert_eq!(gateway.get("/hello.php").await.text(), "hello");
        assert!(rest(&mut slow).await == content(20), "{target}");
        // The connection of the client is in order.
        let next = slow.send(&Request::get("/hello.php")).await;
        assert_eq!(next.text(), "hello");
    }
    let h2 = http2::send(gateway.address(), &Request::get("/large.php?mib=20")).await;
    assert!(h2.whole && h2.body == content(20));
}

#[tokio::test]
async fn a_full_buffer_makes_php_wait_and_loses_nothing() {
    let (php, gateway) = buffering("1MiB").start().await;
    let progress = || -> usize {
        let text = std::fs::read_to_string(php.root().join("progress")).unwrap_or_default();
        text.parse().unwrap_or(0)
    };
    let mut slow = Connection::open(gateway.address()).await;
    slow.start(&Request::get("/large.php?mib=64")).await;
    assert_eq!(slow.head().await.status, 200);
    eventually("a buffer is filled", PATIENCE, async || progress() > 16).await;
    assert!(rest(&mut slow).await == content(64));
    assert!(
        gateway.peak_rss_kib() < 64 * 1024,
        "{} KiB",
        gateway.peak_rss_kib()
    );
}

#[tokio::test]
async fn what_is_live_is_never_held_back() {
    let (php, gateway) = buffering("1MiB").start().await;
    for (number, field) in [
        "Content-Type: text/event-stream",
        "Content-Type: application/x-ndjson; charset=utf-8",
        "X-Accel-Buffering: no",
        "X-Accel-Buffering: yes",
    ]
    .into_iter()
    .enumerate()
    {
        let script = format!(
            "<?php header('{field}'); echo 'first'; flush();
             while (!file_exists(__DIR__ . '/go{number}')) {{ usleep(1000); clearstatcache(); }} echo 'second';"
        );
        php.write(&format!("live{number}.php"), script);
        let mut connection = Connection::open(gateway.address()).await;
        connection
            .start(&Request::get(&format!("/live{number}.php")))
            .await;
        let head = connection.head().await;
        assert_eq!(head.header("x-accel-buffering"), None);
        assert_eq!(connection.piece().await.unwrap().unwrap(), b"first");
        php.write(&format!("go{number}"), "");
        assert_eq!(rest(&mut connection).await, b"second", "{field}");
    }
}

#[tokio::test]
async fn a_cut_answer_is_visibly_cut() {
    let part = "x".repeat(MIB / 2);
    for head in ["\n", "Content-Length: 1048576\n\n"] {
        let script = Script::new().read_request().stdout(format!("{head}{part}"));
        let (_responder, gateway) = Gateway::with_app([script.close()])
            .upstream("response_buffer = \"4MiB\"")
            .start()
            .await;
        let request = Request::get("/");
        for response in [
            gateway.send(&request).await,
            http2::send(gateway.address(), &request).await,
        ] {
            assert_eq!((response.status, response.whole), (200, false));
            assert!(part.as_bytes().starts_with(&response.body));
        }
        gateway
            .log
            .wait_for(|line| line.contains("UPSTREAM_TRUNCATED"))
            .await;
    }
}

#[tokio::test]
async fn a_client_that_leaves_ends_the_exchange() {
    let script = Script::new().read_request().stdout("\nfirst").read_to_end();
    let (responder, gateway) = Gateway::with_app([script])
        .upstream("response_buffer = \"4MiB\"")
        .start()
        .await;
    let mut connection = Connection::open(gateway.address()).await;
    connection.start(&Request::get("/")).await;
    connection.head().await;
    assert_eq!(connection.piece().await.unwrap().unwrap(), b"first");
    assert_eq!(responder.seen().open, 1);
    drop(connection);
    responder
        .wait_until("the connection is closed", |seen| seen.open == 0)
        .await;
}
