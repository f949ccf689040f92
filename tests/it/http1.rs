//! HTTP/1.1: which site answers, how connections live on, and what never gets past the door.

use std::time::Duration;

use tokio::time::timeout;

use crate::harness::http1::raw;
use crate::harness::{Connection, Content, Gateway, Request, Script, ScriptedResponder};

const THREE_SITES: &str = r#"
    [[site]]
    hosts = ["a.example"]
    rule = [{ respond = { body = "exact" } }]

    [[site]]
    hosts = ["*.b.example"]
    rule = [{ respond = { body = "wildcard" } }]

    [[site]]
    rule = [{ respond = { body = "default" } }]
"#;

const HELLO: &str = "[[site]]\nrule = [{ path = \"/\", respond = { body = \"hello\" } }]\n";

#[tokio::test]
async fn the_host_chooses_the_site() {
    let gateway = Gateway::start(THREE_SITES).await;
    let expected = [
        ("a.example", "exact"),
        ("A.EXAMPLE:8080", "exact"),
        ("x.b.example", "wildcard"),
        ("x.y.b.example", "wildcard"),
        ("b.example", "default"),
        ("xa.example", "default"),
        ("127.0.0.1", "default"),
        ("[::1]:80", "default"),
    ];
    for (host, body) in expected {
        let response = gateway.send(&Request::get("/").field("Host", host)).await;
        assert_eq!(response.text(), body, "{host}");
    }
}

#[tokio::test]
async fn an_absolute_target_names_the_host_and_the_field_is_ignored() {
    // RFC 9112 §3.2, §3.2.2.
    let gateway = Gateway::start(THREE_SITES).await;
    for (target, field, body) in [
        ("http://a.example/", "a.example", "exact"),
        ("http://a.example:80/", "A.example", "exact"),
        ("http://a.example/", "a.example:80", "exact"),
        ("http://a.example/", "x.b.example", "exact"),
        ("http://x.b.example/", "a.example", "wildcard"),
    ] {
        let request = Request::get(target).field("Host", field);
        assert_eq!(
            gateway.send(&request).await.text(),
            body,
            "{target} {field}"
        );
    }
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    let request = Request::get("http://A.example:81/").field("Host", "b.example");
    assert_eq!(gateway.send(&request).await.status, 200);
    let seen = responder.requests().remove(0);
    assert_eq!(seen.param("HTTP_HOST"), "a.example:81");
    assert_eq!(seen.param("SERVER_NAME"), "a.example");
    assert_eq!(seen.param("SERVER_PORT"), "81");
}

#[tokio::test]
async fn a_connection_serves_request_after_request() {
    let gateway = Gateway::start(HELLO).await;
    let mut connection = Connection::open(gateway.address()).await;
    for (target, status) in [("/", 200), ("/missing", 404), ("/", 200)] {
        assert_eq!(
            connection.send(&Request::get(target)).await.status,
            status,
            "{target}"
        );
    }
}

#[tokio::test]
async fn a_connection_is_closed_when_the_client_wants_it() {
    let gateway = Gateway::start(HELLO).await;
    let answer = raw(
        gateway.address(),
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
    )
    .await;
    assert!(answer.ends_with(b"hello"));
    let answer = raw(gateway.address(), "GET / HTTP/1.0\r\n\r\n").await;
    assert!(
        answer.ends_with(b"hello"),
        "HTTP/1.0 needs no Host and gets no chunks"
    );
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let config = r#"
        [[site]]
        rule = [
            { path = "/1", respond = { body = "one" } },
            { path = "/2", respond = { body = "two" } },
            { path = "/3", respond = { body = "three" } },
        ]
    "#;
    let gateway = Gateway::start(config).await;
    let mut connection = Connection::open(gateway.address()).await;
    let requests =
        ["/1", "/2", "/3"].map(|target| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    connection.write(requests.concat()).await;
    for body in ["one", "two", "three"] {
        assert_eq!(connection.response().await.text(), body);
    }
}

#[tokio::test]
async fn head_has_the_fields_of_get_and_no_content() {
    let gateway = Gateway::start(HELLO).await;
    let mut connection = Connection::open(gateway.address()).await;
    let get = connection.send(&Request::get("/")).await;
    let head = connection.send(&Request::new("HEAD", "/")).await;
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("5"))
    );
    assert_eq!(head.header("content-type"), get.header("content-type"));
    assert_eq!(
        connection.send(&Request::get("/")).await.text(),
        "hello",
        "nothing was left on the connection"
    );
}

#[tokio::test]
async fn a_chunked_upload_reaches_the_application_with_its_length() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    let upload = Request::post("/")
        .content(Content::new("chunk;", 50))
        .chunked();
    assert_eq!(gateway.send(&upload).await.status, 200);
    let request = responder.requests().remove(0);
    assert_eq!(request.param("CONTENT_LENGTH"), "300");
    assert_eq!(request.stdin, b"chunk;".repeat(50));
    assert!(!request.params.contains_key("HTTP_TRANSFER_ENCODING"));
}

/// Fails unless each request is answered once, with one of `statuses`, and its connection is closed then.
async fn check_refused(gateway: &Gateway, requests: &[String], statuses: &[&str]) {
    let mut accepted = Vec::new();
    for request in requests {
        let answered = timeout(Duration::from_secs(3), raw(gateway.address(), request)).await;
        let Ok(answer) = answered else {
            accepted.push((request, "the connection stays open".to_owned()));
            continue;
        };
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.get(9..12).unwrap_or_default();
        if !statuses.contains(&status) || answer.matches("HTTP/1.").count() != 1 {
            accepted.push((request, answer));
        }
    }
    assert!(accepted.is_empty(), "{accepted:#?}");
}

fn owned(requests: &[&str]) -> Vec<String> {
    requests
        .iter()
        .map(|request| (*request).to_owned())
        .collect()
}

#[tokio::test]
async fn what_frames_a_request_in_two_ways_never_reaches_the_application() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    let heads = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 99999999999999999999",
        "Content-Length:",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: xchunked",
        "Content-Length : 5",
        "X: a\0b",
        "X: a\rb",
        "X y: a",
        ": a",
    ];
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let request = |head| format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n{smuggled}");
    check_refused(&gateway, &heads.map(request), &["400", "501"]).await;
    let old = ["POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"];
    check_refused(&gateway, &owned(&old), &["400"]).await;
    assert_eq!(responder.requests(), []);
}

#[tokio::test]
async fn a_folded_field_never_reaches_the_application() {
    // RFC 9112 §5.2.
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    let folded = [
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    ];
    check_refused(&gateway, &owned(&folded), &["400"]).await;
    assert_eq!(responder.requests(), []);
}

#[tokio::test]
async fn without_one_good_host_nothing_reaches_the_application() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    let requests = [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: a/b\r\n\r\n",
    ];
    check_refused(&gateway, &owned(&requests), &["400"]).await;
    assert_eq!(responder.requests(), []);
}

#[tokio::test]
async fn a_bad_request_line_never_reaches_the_application() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    let lines = [
        "GET  / HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /%00 HTTP/1.1",
        "GET /%zz HTTP/1.1",
        "GET /../x HTTP/1.1",
        "GET /%2e%2e/x HTTP/1.1",
        "G@T\u{7f} / HTTP/1.1",
        "hello",
    ];
    let request = |line| format!("{line}\r\nHost: a\r\nConnection: close\r\n\r\n");
    check_refused(&gateway, &lines.map(request), &["400"]).await;
    check_refused(&gateway, &[request("GET / HTTP/3.0")], &["400", "505"]).await;
    check_refused(&gateway, &[request("TRACE / HTTP/1.1")], &["405", "501"]).await;
    check_refused(
        &gateway,
        &[request("CONNECT a:80 HTTP/1.1")],
        &["400", "405", "501"],
    )
    .await;
    assert_eq!(responder.requests(), []);
}

#[tokio::test]
async fn a_broken_chunk_never_reaches_the_application() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    let bodies = [
        "5\r\nabc\r\n0\r\n\r\n",
        "x\r\nabc\r\n0\r\n\r\n",
        "-1\r\na",
        "fffffffffffffffff\r\na",
        "3\nabc\r\n0\r\n\r\n",
    ];
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let request = |body| format!("{head}{body}GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    check_refused(&gateway, &bodies.map(request), &["400"]).await;
    assert_eq!(responder.requests(), []);
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let limits = "[server]\nlimits = { header = \"300ms\", keep_alive = \"900ms\" }\n";
    let gateway = Gateway::start(&format!("{limits}{HELLO}")).await;
    let mut connection = Connection::open(gateway.address()).await;
    assert_eq!(connection.send(&Request::get("/")).await.text(), "hello");
    // A 408 could be taken for the answer to a request that is on its way.
    assert_eq!(connection.read_to_end().await, b"");
}

#[tokio::test]
async fn a_head_has_limits_in_size_number_and_time() {
    let config = format!(
        "[server]\nlimits = {{ header = \"300ms\", head = \"16KiB\", fields = 20 }}\n{HELLO}"
    );
    let gateway = Gateway::start(&config).await;
    let big = gateway
        .send(&Request::get("/").field("X", &"x".repeat(17 * 1024)))
        .await;
    assert_eq!(big.status, 431);
    let many = (0..30).fold(Request::get("/"), |request, n| {
        request.field(&format!("X-{n}"), "x")
    });
    assert_eq!(gateway.send(&many).await.status, 431);
    let slow = raw(gateway.address(), "GET / HTTP/1.1\r\nHost: ").await;
    assert!(
        slow.starts_with(b"HTTP/1.1 408 "),
        "{}",
        String::from_utf8_lossy(&slow)
    );
}

#[tokio::test]
async fn content_is_asked_for_only_when_it_will_be_read() {
    let responder = ScriptedResponder::start([Script::answer("\n")]).await;
    let gateway = Gateway::start(&format!(
        "[server]\nlimits = {{ body = \"1KiB\" }}\n{}",
        responder.site("")
    ))
    .await;
    let head = |length: usize| {
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut connection = Connection::open(gateway.address()).await;
    connection.write(head(5)).await;
    assert_eq!(connection.interim().await, 100);
    connection.write("12345").await;
    assert_eq!(connection.response().await.status, 200);
    assert_eq!(responder.requests()[0].stdin, b"12345");

    connection.write(head(2000)).await;
    assert_eq!(connection.interim().await, 413, "no 100 in front of it");
}

#[tokio::test]
async fn an_expectation_is_a_100_or_refused() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    for (value, status) in [
        ("", 200),
        (" , ,", 200),
        (",100-continue,", 200),
        ("100-continue, other", 417),
        ("other", 417),
    ] {
        let upload = Request::post("/").field("Expect", value).body("content");
        assert_eq!(gateway.send(&upload).await.status, status, "{value:?}");
    }
    assert!(
        responder
            .requests()
            .iter()
            .all(|seen| seen.stdin == b"content")
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let responder = ScriptedResponder::start([Script::answer("\n")]).await;
    let config = format!(
        "[server]\nlimits = {{ body = \"1MiB\" }}\n{}",
        responder.site("")
    );
    let gateway = Gateway::start(&config).await;
    let upload = Request::post("/").content(Content::mebibytes(2));
    assert_eq!(gateway.send(&upload).await.status, 413);
    assert_eq!(gateway.send(&upload.chunked()).await.status, 413);
    assert_eq!(responder.requests(), []);
}

#[tokio::test]
async fn a_unix_socket_and_ipv6_are_listened_on() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("fcgate.sock");
    let config = format!(
        "[[listen]]\naddress = \"unix:{}\"\n[[listen]]\naddress = \"[::1]:0\"\n{HELLO}",
        socket.display()
    );
    let gateway = Gateway::start_in(directory, &config).await;
    assert_eq!(gateway.addresses().len(), 2);
    for address in gateway.addresses() {
        assert_eq!(
            crate::harness::http1::send(address, &Request::get("/"))
                .await
                .text(),
            "hello",
            "{address}"
        );
    }
}

#[tokio::test]
async fn a_port_alone_listens_on_ipv4_and_ipv6() {
    let gateway = Gateway::start(&format!("[[listen]]\naddress = \":0\"\n{HELLO}")).await;
    let port = gateway.address().port();
    for host in ["127.0.0.1", "[::1]"] {
        let address = crate::harness::Address::parse(&format!("{host}:{port}"));
        assert_eq!(
            crate::harness::http1::send(&address, &Request::get("/"))
                .await
                .text(),
            "hello",
            "{host}"
        );
    }
}
