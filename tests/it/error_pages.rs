//! What a client sees in place of an error: the gateway's own page in the form that it likes, or the site's.

use serde_json::Value;

use crate::harness::{Gateway, GatewaySetup, Request, Response, http2, php_fpm};

const APP: &str = "<?php
if (isset($_GET['status'])) { http_response_code((int) $_GET['status']); }
if (isset($_GET['text'])) { echo 'from php'; }";

const PAGE: &str = "<?php header('Content-Type: application/json'); header('X-Page: yes');
if (str_contains($_SERVER['REDIRECT_URL'], 'broken')) { http_response_code(500); exit; }
http_response_code(200);
echo json_encode(array_filter($_SERVER, 'is_string'));";

/// A site that runs every path that is no file, with these pages.
fn with_pages(pages: &str) -> GatewaySetup<php_fpm::Setup> {
    Gateway::with_php(2)
        .file("app.php", APP)
        .file("page.php", PAGE)
        .file("errors/404.html", "<p>nothing here</p>")
        .site("front_controller = \"\"")
        .site(pages)
}

/// Status, type and content.
fn seen(response: &Response) -> (u16, &str, String) {
    let media_type = response.header("content-type").unwrap_or_default();
    (response.status, media_type, response.text())
}

#[tokio::test]
async fn our_own_pages_have_the_form_that_the_client_likes() {
    let (mut php, gateway) = with_pages("").start().await;
    let get = async |target: &str, accept: &str| {
        let request = Request::get(target).field("Accept", accept);
        gateway.send(&request).await
    };
    let text = get("/none", "*/*").await;
    assert_eq!(
        text.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert!(
        text.text().starts_with("404 Not Found\nrequest "),
        "{}",
        text.text()
    );
    let html = get("/none", "text/html,*/*;q=0.8").await;
    assert_eq!(
        html.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(html.text().contains("<h1>404 Not Found</h1>"));
    assert!(!html.text().contains("NOT_FOUND"), "a 4xx has no cause");
    let json = get("/none", "application/json").await;
    assert_eq!(
        json.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(json.json()["status"], 404);
    assert_eq!(json.json()["cause"], Value::Null);
    for page in [&text, &html, &json] {
        assert!(
            !page.text().to_lowercase().contains("fcgate"),
            "{}",
            page.text()
        );
    }
    php.stop();
    std::fs::remove_file(php.address().to_string().trim_start_matches("unix:")).ok();
    let gone = Gateway::start(&format!(
        "[upstream.php]\nservers = [\"{}\"]\ntimeouts = {{ queue = \"100ms\" }}\n[[site]]\nroot = \"{}\"\nphp = \"php\"\n",
        php.address(),
        php.root().display()
    ))
    .await;
    let request = Request::get("/app.php").field("Accept", "application/json");
    let response = gone.send(&request).await;
    assert_eq!(response.status, 503);
    let id = response.json()["request_id"].as_str().unwrap().to_owned();
    assert_eq!(response.json()["cause"], "UPSTREAM_DOWN");
    assert!(response.header("retry-after").is_some());
    gone.log.wait_for(|line| line.contains(&id)).await;
}

#[tokio::test]
async fn whose_errors_get_a_page_is_said() {
    let pages = |when: &str| {
        format!(
            "[[site.error_page]]\nstatus = [\"404\", \"5xx\"]\nwhen = \"{when}\"\nbody = \"ours\"\n"
        )
    };
    for (when, own, empty, full) in [
        ("gateway", true, false, false),
        ("empty", true, true, false),
        ("always", true, true, true),
    ] {
        let (_php, gateway) = with_pages(&pages(when)).start().await;
        for (target, replaced) in [
            ("/none", own),
            ("/app.php?status=404", empty),
            ("/app.php?status=503", empty),
            ("/app.php?status=404&text", full),
            ("/app.php?status=403", false),
            ("/app.php?status=200", false),
        ] {
            let one = gateway.get(target).await;
            let two = http2::send(gateway.address(), &Request::get(target)).await;
            for response in [one, two] {
                assert_eq!(response.text() == "ours", replaced, "{target}, {when}");
                let status = target.split_once("status=").map_or(404, |(_, status)| {
                    status.split('&').next().unwrap().parse().unwrap()
                });
                assert_eq!(response.status, status, "{target}, {when}");
            }
        }
    }
}

#[tokio::test]
async fn a_file_is_read_once_and_needs_no_disk_later() {
    let (php, gateway) = with_pages(
        "[[site.error_page]]\nstatus = \"404\"\nfile = \"errors/404.html\"\n[[site.error_page]]\nstatus = \"4xx\"\nbody = \"{}\"\ncontent_type = \"application/json\"\n",
    )
    .start()
    .await;
    std::fs::remove_dir_all(php.root().join("errors")).unwrap();
    let none = gateway.get("/none").await;
    let expected = "<p>nothing here</p>";
    assert_eq!(
        seen(&none),
        (404, "text/html; charset=utf-8", expected.to_owned())
    );
    let head = gateway.send(&Request::new("HEAD", "/none")).await;
    assert_eq!((head.status, head.body.len()), (404, 0));
    assert_eq!(
        head.header("content-length"),
        Some(expected.len().to_string().as_str())
    );
    let refused = gateway.get("/%00").await;
    assert_eq!(seen(&refused), (400, "application/json", "{}".to_owned()));
}

#[tokio::test]
async fn a_script_can_be_the_page() {
    let (_php, gateway) = with_pages(
        "[[site.error_page]]\nstatus = \"4xx\"\npath = \"/page.php\"\n[[site.rule]]\nprefix = \"/denied\"\ndeny = true\n[[site.rule]]\nprefix = \"/round\"\nrewrite = { to = \"/none\" }\n",
    )
    .start()
    .await;
    let post = Request::post("/denied/x?a=b")
        .field("Cookie", "c=1")
        .body("content");
    let page = gateway.send(&post).await;
    assert_eq!(page.status, 403);
    assert_eq!(page.header("x-page"), Some("yes"));
    let seen = page.json();
    for (name, value) in [
        ("REDIRECT_STATUS", "403"),
        ("REDIRECT_URL", "/denied/x"),
        ("REDIRECT_QUERY_STRING", "a=b"),
        ("REDIRECT_REQUEST_METHOD", "POST"),
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", "/denied/x?a=b"),
        ("QUERY_STRING", ""),
        ("SCRIPT_NAME", "/page.php"),
        ("HTTP_COOKIE", "c=1"),
    ] {
        assert_eq!(seen[name], value, "{name}");
    }
    assert_eq!(seen["CONTENT_LENGTH"], Value::Null);
    assert_eq!(gateway.get("/round").await.json()["REDIRECT_STATUS"], "404");
    // The page that fails is no page, and there is no page for it.
    let broken = gateway.get("/broken").await;
    assert_eq!(broken.status, 404);
    assert_eq!(broken.header("x-page"), None);
    assert!(broken.text().starts_with("404 Not Found\n"));
    gateway
        .log
        .wait_for(|line| line.contains("the error page failed"))
        .await;
    // The connection goes on.
    assert_eq!(gateway.get("/app.php?text").await.text(), "from php");
}

const RULES_AND_PAGES: &str = r#"
[[site.error_page]]
status = "410"
path = "/moved"
[[site.error_page]]
status = "409"
path = "/locked"
[[site.error_page]]
status = "4xx"
path = "/page.php"
[[site.rule]]
prefix = "/"
response_headers = { add = { X-All = "1" } }
[[site.rule]]
path = ["/page.php", "/locked", "/moved"]
response_headers = { set = { X-Of-Page = "1" } }
[[site.rule]]
path = ["/auth", "/gone", "/busy"]
response_headers = { set = { WWW-Authenticate = "Basic realm=x", X-Of-Request = "1" } }
[[site.rule]]
path = "/auth"
deny = { status = 401 }
[[site.rule]]
path = "/gone"
deny = { status = 410 }
[[site.rule]]
path = "/busy"
deny = { status = 409 }
[[site.rule]]
path = "/moved"
redirect = { to = "/elsewhere" }
[[site.rule]]
path = "/locked"
respond = { status = 500 }
"#;

#[tokio::test]
async fn rules_of_the_failed_request_apply_to_its_page() {
    let (_php, gateway) = with_pages(RULES_AND_PAGES).start().await;
    // A page that redirects or fails is no page, and its rules do not count.
    for (path, status, is_page) in [
        ("/auth", 401, true),
        ("/gone", 410, false),
        ("/busy", 409, false),
    ] {
        let response = gateway.get(path).await;
        assert_eq!(response.status, status, "{path}");
        let of_page = is_page.then_some("1");
        for (name, value) in [
            ("www-authenticate", Some("Basic realm=x")),
            ("x-of-request", Some("1")),
            ("x-of-page", of_page),
            ("x-page", is_page.then_some("yes")),
            ("location", None),
        ] {
            assert_eq!(response.header(name), value, "{path} {name}");
        }
        // A rule that both match counts once.
        assert_eq!(response.headers("x-all"), ["1"], "{path}");
    }
}

#[tokio::test]
async fn what_is_no_page_is_told_when_the_configuration_is_read() {
    for (page, message) in [
        ("status = \"404\"", "one of `file`, `body` and `path`"),
        ("body = \"x\"", "needs `status`"),
        ("status = \"200\"\nbody = \"x\"", "is not an error status"),
        ("status = \"3xx\"\nbody = \"x\"", "is not an error status"),
        ("status = \"404\"\nfile = \"none.html\"", "No such file"),
        ("status = \"404\"\nfile = \"/\"", "not a regular file"),
        ("status = \"404\"\nfile = \"../etc/hosts\"", "absolute path"),
        ("status = \"404\"\npath = \"x\"", "does not begin with `/`"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fcgate.toml");
        let config = format!("[[site]]\nroot = \"/tmp\"\n[[site.error_page]]\n{page}\n");
        std::fs::write(&file, config).unwrap();
        let output = crate::harness::gateway::check(&file);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{page}");
        assert!(text.contains(message), "{page}: {text}");
    }
}
