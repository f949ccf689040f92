//! What the configuration has a say in, and what PHP's answer becomes, over both versions of HTTP.

use serde_json::Value;

use crate::harness::{Gateway, GatewaySetup, Request, Script, http2, php_fpm};

const DUMP: &str = "<?php header('Content-Type: application/json');
echo json_encode(array_filter($_SERVER, 'is_string'), JSON_INVALID_UTF8_SUBSTITUTE);";

/// Scripts that say what they were told, and a site with these lines.
fn dumping(site: &str) -> GatewaySetup<php_fpm::Setup> {
    let scripts = [
        "dump.php",
        "index.php",
        "dir/index.php",
        "sp ace/\u{fc}.php",
    ];
    Gateway::with_php(2).files(&scripts, DUMP).site(site)
}

async fn dump(gateway: &Gateway, request: &Request) -> Value {
    let response = gateway.send(request).await;
    assert_eq!(response.status, 200, "{request:?}: {}", response.text());
    response.json()
}

#[tokio::test]
async fn a_name_that_could_be_passed_for_another_is_named_once() {
    let (_php, gateway) = dumping("pass_fields = [\"X_Legacy\", \"X_Both\"]\n")
        .start()
        .await;
    let request = Request::get("/dump.php")
        .field("X_Forged", "1")
        .field("X.Dotted", "1")
        .field("Content_Length", "5")
        .field("X_Legacy", "old")
        .field("X_Both", "under")
        .field("X-Both", "hyphen")
        .field("Proxy", "http://evil.example")
        .field("Proxy-Authorization", "Basic eDp5");
    for _ in 0..3 {
        let seen = dump(&gateway, &request).await;
        assert_eq!(seen["HTTP_X_LEGACY"], "old");
        assert_eq!(seen["HTTP_X_BOTH"], "hyphen");
        for name in [
            "HTTP_X_FORGED",
            "HTTP_X_DOTTED",
            "HTTP_CONTENT_LENGTH",
            "HTTP_PROXY",
            "HTTP_PROXY_AUTHORIZATION",
            "CONTENT_LENGTH",
        ] {
            assert_eq!(seen[name], Value::Null, "{name}");
        }
    }
    let told = |name: &str| {
        let name = format!("field={name}");
        move |line: &str| line.contains(&name)
    };
    gateway.log.wait_for(told("x_forged")).await;
    gateway.log.wait_for(told("x.dotted")).await;
    let lines = gateway.log.all();
    let times = lines.iter().filter(|line| told("x_forged")(line)).count();
    assert_eq!(times, 1, "{lines:#?}");
    assert!(!lines.iter().any(|line| told("x_legacy")(line)));
}

#[tokio::test]
async fn credentials_reach_php_unless_they_are_withheld() {
    let request = Request::get("/dump.php").field("Authorization", "Basic dXNlcjpwYXNz");
    let (_php, gateway) = dumping("").start().await;
    let seen = dump(&gateway, &request).await;
    assert_eq!(seen["HTTP_AUTHORIZATION"], "Basic dXNlcjpwYXNz");
    assert_eq!(seen["PHP_AUTH_USER"], "user");
    let (_php, gateway) = dumping("authorization = false\n").start().await;
    let seen = dump(&gateway, &request).await;
    assert_eq!(seen["HTTP_AUTHORIZATION"], Value::Null);
    assert_eq!(seen["PHP_AUTH_USER"], Value::Null);
}

#[tokio::test]
async fn an_interim_answer_is_never_the_final_one() {
    let hints = "Status: 103 Early Hints\nLink: </a.css>; rel=preload\n\n";
    let cases = [
        (format!("{hints}Content-Type: text/plain\n\nfinal"), 200),
        (format!("{hints}{hints}Status: 404\n\nfinal"), 404),
        ("Status: 100\n\n\nfinal".to_owned(), 200),
        // As PHP says it: what follows is the body, and no head.
        (format!("{hints}final"), 502),
        (hints.to_owned(), 502),
        (format!("{}\nfinal", hints.repeat(9)), 502),
        ("Status: 101 Switching Protocols\n\nfinal".to_owned(), 502),
    ];
    for (answer, status) in cases {
        let script = Script::answer(answer.clone());
        let (_responder, gateway) = Gateway::with_app([script]).start().await;
        let request = Request::get("/");
        let one = gateway.send(&request).await;
        let two = http2::send(gateway.address(), &request).await;
        for response in [one, two] {
            assert_eq!(response.status, status, "{answer:?}: {response:?}");
            assert!(response.whole, "{answer:?}");
            assert_eq!(response.header("link"), None, "{answer:?}");
            if status != 502 {
                assert_eq!(response.text(), "final", "{answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_has_the_answer_is_told_so() {
    let (_php, gateway) = Gateway::with_php(2).file(
        "tagged.php",
        "<?php header('ETag: \"v1\"'); header('Set-Cookie: a=b'); echo str_repeat('x', 300000);",
    )
    .file(
        "dated.php",
        "<?php header('Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT'); echo 'dated';",
    )
    .start()
    .await;
    let fresh = Request::get("/tagged.php").field("If-None-Match", "\"v0\", W/\"v1\"");
    for response in [
        gateway.send(&fresh).await,
        http2::send(gateway.address(), &fresh).await,
    ] {
        assert_eq!((response.status, response.body.len()), (304, 0));
        assert_eq!(response.header("etag"), Some("\"v1\""));
        assert_eq!(response.header("set-cookie"), Some("a=b"));
        assert_eq!(response.header("content-type"), None);
    }
    let stale = Request::get("/tagged.php").field("If-None-Match", "\"v0\"");
    let response = gateway.send(&stale).await;
    assert_eq!((response.status, response.body.len()), (200, 300_000));
    let posted = Request::post("/tagged.php")
        .field("If-None-Match", "\"v1\"")
        .body("a");
    assert_eq!(gateway.send(&posted).await.status, 200);
    for (date, status) in [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 304),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 304),
        ("Sun, 06 Nov 1994 08:49:36 GMT", 200),
    ] {
        let request = Request::get("/dated.php").field("If-Modified-Since", date);
        assert_eq!(gateway.send(&request).await.status, status, "{date}");
    }
}
