//! What becomes of a script's status, validators and interim answers.

use crate::fastcgi::{answer, with_scripts};
use crate::harness::http1::raw;
use crate::harness::{Gateway, Request, Script, http2};

#[tokio::test]
async fn what_the_client_has_is_not_sent_again_and_the_script_ends() {
    let (php, gateway) = Gateway::with_php(1).file(
        "page.php",
        "<?php header('ETag: \"v1\"'); header('Set-Cookie: a=1'); echo 'page'; flush(); touch(__DIR__ . '/' . $_GET['n']);",
    )
    .start()
    .await;
    for (number, (method, field, value, status)) in [
        ("GET", "If-None-Match", "\"v1\"", 304),
        ("HEAD", "If-None-Match", "W/\"v1\"", 304),
        ("GET", "If-None-Match", "\"v2\"", 200),
        ("POST", "If-None-Match", "\"v1\"", 200),
        ("GET", "If-Match", "\"v2\"", 412),
    ]
    .into_iter()
    .enumerate()
    {
        let request = Request::new(method, &format!("/page.php?n=ran{number}")).field(field, value);
        let response = gateway.send(&request).await;
        let case = format!("{method} {field}: {value}");
        assert_eq!(response.status, status, "{case}");
        assert_eq!(response.header("etag"), Some("\"v1\""), "{case}");
        assert_eq!(response.header("set-cookie"), Some("a=1"), "{case}");
        if status == 304 {
            assert!(response.body.is_empty());
            assert_eq!(response.header("content-type"), None, "{case}");
        }
        // One worker: the next request gets it when the script has ended.
        gateway.get("/page.php?n=next").await;
        assert!(php.root().join(format!("ran{number}")).exists(), "{case}");
    }
}

#[tokio::test]
async fn only_a_200_is_compared() {
    let (_responder, gateway) = with_scripts([Script::answer("Status: 404\nETag: \"x\"\n\nnone")])
        .start()
        .await;
    let request = Request::get("/").field("If-None-Match", "\"x\"");
    let response = gateway.send(&request).await;
    assert_eq!((response.status, response.text().as_str()), (404, "none"));
}

/// The status line of an HTTP/1 answer.
async fn status_line(gateway: &Gateway, request: &str) -> String {
    let request = format!("{request}\r\nHost: a\r\nConnection: close\r\n\r\n");
    let answer = raw(gateway.address(), request).await;
    let line = answer.split(|byte| *byte == b'\r').next().unwrap();
    String::from_utf8_lossy(line).into_owned()
}

#[tokio::test]
async fn the_words_behind_a_status_are_the_scripts() {
    for (status, expected) in [
        ("404 No such page", "404 No such page"),
        ("404 Not Found", "404 Not Found"),
        ("404", "404 Not Found"),
        ("599 So it goes", "599 So it goes"),
        ("299 \u{fc}", "299 \u{fc}"),
    ] {
        let text = format!("Status: {status}\n\nsaid");
        let (_responder, gateway) = with_scripts([Script::answer(text)]).start().await;
        let line = status_line(&gateway, "GET / HTTP/1.1").await;
        assert_eq!(line, format!("HTTP/1.1 {expected}"), "{status}");
        let response = http2::send(gateway.address(), &Request::get("/")).await;
        assert_eq!(response.status.to_string(), expected[..3], "{status}");
    }
    // A status that is not the script's has its own.
    let text = "Status: 200 Fine\nETag: \"a\"\n\n";
    let (_responder, gateway) = with_scripts([Script::answer(text)]).start().await;
    let line = status_line(&gateway, "GET / HTTP/1.1\r\nIf-None-Match: \"a\"").await;
    assert_eq!(line, "HTTP/1.1 304 Not Modified");
}

#[tokio::test]
async fn a_script_that_refuses_says_why() {
    for status in [412, 416] {
        let text = format!("Status: {status}\nContent-Range: bytes */9\nETag: \"a\"\n\nbecause");
        let (_responder, gateway) = with_scripts([Script::answer(text)]).start().await;
        let response = gateway.get("/").await;
        assert_eq!(
            (response.status, response.text().as_str(), response.whole),
            (status, "because", true)
        );
        assert_eq!(response.header("content-range"), Some("bytes */9"));
    }
}

#[tokio::test]
async fn fields_that_have_one_value_are_sent_once() {
    let (_php, gateway) = Gateway::with_php(1).file(
        "twice.php",
        "<?php foreach (['Location: /a', 'ETag: \"1\"', 'Content-Range: a', 'Last-Modified: ' . date('r', 784111777), 'X: 1'] as $field) {
            header($field); header(str_replace(['/a', '1\"', ': a', ': 1'], ['/b', '2\"', ': b', ': 2'], $field), false); }
        header('Content-Type: text/plain'); http_response_code(200); echo 'twice';",
    )
    .file("none.php", "<?php header('Content-Type:'); echo 'none';")
    .start()
    .await;
    let response = gateway.get("/twice.php").await;
    let all = |name: &str| -> Vec<_> {
        let fields = response.fields.iter();
        let named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(all("location"), ["/b"]);
    assert_eq!(all("etag"), ["\"2\""]);
    assert_eq!(all("content-range"), ["b"]);
    assert_eq!(all("last-modified"), ["Sun, 06 Nov 1994 08:49:37 GMT"]);
    assert_eq!(all("content-type").len(), 1);
    assert_eq!(all("x"), ["1", "2"]);
    assert_eq!(gateway.get("/none.php").await.header("content-type"), None);
}

#[tokio::test]
async fn a_time_that_is_none_is_dropped_and_one_to_come_is_now() {
    let response = answer("Last-Modified: yesterday\n\n").await;
    assert_eq!(response.header("last-modified"), None);
    let future = "Sat, 06 Nov 2094 08:49:37 GMT";
    let response = answer(format!("Last-Modified: {future}\n\n")).await;
    let clamped = response.header("last-modified").unwrap();
    assert_ne!(clamped, future);
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    let response = answer(format!("Last-Modified: {past}\n\n")).await;
    assert_eq!(response.header("last-modified"), Some(past));
}

#[tokio::test]
async fn an_interim_answer_is_dropped_and_told_of() {
    let text = "Status: 103 Early Hints\nLink: </a.css>\n\nStatus: 100\n\nX-A: 1\n\nhello";
    let (_responder, gateway) =
        with_scripts([Script::new().read_request().stdout(text).end_request()])
            .start()
            .await;
    let response = gateway.get("/").await;
    assert_eq!(
        (
            response.status,
            response.header("x-a"),
            response.text().as_str()
        ),
        (200, Some("1"), "hello")
    );
    assert_eq!(response.header("link"), None);
    gateway
        .log
        .wait_for(|line| line.contains("interim answer"))
        .await;
}

#[tokio::test]
async fn an_interim_answer_alone_or_a_switch_is_a_bad_gateway() {
    for text in [
        "Status: 103\n\n".to_owned(),
        "Status: 103\n\nno head".to_owned(),
        "Status: 101\n\nX: 1\n\n".to_owned(),
        format!("{}X: 1\n\n", "Status: 103\n\n".repeat(9)),
    ] {
        assert_eq!(answer(&text).await.status, 502, "{text:?}");
    }
}
