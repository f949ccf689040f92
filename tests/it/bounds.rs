//! The bounds on heads: each has a key, and holds for HTTP/1 and HTTP/2 alike; and so have those of answers.

use crate::harness::http2;
use crate::harness::{Gateway, Request, Response, Script, ScriptedResponder};

/// A request by both protocols, and what becomes of it.
async fn both(gateway: &Gateway, request: &Request) -> [Response; 2] {
    [
        gateway.send(request).await,
        http2::send(gateway.address(), request).await,
    ]
}

fn with_fields(count: usize, value: &str) -> Request {
    let fields = 0..count;
    fields.fold(Request::get("/"), |request, number| {
        request.field(&format!("x-{number}"), value)
    })
}

#[tokio::test]
async fn a_head_has_the_same_bounds_in_both_protocols() {
    let responder = ScriptedResponder::start([Script::answer("\nok")]).await;
    let limits = "[server]\nlimits = { request_line = \"1KiB\", path = \"512B\", field_line = \"2KiB\", fields = 20, head = \"8KiB\" }\n";
    let gateway = Gateway::start(&(limits.to_owned() + &responder.site(""))).await;
    let query = |length: usize| Request::get(&format!("/?{}", "x".repeat(length)));
    let path = |length: usize| Request::get(&format!("/{}", "x".repeat(length - 1)));
    let cookies = |count: usize| {
        let cookies = 0..count;
        cookies.fold(Request::get("/"), |request, number| {
            request.field("cookie", &format!("c{number}=1"))
        })
    };
    for (name, request, status) in [
        ("a query", query(990), 200),
        ("a longer one", query(1100), 414),
        ("a path", path(512), 200),
        ("a longer one", path(513), 414),
        (
            "an encoded one",
            Request::get(&format!("/{}", "%61".repeat(300))),
            200,
        ),
        (
            "a field",
            Request::get("/").field("x", &"x".repeat(2000)),
            200,
        ),
        (
            "a longer one",
            Request::get("/").field("x", &"x".repeat(2100)),
            431,
        ),
        // Host is one of them, and the client's own are not many.
        ("fields", with_fields(15, "1"), 200),
        ("more", with_fields(21, "1"), 431),
        ("800", with_fields(800, "1"), 431),
        ("a head", with_fields(4, &"x".repeat(1500)), 200),
        ("a larger one", with_fields(6, &"x".repeat(1500)), 431),
    ] {
        let statuses = both(&gateway, &request)
            .await
            .map(|response| response.status);
        assert_eq!(statuses, [status, status], "{name}");
    }
    // RFC 9113 §8.2.3: crumbs of one field in HTTP/2, fields that should not be several in HTTP/1.
    let crumbs = http2::send(gateway.address(), &cookies(100)).await;
    assert_eq!(crumbs.status, 200);
    let crumbs = http2::send(gateway.address(), &cookies(300)).await;
    assert_eq!(crumbs.status, 431);
    let is_small = |seen: &str| seen.len() < 1100;
    let seen = responder.requests();
    assert!(seen.iter().all(|seen| is_small(seen.param("REQUEST_URI"))));
}

#[tokio::test]
async fn what_is_refused_is_logged_by_the_same_name_in_both_protocols() {
    let site = "[server]\naccess_log = { format = '%>s %{cause}x' }\n[[site]]\nrule = [{ respond = { body = \"ok\" } }]\n";
    let gateway = Gateway::start(site).await;
    for (request, line) in [
        (with_fields(150, "1"), "431 TOO_MANY_FIELDS"),
        (
            Request::get("/").field("x", &"x".repeat(17_000)),
            "431 FIELD_TOO_LONG",
        ),
        (
            Request::get(&format!("/{}", "x".repeat(8200))),
            "414 REQUEST_LINE_TOO_LONG",
        ),
    ] {
        let seen = gateway.access.count();
        both(&gateway, &request).await;
        let lines = gateway.access.wait_many(seen, 2, |_| true).await;
        assert_eq!(lines, [line, line]);
    }
}

/// docs/modifiers.md: in HTTP/1 it is not read to its end, and nobody knows whose site it is for.
#[tokio::test]
async fn a_head_that_is_too_long_is_a_sites_in_http2_only() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    std::fs::write(&page, "the site's").unwrap();
    let gateway = Gateway::start(&format!(
        "[[site]]\n[[site.error_page]]\nstatus = [\"4xx\"]\nfile = \"{}\"\n\
         [[site.rule]]\nresponse_headers = {{ set = {{ X-Site = \"here\" }} }}\n[[site.rule]]\nrespond = {{ body = \"ok\" }}\n",
        page.display()
    ))
    .await;
    for (request, expected) in [
        (with_fields(150, "1"), [(431, false), (431, true)]),
        (
            Request::get("/").field("x", &"x".repeat(17_000)),
            [(431, false), (431, true)],
        ),
        (
            Request::get(&format!("/{}", "x".repeat(8200))),
            [(414, false), (414, true)],
        ),
    ] {
        for (answer, (status, is_sites)) in both(&gateway, &request).await.iter().zip(expected) {
            assert_eq!(answer.status, status);
            assert_eq!(answer.header("x-site").is_some(), is_sites, "{status}");
            assert_eq!(answer.text() == "the site's", is_sites, "{status}");
        }
    }
}

#[tokio::test]
async fn a_longer_query_needs_one_key() {
    let responder = ScriptedResponder::start([Script::answer("\nok")]).await;
    let limits = "[server]\nlimits = { request_line = \"64KiB\" }\n";
    let gateway = Gateway::start(&(limits.to_owned() + &responder.site(""))).await;
    let query = Request::get(&format!("/?{}", "x".repeat(60_000)));
    let path = Request::get(&format!("/{}", "x".repeat(60_000)));
    for (request, status) in [(query, 200), (path, 414)] {
        let statuses = both(&gateway, &request)
            .await
            .map(|response| response.status);
        assert_eq!(statuses, [status, status]);
    }
}

#[tokio::test]
async fn an_answer_has_as_many_fields_as_its_key_says() {
    let cookies = |count: usize| {
        let cookies = (0..count).map(|number| format!("Set-Cookie: c{number}=1\r\n"));
        Script::answer(format!("{}\r\nok", cookies.collect::<String>()))
    };
    let (_responder, gateway) = Gateway::with_app([cookies(250), cookies(1001), cookies(9)])
        .start()
        .await;
    let [many, too_many] = both(&gateway, &Request::get("/")).await;
    let sent = many.fields.iter().filter(|(name, _)| name == "set-cookie");
    assert_eq!((many.status, sent.count()), (200, 250));
    assert_eq!(too_many.status, 502);
    let line = gateway
        .log
        .wait_for(|line| line.contains("server.limits.answer_fields"))
        .await;
    assert!(line.contains("limit of 1000 fields"), "{line}");
}

#[tokio::test]
async fn the_bounds_of_an_answer_are_set() {
    let answer = |fields: usize, value: usize| {
        let fields = (0..fields).map(|n| format!("X-{n}: {}\r\n", "x".repeat(value)));
        Script::answer(format!("{}\r\nok", fields.collect::<String>()))
    };
    let answers = [
        answer(10, 1),
        answer(11, 1),
        answer(10, 500),
        answer(5, 400),
    ];
    let responder = ScriptedResponder::start(answers).await;
    let limits = "[server]\nlimits = { answer_fields = 10, answer_head = \"4KiB\" }\n";
    let gateway = Gateway::start(&(limits.to_owned() + &responder.site(""))).await;
    for status in [200, 502, 502, 200] {
        assert_eq!(gateway.get("/").await.status, status);
    }
}
