//! Reloads while everything runs: listeners and sites come and go, and nobody who had nothing to do with it notices.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::harness::load::scale;
use crate::harness::{Connection, Content, Gateway, PhpFpm, Request, http2, patiently};

/// Events until it is told to end.
const EVENTS: &str = "<?php header('Content-Type: text/event-stream');
for ($n = 0; !file_exists(__DIR__ . '/end'); $n++) { echo \"data: $n\\n\\n\"; flush(); usleep(20000); }
echo \"data: end\\n\\n\";";

/// The `n`th configuration: two sites of which one comes and goes, and so does a second listener.
fn config(php: &PhpFpm, n: usize) -> String {
    let mut config = "[[listen]]\naddress = \"127.0.0.1:0\"\n".to_owned();
    if n % 2 == 1 {
        let socket = php.root().join(format!("second-{n}.sock"));
        config += &format!("[[listen]]\naddress = \"unix:{}\"\n", socket.display());
    }
    config += &format!("{}front_controller = \"\"\n", php.site());
    if n % 3 == 1 {
        config +=
            "[[site]]\nhosts = \"other.example\"\nrule = [{ respond = { body = \"other\" } }]\n";
    }
    // The rules of the site that is used change each time.
    config.replace(
        "front_controller = \"\"\n",
        &format!("front_controller = \"\"\nrule = [{{ path = \"/n\", respond = {{ body = \"{n}\" }} }}]\n"),
    )
}

/// Asks again and again on one connection until `done`; how often, and what went wrong.
async fn ask_http1(gateway: &Gateway, target: &str, done: watch::Receiver<bool>) -> usize {
    let mut connection = Connection::open(gateway.address()).await;
    let mut asked = 0;
    while !*done.borrow() {
        let response = connection.send(&Request::get(target)).await;
        assert_eq!(
            (response.status, response.whole),
            (200, true),
            "{target}: {response:?}"
        );
        asked += 1;
        if response.header("connection") == Some("close") {
            connection = Connection::open(gateway.address()).await;
        }
    }
    asked
}

async fn ask_http2(gateway: &Gateway, target: &str, done: watch::Receiver<bool>) -> usize {
    let mut connection = http2::Connection::open(gateway.address()).await;
    let mut asked = 0;
    while !*done.borrow() {
        let response = connection.send(&Request::get(target)).await;
        assert_eq!(
            (response.status, response.whole),
            (200, true),
            "{target}: {response:?}"
        );
        asked += 1;
    }
    asked
}

/// Reads events to their end; how many there were, all in order.
async fn listen(gateway: &Gateway) -> usize {
    let mut connection = Connection::open(gateway.address()).await;
    connection.start(&Request::get("/events.php")).await;
    assert_eq!(connection.head().await.status, 200);
    let mut text = Vec::new();
    while let Some(piece) = connection.piece().await.expect("the stream is not broken") {
        text.extend(piece);
    }
    let text = String::from_utf8(text).unwrap();
    let mut events = text.split("\n\n").filter(|event| !event.is_empty());
    let count = events.clone().count() - 1;
    for n in 0..count {
        assert_eq!(events.next(), Some(format!("data: {n}").as_str()));
    }
    assert_eq!(events.next(), Some("data: end"));
    count
}

/// Reads a large file as slowly as it takes; its length.
async fn download(gateway: &Gateway, done: watch::Receiver<bool>) -> usize {
    let mut connection = Connection::open(gateway.address()).await;
    connection.start(&Request::get("/large.bin")).await;
    assert_eq!(connection.head().await.status, 200);
    let mut length = 0;
    while let Some(piece) = connection
        .piece()
        .await
        .expect("the download is not broken")
    {
        length += piece.len();
        if !*done.borrow() {
            // Slow enough to last beyond the reloads.
            sleep(Duration::from_millis(2)).await;
        }
    }
    length
}

#[tokio::test]
async fn nobody_notices_a_reload() {
    let php = PhpFpm::start(6).await;
    php.write("hello.php", "<?php echo 'hello';");
    php.write("events.php", EVENTS);
    php.write("small.txt", "small");
    let large = Content::mebibytes(100);
    php.write(
        "large.bin",
        large.pieces().flatten().copied().collect::<Vec<_>>(),
    );
    let gateway = Gateway::start(&config(&php, 0)).await;
    let (finish, done) = watch::channel(false);
    let reloads = async {
        for n in 1..=scale(20, 100) {
            let line = gateway.reload(&config(&php, n)).await;
            assert!(line.contains("reloaded"), "{line}");
            assert_eq!(gateway.get("/n").await.text(), n.to_string());
            let other = Request::get("/").field("Host", "other.example");
            let other = gateway.send(&other).await;
            assert_eq!(other.text() == "other", n % 3 == 1, "{n}");
        }
        php.write("end", "");
        finish.send(true).unwrap();
    };
    let ((), hello, file, hello2, file2, events, length) = patiently("all of it", async {
        tokio::join!(
            reloads,
            ask_http1(&gateway, "/hello.php", done.clone()),
            ask_http1(&gateway, "/small.txt", done.clone()),
            ask_http2(&gateway, "/hello.php", done.clone()),
            ask_http2(&gateway, "/small.txt", done.clone()),
            listen(&gateway),
            download(&gateway, done.clone()),
        )
    })
    .await;
    assert_eq!(length, large.length());
    for asked in [hello, file, hello2, file2, events] {
        assert!(asked > 0, "{hello} {file} {hello2} {file2} {events}");
    }
    println!("hello {hello} {hello2}, files {file} {file2}, events {events}");
}
