//! HTTP/2 in clear text, on the port that speaks HTTP/1.1 too.

use crate::harness::http2::{Connection, send};
use crate::harness::{Content, Gateway, Request, Script, ScriptedResponder};

#[tokio::test]
async fn one_port_speaks_both_versions() {
    let gateway = Gateway::start("[[site]]\nrule = [{ respond = { body = \"hello\" } }]\n").await;
    assert_eq!(gateway.get("/").await.text(), "hello");
    let response = send(gateway.address(), &Request::get("/")).await;
    assert_eq!(
        (response.status, response.text().as_str(), response.whole),
        (200, "hello", true)
    );
}

#[tokio::test]
async fn the_authority_chooses_the_site() {
    let config = r#"
        [[site]]
        hosts = ["a.example"]
        rule = [{ respond = { body = "a" } }]
        [[site]]
        rule = [{ respond = { body = "default" } }]
    "#;
    let gateway = Gateway::start(config).await;
    let mut connection = Connection::open(gateway.address()).await;
    for (host, body) in [
        ("a.example", "a"),
        ("a.example:81", "a"),
        ("b.example", "default"),
    ] {
        assert_eq!(
            connection
                .send(&Request::get("/").field("Host", host))
                .await
                .text(),
            body,
            "{host}"
        );
    }
}

#[tokio::test]
async fn the_application_sees_the_request_as_cgi_has_it() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    let request = Request::post("/p?q=1")
        .field("Host", "A.Example:81")
        .field("cookie", "a=1")
        .field("cookie", "b=2");
    let request = request.content(Content::new("12345", 3)).chunked();
    assert_eq!(send(gateway.address(), &request).await.status, 200);
    let received = responder.requests().remove(0);
    let expected = [
        ("SERVER_PROTOCOL", "HTTP/2.0"),
        ("HTTP_HOST", "A.Example:81"),
        ("SERVER_NAME", "a.example"),
        ("SERVER_PORT", "81"),
        ("HTTP_COOKIE", "a=1; b=2"),
        ("REQUEST_URI", "/p?q=1"),
        ("CONTENT_LENGTH", "15"),
    ];
    for (name, value) in expected {
        assert_eq!(received.param(name), value, "{name}");
    }
    assert_eq!(received.stdin, b"123451234512345");
}

#[tokio::test]
async fn streams_are_answered_side_by_side() {
    let gate = crate::harness::Gate::new();
    let slow = Script::held(&gate, "\nslow");
    let (responder, gateway) = Gateway::with_app([slow, Script::answer("\nfast")])
        .start()
        .await;
    let connection = Connection::open(gateway.address()).await;
    let (mut first, mut second) = (connection.clone(), connection);
    let slow = tokio::spawn(async move { first.send(&Request::get("/slow")).await });
    responder
        .wait_until("the slow request", |seen| seen.busy == 1)
        .await;
    assert_eq!(second.send(&Request::get("/fast")).await.text(), "fast");
    gate.pass(1);
    assert_eq!(slow.await.unwrap().text(), "slow");
}

#[tokio::test]
async fn fields_about_a_connection_do_not_break_a_stream() {
    // RFC 9113 §8.2.2 makes them an error, and scripts send them.
    let head = "Connection: close, X-Hop\nX-Hop: 1\nKeep-Alive: 5\nTransfer-Encoding: chunked\nUpgrade: x\nX-End: 1\n\nbody";
    let (_responder, gateway) = Gateway::with_app([Script::answer(head)]).start().await;
    let response = send(gateway.address(), &Request::get("/")).await;
    assert_eq!((response.status, response.text().as_str()), (200, "body"));
    assert_eq!(response.header("x-end"), Some("1"));
    for name in [
        "connection",
        "x-hop",
        "keep-alive",
        "transfer-encoding",
        "upgrade",
    ] {
        assert_eq!(response.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_reset_stream_lets_go_of_the_application() {
    let long = Script::new().read_request().stdout("\nfirst").read_to_end();
    let (responder, gateway) = Gateway::with_app([long]).start().await;
    let mut connection = Connection::open(gateway.address()).await;
    let response = connection.start(&Request::get("/")).await;
    assert_eq!(response.status(), 200);
    drop(response);
    responder
        .wait_until("the close", |seen| seen.open == 0)
        .await;
}

#[tokio::test]
async fn a_large_file_and_a_head_are_right() {
    let content: Vec<u8> = (0..=250).cycle().take(3_000_000).collect();
    let gateway = Gateway::with_files().file("large.bin", &content);
    let gateway = gateway.start().await;
    let mut connection = Connection::open(gateway.address()).await;
    let whole = connection.send(&Request::get("/large.bin")).await;
    assert!(whole.whole && whole.body == content);
    let head = connection.send(&Request::new("HEAD", "/large.bin")).await;
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (200, Some("3000000"), 0)
    );
    let part = connection
        .send(&Request::get("/large.bin").field("range", "bytes=5-9"))
        .await;
    assert_eq!((part.status, part.body), (206, vec![5, 6, 7, 8, 9]));
}

#[tokio::test]
async fn a_content_length_that_lies_never_reaches_the_application() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    let mut connection = Connection::open(gateway.address()).await;
    // RFC 9113 §8.1.1: unequal to the DATA frames is malformed.
    let request = Request::post("/")
        .field("content-length", "9")
        .content(Content::new("12345", 1))
        .chunked();
    if let Ok(response) = connection.try_start(&request).await {
        assert_eq!(response.status(), 400);
    }
    assert_eq!(
        connection.send(&Request::get("/")).await.status,
        200,
        "the connection lives on"
    );
    let requests = responder.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].param("REQUEST_METHOD"), "GET");
}

#[tokio::test]
async fn an_answer_to_head_has_no_content_whoever_gives_it() {
    let responder = ScriptedResponder::start([Script::answer("\nscript")]).await;
    let rule = "[[site.rule]]\npath = \"/fixed\"\nrespond = { body = \"fixed\" }\n";
    let config = responder
        .site("")
        .replace("[[site.rule]]", &format!("{rule}[[site.rule]]"));
    let gateway = Gateway::start(&config).await;
    let mut connection = Connection::open(gateway.address()).await;
    for (target, status) in [("/fixed", 200), ("/%zz", 400), ("/script", 200)] {
        let head = connection.send(&Request::new("HEAD", target)).await;
        assert_eq!(
            (head.status, head.text().as_str(), head.whole),
            (status, "", true),
            "{target}"
        );
    }
}
