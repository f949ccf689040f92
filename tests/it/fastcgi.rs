//! What becomes of an application's answer, however it comes.

use crate::harness::records::{self, Record};
use crate::harness::{
    Content, Gateway, Request, Response, Script, ScriptedResponder, http1, http2,
};

/// An application that answers with these scripts, and a gateway in front of it.
async fn start(scripts: impl IntoIterator<Item = Script>) -> (ScriptedResponder, Gateway) {
    let responder = ScriptedResponder::start(scripts).await;
    let config = format!(
        "[server]\nlimits = {{ body = \"128MiB\" }}\n{}",
        responder.site("")
    );
    let gateway = Gateway::start(&config).await;
    (responder, gateway)
}

/// The answer to a GET when the application prints `text`.
async fn answer(text: impl AsRef<[u8]>) -> Response {
    let (_responder, gateway) =
        start([Script::new().read_request().stdout(text).end_request()]).await;
    gateway.get("/").await
}

#[tokio::test]
async fn records_may_come_byte_by_byte() {
    let script = Script::new()
        .read_request()
        .stderr("note\n")
        .stdout("X-A: 1\r\n")
        .stdout("\r\nhello")
        .stdout("")
        .stdout(" world")
        .end_request();
    let (_responder, gateway) = start([script.bytewise()]).await;
    let response = gateway.get("/").await;
    assert_eq!(
        (
            response.header("x-a"),
            response.text().as_str(),
            response.whole
        ),
        (Some("1"), "hello world", true)
    );
}

#[tokio::test]
async fn padding_is_no_content() {
    let script = Script::new()
        .read_request()
        .stdout_padded("X-A: 1\n\nhello", 255)
        .stdout_padded(" world", 3)
        .end_request();
    let (_responder, gateway) = start([script]).await;
    let response = gateway.get("/").await;
    assert_eq!(
        (response.header("x-a"), response.text().as_str()),
        (Some("1"), "hello world")
    );
}

#[tokio::test]
async fn a_large_answer_arrives_unchanged() {
    let content: Vec<u8> = (0..=250).cycle().take(5_000_000).collect();
    let script = Script::new()
        .read_request()
        .stdout("\n")
        .stdout(&content)
        .end_request();
    let (_responder, gateway) = start([script]).await;
    for response in [
        gateway.get("/").await,
        http2::send(gateway.address(), &Request::get("/")).await,
    ] {
        assert!(response.whole && response.body == content);
    }
}

#[tokio::test]
async fn an_answer_before_the_request_body_ends_is_delivered() {
    let script = Script::new()
        .read_params()
        .stdout("Status: 413\n\ntoo large")
        .end_request()
        .stall();
    let (_responder, gateway) = start([script]).await;
    let upload = Request::post("/").content(Content::mebibytes(64));
    for response in [
        gateway.send(&upload).await,
        http2::send(gateway.address(), &upload).await,
    ] {
        assert_eq!(
            (response.status, response.text().as_str(), response.whole),
            (413, "too large", true)
        );
    }
}

#[tokio::test]
async fn the_error_stream_goes_to_the_log_and_not_to_the_client() {
    let flood = "PHP Warning: flood\n".repeat(55_000);
    let script = Script::new()
        .read_request()
        .stdout("X-A: 1\n")
        .stderr("within the head\x1b[31m\n")
        .stdout("\nbefore ")
        .stderr(&flood)
        .stdout("after")
        .end_request();
    let (responder, gateway) = start([script]).await;
    let response = gateway.get("/").await;
    assert_eq!(
        (response.status, response.text().as_str(), response.whole),
        (200, "before after", true)
    );
    let id = responder.requests()[0].param("REQUEST_ID").to_owned();
    assert!(!id.is_empty());
    let line = gateway
        .log
        .wait_for(|line| line.contains("within the head"))
        .await;
    assert!(line.contains(&id) && !line.contains('\x1b'), "{line}");
    gateway
        .log
        .wait_for(|line| line.contains("flood") && line.contains(&id))
        .await;
}

#[tokio::test]
async fn a_cut_answer_is_visibly_cut() {
    let part = "x".repeat(1000);
    let begun = |head: &str| {
        Script::new()
            .read_request()
            .stdout(format!("{head}\n{part}"))
    };
    let cut = [
        ("no length, closed", begun("").close()),
        ("a length, closed", begun("Content-Length: 2000\n").close()),
        (
            "a length, ended early",
            begun("Content-Length: 2000\n").end_request(),
        ),
        ("no length, garbage", begun("").raw([9; 64])),
        (
            "a length, garbage",
            begun("Content-Length: 2000\n").raw([9; 64]),
        ),
        (
            "a large part, closed",
            begun("").stdout("x".repeat(200_000)).close(),
        ),
    ];
    for (name, script) in cut {
        let (_responder, gateway) = start([script]).await;
        for (version, response) in [
            ("h1", gateway.get("/").await),
            (
                "h2",
                http2::send(gateway.address(), &Request::get("/")).await,
            ),
        ] {
            let cut = match response.status {
                502 => response.whole,
                // The break may overtake the head.
                200 | 0 => !response.whole,
                _ => false,
            };
            assert!(cut, "{name}, {version}: {response:?}");
        }
        gateway
            .log
            .wait_for(|line| line.contains("UPSTREAM_"))
            .await;
    }
}

#[tokio::test]
async fn an_answer_is_never_longer_than_it_says() {
    let response = answer("Content-Length: 5\n\nhello world").await;
    assert_eq!(
        (
            response.header("content-length"),
            response.text().as_str(),
            response.whole
        ),
        (Some("5"), "hello", true)
    );
}

#[tokio::test]
async fn what_is_not_an_answer_is_a_bad_gateway() {
    let version_2 = [2, records::STDOUT, 0, 1, 0, 0, 0, 0];
    let bad = [
        ("nothing", Script::new().read_request().end_request()),
        (
            "no end of the head",
            Script::new()
                .read_request()
                .stdout("X-A: 1\n")
                .end_request(),
        ),
        (
            "closed within the head",
            Script::new().read_request().stdout("X-A: 1\n").close(),
        ),
        (
            "only errors",
            Script::new().read_request().stderr("oops\n").end_request(),
        ),
        (
            "HTTP",
            Script::new()
                .read_request()
                .raw("HTTP/1.1 200 OK\r\n\r\nhello")
                .stall(),
        ),
        (
            "version 2",
            Script::new().read_request().raw(version_2).stall(),
        ),
        (
            "another id",
            Script::new()
                .read_request()
                .records([Record::new(records::STDOUT, 999, "\nstolen")])
                .end_request(),
        ),
        ("no colon", Script::answer("PHP Parse error\n\n")),
        ("a folded line", Script::answer("X-A: 1\n 2\n\n")),
        ("a split response", Script::answer("X-A: 1\rX-B: 2\n\n")),
        ("a control byte", Script::answer("X-A: \x01\n\n")),
        ("a bad name", Script::answer("X A: 1\n\n")),
        ("no status", Script::answer("Status: none\n\n")),
        (
            "an interim status",
            Script::answer("Status: 101 Switching Protocols\n\n"),
        ),
        ("a status beyond", Script::answer("Status: 600\n\n")),
    ];
    for (name, script) in bad {
        let (_responder, gateway) = start([script]).await;
        let response = gateway.get("/").await;
        assert_eq!(
            (response.status, response.whole),
            (502, true),
            "{name}: {response:?}"
        );
        assert!(!response.text().contains("stolen"), "{name}");
        let line = gateway
            .log
            .wait_for(|line| line.contains("UPSTREAM_"))
            .await;
        assert!(line.contains("request_id"), "{name}: {line}");
    }
}

#[tokio::test]
async fn a_head_may_have_64_kib() {
    let head = |kibibytes: usize| {
        let fields = (0..kibibytes).map(|n| format!("X-{n:03}: {}\n", "x".repeat(1016)));
        fields.collect::<String>() + "\nbody"
    };
    let fits = answer(head(63)).await;
    assert_eq!((fits.status, fits.text().as_str()), (200, "body"));
    let (_responder, gateway) = start([Script::answer(head(65))]).await;
    assert_eq!(gateway.get("/").await.status, 502);
    gateway
        .log
        .wait_for(|line| line.contains("UPSTREAM_HEAD") && line.contains("65536"))
        .await;
}

#[tokio::test]
async fn the_head_becomes_status_and_fields() {
    let statuses = [
        ("X-A: 1\n\n", 200),
        ("Status: 404 Not Found\r\n\r\n", 404),
        ("Status: 201\nLocation: /new\n\n", 201),
        ("Location: /elsewhere\n\n", 302),
        ("Status: 599\n\n", 599),
        ("\n", 200),
    ];
    for (head, status) in statuses {
        let response = answer(format!("{head}body")).await;
        assert_eq!(
            (response.status, response.text().as_str()),
            (status, "body"),
            "{head:?}"
        );
        assert_eq!(response.header("status"), None);
    }
}

#[tokio::test]
async fn repeated_fields_stay_apart_and_in_order() {
    let response = answer("Set-Cookie: b=2\nX: 1\nset-cookie: a=1\nSet-Cookie: b=3\n\n").await;
    assert_eq!(response.headers("set-cookie"), ["b=2", "a=1", "b=3"]);
    assert_eq!(response.headers("date").len(), 1);
}

#[tokio::test]
async fn what_has_no_content_gets_none() {
    for status in [204, 304] {
        let (_responder, gateway) = start([Script::answer(format!(
            "Status: {status}\nETag: \"x\"\n\nbody"
        ))])
        .await;
        let mut connection = http1::Connection::open(gateway.address()).await;
        for _ in 0..2 {
            let response = connection.send(&Request::get("/")).await;
            assert_eq!(
                (
                    response.status,
                    response.header("etag"),
                    response.body.len()
                ),
                (status, Some("\"x\""), 0)
            );
        }
    }
    let (_responder, gateway) = start([Script::answer("Content-Length: 4\n\nbody")]).await;
    let mut connection = http1::Connection::open(gateway.address()).await;
    for _ in 0..2 {
        let response = connection.send(&Request::new("HEAD", "/")).await;
        assert_eq!(
            (response.status, response.header("content-length")),
            (200, Some("4"))
        );
    }
}

#[tokio::test]
async fn the_application_may_refuse_by_protocol() {
    // FastCGI §5.5: CANT_MPX_CONN, OVERLOADED, UNKNOWN_ROLE.
    for (protocol_status, status) in [(1, 502), (2, 503), (3, 502)] {
        let (_responder, gateway) =
            start([Script::new().read_request().end(0, protocol_status)]).await;
        let response = gateway.get("/").await;
        assert_eq!(response.status, status, "{protocol_status}");
        assert_eq!(response.header("retry-after").is_some(), status == 503);
    }
    let (_responder, gateway) =
        start([Script::new().read_request().stdout("\nbody").end(255, 0)]).await;
    let response = gateway.get("/").await;
    assert_eq!(
        (response.status, response.text().as_str(), response.whole),
        (200, "body", true),
        "an exit status is no error"
    );
}

#[tokio::test]
async fn fields_become_variables() {
    let (responder, gateway) = start([Script::answer("\n")]).await;
    let long = "x".repeat(16_000);
    let fields = [
        ("X-One", "1"),
        ("X-One", "2"),
        ("Cookie", "a=1"),
        ("Cookie", "b=2"),
        ("Proxy", "evil"),
        ("X_One", "spoofed"),
        ("X-Long", &*long),
    ];
    let request = fields
        .iter()
        .fold(Request::get("/"), |request, (name, value)| {
            request.field(name, value)
        });
    let request = request
        .field("Proxy-Authorization", "p")
        .field("Authorization", "Basic eA==")
        .field("X-Padded", "\t a \t");
    assert_eq!(gateway.send(&request).await.status, 200);
    let received = responder.requests().remove(0);
    let expected = [
        ("HTTP_X_ONE", "1, 2"),
        ("HTTP_COOKIE", "a=1; b=2"),
        ("HTTP_X_LONG", &*long),
        ("HTTP_AUTHORIZATION", "Basic eA=="),
        ("HTTP_X_PADDED", "a"),
    ];
    for (name, value) in expected {
        assert_eq!(received.param(name), value, "{name}");
    }
    for name in [
        "HTTP_PROXY",
        "HTTP_PROXY_AUTHORIZATION",
        "HTTP_CONTENT_LENGTH",
        "CONTENT_LENGTH",
    ] {
        assert!(!received.params.contains_key(name), "{name}");
    }
}
