//! The manners of HTTP: what a request may ask of the connection, and what never goes on to the other side.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Duration, timeout};

use crate::harness::php_fpm::write_below;
use crate::harness::{
    Connection, Content, Gateway, Request, Script, ScriptedResponder, http1, http2, patiently,
};

const HELLO: &str = "[[site]]\nrule = [{ path = \"/\", respond = { body = \"hello\" } }]\n";

#[tokio::test]
async fn http_1_0_keeps_a_connection_when_it_asks_to() {
    // RFC 9112 §9.3.
    let gateway = Gateway::start(HELLO).await;
    let mut connection = Connection::open(gateway.address()).await;
    for _ in 0..2 {
        let request = "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
        connection.write(request).await;
        let answer = connection.response().await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        let kept = answer.header("connection").unwrap();
        assert!(kept.eq_ignore_ascii_case("keep-alive"), "{kept}");
    }
    connection.write("GET / HTTP/1.0\r\n\r\n").await;
    assert_eq!(connection.response().await.text(), "hello");
    assert_eq!(connection.read_to_end().await, b"");
}

#[tokio::test]
async fn http_1_0_gets_no_chunks_and_sees_the_end_by_the_close() {
    // RFC 9112 §6.1, §6.3: also where it asked to keep the connection, if the length is not known ahead.
    let body = "x".repeat(300_000);
    let (_responder, gateway) = Gateway::with_app([Script::answer(format!("\n{body}"))])
        .start()
        .await;
    let request = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let answer = http1::raw(gateway.address(), request).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, content) = answer.split_once("\r\n\r\n").unwrap();
    assert!(content == body, "{} bytes after {head}", content.len());
    let head = head.to_ascii_lowercase();
    assert!(!head.contains("transfer-encoding"), "{head}");
    assert!(!head.contains("keep-alive"), "{head}");
}

/// A literal field of HPACK with an indexed name (RFC 7541 §6.2.2).
fn literal(index: u8, value: &str) -> Vec<u8> {
    let length = u8::try_from(value.len()).unwrap();
    [&[index, length], value.as_bytes()].concat()
}

#[tokio::test]
async fn options_of_the_server_are_told_over_http_2() {
    // RFC 9113 §8.3.1: `:path` is `*`, which no client library sends.
    const SCHEME_HTTP: u8 = 0x86;
    const STATUS_204: u8 = 0x89;
    let gateway = Gateway::start(HELLO).await;
    let mut stream = gateway.address().connect().await;
    let fields = [
        literal(2, "OPTIONS"),
        vec![SCHEME_HTTP],
        literal(4, "*"),
        literal(1, "localhost"),
    ];
    let fields = fields.concat();
    let length = u8::try_from(fields.len()).unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let headers = [0, 0, length, 1, 0x05, 0, 0, 0, 1];
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let sent = [preface, &settings[..], &headers, &fields].concat();
    stream.write_all(&sent).await.unwrap();
    let block = patiently("HEADERS", async {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut content = vec![0; length as usize];
            stream.read_exact(&mut content).await.unwrap();
            if head[3] == 1 {
                return content;
            }
        }
    })
    .await;
    assert_eq!(block[0], STATUS_204, "{block:x?}");
}

#[tokio::test]
async fn trace_is_refused_over_http_2() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    let answer = http2::send(gateway.address(), &Request::new("TRACE", "/")).await;
    assert_eq!(answer.status, 501);
    assert_eq!(responder.requests(), []);
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_not_asked_for() {
    // RFC 9110 §10.1.1.
    let gateway = Gateway::start(HELLO).await;
    for (target, status) in [("/", 200), ("/missing", 404)] {
        let mut connection = Connection::open(gateway.address()).await;
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        );
        connection.write(head).await;
        assert_eq!(connection.interim().await, status, "no 100 in front of it");
    }
}

#[tokio::test]
async fn trailers_of_a_request_are_dropped() {
    // RFC 9110 §6.5.1.
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    let mut connection = Connection::open(gateway.address()).await;
    connection
        .write(
            "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\nTE: trailers\r\n\r\n\
             5\r\nhello\r\n0\r\nX-Late: 1\r\nContent-Length: 9\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
        )
        .await;
    for _ in 0..2 {
        assert_eq!(connection.response().await.status, 200);
    }
    let [upload, next] = &responder.requests()[..] else {
        panic!("not two requests")
    };
    assert_eq!(upload.stdin, b"hello");
    assert_eq!(upload.param("CONTENT_LENGTH"), "5");
    for name in ["HTTP_X_LATE", "HTTP_TRAILER", "HTTP_TE"] {
        assert_eq!(upload.params.get(name), None, "{name}");
    }
    assert_eq!(next.param("REQUEST_URI"), "/b");
}

#[tokio::test]
async fn every_answer_has_one_date_and_no_server() {
    let directory = tempfile::tempdir().unwrap();
    write_below(directory.path(), "public/file.txt", "text");
    let dated = "Date: Thu, 01 Jan 1970 00:00:00 GMT\nDate: Fri, 02 Jan 1970 00:00:00 GMT\n\n";
    let responder = ScriptedResponder::start([Script::answer(dated)]).await;
    let config = format!(
        "{}\n[[site]]\nhosts = [\"files\"]\nroot = \"{}/public\"\n",
        responder.site(""),
        directory.path().display()
    );
    let gateway = Gateway::start(&config).await;
    for (host, target, status) in [
        ("app", "/", 200),
        ("files", "/file.txt", 200),
        ("files", "/missing.txt", 404),
        ("app", "/%zz", 400),
    ] {
        let get = Request::get(target).field("Host", host);
        let answers = [
            gateway.send(&get).await,
            http2::send(gateway.address(), &get).await,
        ];
        for answer in answers {
            assert_eq!(answer.status, status, "{host}{target}");
            assert_eq!(answer.headers("date").len(), 1, "{answer:?}");
            assert_eq!(answer.header("server"), None);
        }
    }
}

#[tokio::test]
async fn what_a_script_says_about_its_connection_goes_no_further() {
    // RFC 9110 §7.6.1.
    let head = "Connection: X-Hop\nX-Hop: 1\nKeep-Alive: timeout=5\nUpgrade: x\nTrailer: X-Late\n\
                Proxy-Connection: close\nTE: trailers\nX-End: 1\n\nbody";
    let (_responder, gateway) = Gateway::with_app([Script::answer(head)]).start().await;
    let get = Request::get("/");
    let mut connection = Connection::open(gateway.address()).await;
    let answers = [
        connection.send(&get).await,
        connection.send(&get).await,
        http2::send(gateway.address(), &get).await,
    ];
    for answer in answers {
        assert_eq!((answer.status, answer.text().as_str()), (200, "body"));
        assert_eq!(answer.header("x-end"), Some("1"));
        for name in [
            "connection",
            "x-hop",
            "keep-alive",
            "upgrade",
            "trailer",
            "proxy-connection",
            "te",
        ] {
            assert_eq!(answer.header(name), None, "{name}");
        }
    }
}

#[tokio::test]
async fn a_small_body_that_nobody_reads_is_never_taken_for_a_request() {
    let gateway = Gateway::start(HELLO).await;
    let mut connection = Connection::open(gateway.address()).await;
    let body = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let upload = Request::post("/").content(Content::new(body, 10));
    assert_eq!(connection.send(&upload).await.text(), "hello");
    connection.start(&Request::get("/")).await;
    // Answered on this connection, or closed.
    let next = timeout(Duration::from_secs(5), connection.response()).await;
    let next = next.expect("neither an answer nor the close");
    assert!([0, 200].contains(&next.status), "{next:?}");
    let smuggled = |line: &String| line.contains("/smuggled");
    assert!(!gateway.access.all().iter().any(smuggled));
}

#[tokio::test]
async fn a_body_that_nobody_reads_ends_in_time() {
    let gateway = Gateway::start(HELLO).await;
    let mut stream = gateway.address().connect().await;
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut answer = [0; 12];
    patiently("an answer", stream.read_exact(&mut answer))
        .await
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    // A little now and then, for as long as it is taken.
    patiently("the close", async {
        while stream.write_all(b"xxxxxxxx").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}
