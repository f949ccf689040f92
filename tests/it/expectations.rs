//! Requests that are answered without their content. After `Expect: 100-continue` nobody has asked for it, and nobody
//! knows whether it follows: the answer says that the connection ends (RFC 9110 §10.1.1, RFC 9112 §9.6).

use crate::harness::{Connection, Content, Gateway, Request, Script, http2};

const RULES: &str = r#"
limits = { body = "1KiB" }
[[site.rule]]
path = "/hello"
respond = { body = "hello" }
[[site.rule]]
path = "/moved"
redirect = { to = "/hello" }
[[site.rule]]
path = "/denied"
deny = true
[[site.rule]]
path = "/file"
static_files = { root = "{folder}", missing = "decline" }
[[site.rule]]
path = "/none"
respond = { status = 404 }
[[site.error_page]]
status = "409"
path = "/hello"
[[site.rule]]
path = "/page"
deny = { status = 409 }
"#;

/// Targets that are answered without the content, and their status.
const UNREAD: [(&str, u16); 8] = [
    ("/hello", 200),
    ("/moved", 302),
    ("/denied", 403),
    ("/file", 405),
    ("/none", 404),
    ("/page", 409),
    ("/app", 413),
    ("/%zz", 400),
];

/// More than the site takes.
const LENGTH: usize = 2000;

/// When a client sends its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// Behind the head, without waiting.
    AtOnce,
    /// After the answer.
    Late,
    /// Never.
    Never,
}

fn post(target: &str, expect: Option<&str>, is_chunked: bool) -> (String, Vec<u8>) {
    let expect = expect.map_or_else(String::new, |value| format!("Expect: {value}\r\n"));
    let content = "x".repeat(LENGTH);
    let (framing, content) = if is_chunked {
        let chunks = format!("{LENGTH:x}\r\n{content}\r\n0\r\n\r\n");
        ("Transfer-Encoding: chunked".to_owned(), chunks)
    } else {
        (format!("Content-Length: {LENGTH}"), content)
    };
    let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\n{expect}{framing}\r\n\r\n");
    (head, content.into_bytes())
}

/// Asks, and returns the status of the answer, whether it says `close`, and whether the next request is answered.
async fn ask(
    gateway: &Gateway,
    (head, content): &(String, Vec<u8>),
    sent: Sent,
) -> (u16, bool, bool) {
    let mut connection = Connection::open(gateway.address()).await;
    match sent {
        Sent::AtOnce => connection.write([head.as_bytes(), content].concat()).await,
        Sent::Late | Sent::Never => connection.write(head).await,
    }
    let answer = connection.response().await;
    assert!(answer.whole, "{answer:?}");
    let closes = answer.header("connection") == Some("close");
    if sent == Sent::Late {
        connection.write(content).await;
    }
    connection
        .write("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    if closes {
        assert_eq!(connection.read_to_end().await, b"", "{head}");
        return (answer.status, true, false);
    }
    (
        answer.status,
        false,
        connection.response().await.text() == "hello",
    )
}

#[tokio::test]
async fn content_that_was_not_asked_for_ends_the_connection() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")])
        .site(RULES)
        .beside("file", "content")
        .start()
        .await;
    for (target, status) in UNREAD {
        // A chunked body shows its length as it is read.
        let framings: &[bool] = if status == 413 {
            &[false]
        } else {
            &[false, true]
        };
        for is_chunked in framings {
            for sent in [Sent::AtOnce, Sent::Late, Sent::Never] {
                let asked = ask(
                    &gateway,
                    &post(target, Some("100-continue"), *is_chunked),
                    sent,
                )
                .await;
                assert_eq!(
                    asked,
                    (status, true, false),
                    "{target} {sent:?} {is_chunked}"
                );
            }
            for sent in [Sent::AtOnce, Sent::Late] {
                let asked = ask(&gateway, &post(target, None, *is_chunked), sent).await;
                assert_eq!(
                    asked,
                    (status, false, true),
                    "{target} {sent:?} {is_chunked}"
                );
            }
        }
    }
    for sent in [Sent::AtOnce, Sent::Late, Sent::Never] {
        let asked = ask(
            &gateway,
            &post("/hello", Some("100-continue, x"), false),
            sent,
        )
        .await;
        assert_eq!(asked, (417, true, false), "{sent:?}");
    }
    assert_eq!(responder.requests(), []);
}

#[tokio::test]
async fn content_that_was_asked_for_leaves_the_connection_open() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")])
        .site(RULES)
        .start()
        .await;
    let mut connection = Connection::open(gateway.address()).await;
    for _ in 0..2 {
        let head =
            "POST /app HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
        connection.write(head).await;
        assert_eq!(connection.interim().await, 100);
        connection.write("12345").await;
        let answer = connection.response().await;
        assert_eq!((answer.status, answer.header("connection")), (200, None));
    }
    // No content, no expectation.
    let head =
        "POST /hello HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n";
    connection.write(head).await;
    assert_eq!(connection.response().await.header("connection"), None);
    // RFC 9110 §10.1.1: that of HTTP/1.0 is ignored; its content is behind the head.
    let head = "POST /hello HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    connection.write(format!("{head}12345")).await;
    let answer = connection.response().await;
    assert_eq!(
        (answer.status, answer.header("connection")),
        (200, Some("keep-alive"))
    );
    connection
        .write("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert_eq!(connection.response().await.text(), "hello");
    assert!(
        responder
            .requests()
            .iter()
            .all(|seen| seen.stdin == b"12345")
    );
}

#[tokio::test]
async fn an_upload_that_does_not_wait_for_its_refusal_reads_it() {
    let (_responder, gateway) = Gateway::with_app([Script::answer("\n")])
        .site(RULES)
        .start()
        .await;
    let upload = Request::post("/denied")
        .field("Expect", "100-continue")
        .content(Content::mebibytes(4));
    for upload in [upload.clone(), upload.chunked()] {
        let answer = gateway.send(&upload).await;
        assert_eq!((answer.status, answer.whole), (403, true));
        assert_eq!(answer.header("connection"), Some("close"));
    }
}

#[tokio::test]
async fn over_http_2_the_stream_alone_ends() {
    let (_responder, gateway) = Gateway::with_app([Script::answer("\n")])
        .site(RULES)
        .start()
        .await;
    let mut connection = http2::Connection::open(gateway.address()).await;
    for (target, status) in [("/denied", 403), ("/app", 413), ("/hello", 200)] {
        let upload = Request::post(target)
            .field("Host", "a")
            .field("Expect", "100-continue")
            .body(vec![b'x'; LENGTH]);
        let answer = connection.send(&upload).await;
        assert_eq!(
            (answer.status, answer.header("connection")),
            (status, None),
            "{target}"
        );
    }
}
