//! What becomes of a script's status, validators and interim answers.

use crate::fastcgi::{answer, start};
use crate::harness::{Gateway, PhpFpm, Request, Script};

#[tokio::test]
async fn what_the_client_has_is_not_sent_again_and_the_script_ends() {
    let php = PhpFpm::start(1).await;
    php.write(
        "page.php",
        "<?php header('ETag: \"v1\"'); header('Set-Cookie: a=1'); echo 'page'; flush(); touch(__DIR__ . '/' . $_GET['n']);",
    );
    let gateway = Gateway::start(&php.site()).await;
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
    let (_responder, gateway) = start([Script::answer("Status: 404\nETag: \"x\"\n\nnone")]).await;
    let request = Request::get("/").field("If-None-Match", "\"x\"");
    let response = gateway.send(&request).await;
    assert_eq!((response.status, response.text().as_str()), (404, "none"));
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
        start([Script::new().read_request().stdout(text).end_request()]).await;
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
