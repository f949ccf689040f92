//! What becomes of an application's answer, however it comes.

use crate::harness::{
    Content, Gateway, GatewaySetup, Request, Response, Script, http1, http2, scripted_responder,
};

/// A gateway that takes large bodies, in front of an application with these scripts.
pub(crate) fn with_scripts(
    scripts: impl IntoIterator<Item = Script>,
) -> GatewaySetup<scripted_responder::Setup> {
    Gateway::with_app(scripts).server("limits = { body = \"128MiB\" }")
}

/// The answer to a GET when the application prints `text`.
pub(crate) async fn answer(text: impl AsRef<[u8]>) -> Response {
    let (_responder, gateway) =
        with_scripts([Script::new().read_request().stdout(text).end_request()])
            .start()
            .await;
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
    let (_responder, gateway) = with_scripts([script.bytewise()]).start().await;
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
    let (_responder, gateway) = with_scripts([script]).start().await;
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
    let (_responder, gateway) = with_scripts([script]).start().await;
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
    let (_responder, gateway) = with_scripts([script]).start().await;
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
    let (responder, gateway) = with_scripts([script]).start().await;
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
        let (_responder, gateway) = with_scripts([Script::answer(format!(
            "Status: {status}\nETag: \"x\"\n\nbody"
        ))])
        .start()
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
    let (_responder, gateway) = with_scripts([Script::answer("Content-Length: 4\n\nbody")])
        .start()
        .await;
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
async fn fields_become_variables() {
    let (responder, gateway) = with_scripts([Script::answer("\n")]).start().await;
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
