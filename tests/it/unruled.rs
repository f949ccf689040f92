//! Answers that are made before any rule: they have the site's fields and error pages where the host is known.

use crate::harness::{Gateway, GatewaySetup, Request, Response, http2, php_fpm};

/// Fields by every kind of rule, of which only some are about a request whose target cannot be read.
const RULES: &str = "
[[site.rule]]
response_headers = { set = { X-Frame-Options = \"DENY\" } }
[[site.rule]]
remote = \"127.0.0.0/8\"
response_headers = { set = { X-Near = \"yes\" } }
[[site.rule]]
host = \"other.test\"
response_headers = { set = { X-Other = \"yes\" } }
[[site.rule]]
prefix = \"/\"
response_headers = { set = { X-Path = \"$path\" } }
[[site.rule]]
query = { name = \"a\" }
response_headers = { set = { X-Query = \"yes\" } }
[[site.rule]]
path = \"/fixed\"
respond = { body = \"fixed\" }
response_headers = { set = { X-Fixed = \"yes\" } }
";

const PAGE: &str = "<?php header('X-Page: ' . $_SERVER['REDIRECT_STATUS']); echo 'page of ', $_SERVER['REQUEST_URI'];";

fn with_rules(lines: &str) -> GatewaySetup<php_fpm::Setup> {
    Gateway::with_php(1)
        .file("page.php", PAGE)
        .site(lines)
        .site(RULES)
}

fn trace(target: &str) -> Request {
    Request::new("TRACE", target)
}

/// Requests that no rule sees, their status, and whether their target can be read.
fn unruled() -> Vec<(Request, u16, bool)> {
    let expecting = Request::get("/a").field("Expect", "200-maybe");
    vec![
        (Request::get("/a%2Fb?a=1"), 404, false),
        (Request::get("/%zz"), 400, false),
        (Request::get("/%00"), 400, false),
        (Request::get("/../x"), 400, false),
        (trace("/fixed?a=1"), 501, true),
        (expecting, 417, true),
    ]
}

#[track_caller]
fn assert_fields(response: &Response, is_read: bool, what: &str) {
    let expected = [
        ("x-frame-options", Some("DENY")),
        ("x-near", Some("yes")),
        ("x-other", None),
        // What a rule says that would have answered is said of its answer alone.
        ("x-fixed", None),
    ];
    for (name, value) in expected {
        assert_eq!(response.header(name), value, "{name}: {what}");
    }
    assert_eq!(response.header("x-path").is_some(), is_read, "{what}");
}

#[tokio::test]
async fn they_have_the_fields_of_rules_that_hold() {
    let (_php, gateway) = with_rules("").start().await;
    for (request, status, is_read) in unruled() {
        let one = gateway.send(&request).await;
        let two = http2::send(gateway.address(), &request).await;
        for response in [one, two] {
            let what = format!("{} {}", request.method, request.target);
            assert_eq!(response.status, status, "{what}");
            assert_fields(&response, is_read, &what);
            let query = is_read && request.target.contains("a=1");
            assert_eq!(response.header("x-query").is_some(), query, "{what}");
        }
    }
    let options = gateway.send(&Request::new("OPTIONS", "*")).await;
    assert_eq!(
        (options.status, options.header("x-frame-options")),
        (204, Some("DENY"))
    );
    // Without a host there is no site whose fields these could be.
    let nobody = Request::get("/").field("Host", "a b");
    let nobody = gateway.send(&nobody).await;
    assert_eq!(
        (nobody.status, nobody.header("x-frame-options")),
        (400, None)
    );
}

#[tokio::test]
async fn they_have_the_error_pages_of_the_site() {
    let ready = "[[site.error_page]]\nstatus = [\"4xx\", \"5xx\"]\nbody = \"ours\"\n";
    let (_php, gateway) = with_rules(ready).start().await;
    for (request, status, is_read) in unruled() {
        let response = gateway.send(&request).await;
        assert_eq!(
            (response.status, response.text().as_str()),
            (status, "ours")
        );
        assert_fields(&response, is_read, &request.target);
    }
    let asked = "[[site.error_page]]\nstatus = [\"4xx\", \"5xx\"]\npath = \"/page.php\"\n";
    let (_php, gateway) = with_rules(asked).start().await;
    for (request, status, _) in unruled() {
        let response = gateway.send(&request).await;
        let page = format!("page of {}", request.target);
        assert_eq!((response.status, response.text()), (status, page));
        assert_eq!(response.header("x-page"), Some(status.to_string().as_str()));
    }
}

#[tokio::test]
async fn a_client_that_is_refused_and_one_that_is_sent_to_tls_have_the_fields() {
    let (_php, gateway) = with_rules("deny = [\"127.0.0.0/8\"]\n").start().await;
    let refused = gateway.get("/a").await;
    assert_eq!(refused.status, 403);
    assert_fields(&refused, true, "deny");
    assert_eq!(refused.header("x-path"), Some("/a"));
    let (_php, gateway) = with_rules("https = true\n").start().await;
    let sent = gateway.get("/a").await;
    assert_eq!(sent.status, 308);
    assert_fields(&sent, true, "https");
}

/// A page by a script costs what a request costs: it is counted, and there is none for who is over the limit.
#[tokio::test]
async fn no_script_runs_for_a_client_over_its_limit() {
    let limits = "limits = { requests_per_second = 1, burst = 2 }\n[[site.error_page]]\nstatus = \"4xx\"\npath = \"/page.php\"\n";
    let (_php, gateway) = with_rules(limits).start().await;
    let mut pages = 0;
    for _ in 0..20 {
        let response = gateway.get("/%zz").await;
        assert_eq!(response.status, 400);
        assert_eq!(response.header("x-frame-options"), Some("DENY"));
        pages += u32::from(response.header("x-page").is_some());
    }
    assert!((1..10).contains(&pages), "{pages} of 20");
    let over = gateway.get("/page.php").await;
    assert_eq!((over.status, over.header("x-page")), (429, None));
    assert_eq!(over.header("x-frame-options"), Some("DENY"));
}
