//! Error pages: of every kind, for whose errors, and what asks for them.

use super::comparison::{Comparison, Expected};
use super::question::{ANY_HOST, Fields, PLAIN, Question, Table, with_http2};
use super::stand::{compare_each, text};

/// The sites differ in their error pages; these rules they all have.
const RULES: &str = r#"
[[site.rule]]
response_headers = { set = { X-Everywhere = "yes" } }
[[site.rule]]
path = "/denied"
deny = true
response_headers = { set = { X-Denied = "yes" } }
[[site.rule]]
path = "/method"
not = { method = ["GET"] }
deny = { status = 405 }
[[site.rule]]
path = "/often"
deny = { status = 429 }
[[site.rule]]
path = "/full"
respond = { status = 503, body = "full", headers = { Retry-After = "7" } }
[[site.rule]]
path = "/void"
respond = { status = 404, content_type = "" }
[[site.rule]]
path = "/login"
respond = { status = 401, body = "who", headers = { WWW-Authenticate = "Basic" } }
[[site.rule]]
path = "/rewritten"
rewrite = { to = "/denied?y=2" }
[[site.rule]]
path = "/loop"
rewrite = { to = "/loop" }
[[site.rule]]
path = "/inside"
internal = true
respond = { body = "a page of its own", headers = { X-Page = "inside" } }
response_headers = { set = { X-Inside = "$path" } }
[[site.rule]]
path = "/elsewhere"
redirect = { to = "/far" }
"#;

/// Sites by names of their own, and their pages.
const SITES: [(&str, &str); 14] = [
    ("none", ""),
    (
        "file",
        "status = [\"4xx\", \"5xx\"]\nfile = \"page.html\"\n",
    ),
    (
        "text",
        "status = [\"4xx\", \"5xx\"]\nbody = \"ours\"\ncontent_type = \"text/x-ours\"\n",
    ),
    (
        "empty",
        "status = [\"4xx\", \"5xx\"]\nwhen = \"empty\"\nbody = \"ours\"\n",
    ),
    (
        "always",
        "status = [\"4xx\", \"5xx\"]\nwhen = \"always\"\nbody = \"ours\"\n",
    ),
    (
        "some",
        "status = [\"403\", \"503\"]\nwhen = \"always\"\nbody = \"some\"\n[[site.error_page]]\nstatus = \"404\"\nfile = \"page.html\"\n",
    ),
    (
        "script",
        "status = [\"4xx\", \"5xx\"]\npath = \"/page.php\"\n",
    ),
    (
        "asks",
        "status = [\"4xx\", \"5xx\"]\nwhen = \"always\"\npath = \"/page.php\"\n",
    ),
    (
        "sent",
        "status = [\"4xx\", \"5xx\"]\npath = \"/page.html\"\n",
    ),
    (
        "inside",
        "status = [\"4xx\", \"5xx\"]\npath = \"/inside\"\n",
    ),
    (
        "missing",
        "status = [\"4xx\", \"5xx\"]\npath = \"/missing/page\"\n",
    ),
    ("circle", "status = [\"4xx\", \"5xx\"]\npath = \"/loop\"\n"),
    (
        "elsewhere",
        "status = [\"4xx\", \"5xx\"]\npath = \"/elsewhere\"\n",
    ),
    (
        "folder",
        "status = [\"4xx\", \"5xx\"]\npath = \"/folder/\"\n",
    ),
];

const TARGETS: &[&str] = &[
    "/nothing?x=1",
    "/denied",
    "/method",
    "/often",
    "/full",
    "/void",
    "/login",
    "/rewritten",
    "/loop",
    "/inside",
    "/style.css",
    "/.git/config",
    "/%zz",
    "/a%2Fb",
];

/// Beside the form that is liked: conditions and parts, which are about what was asked for and not about its page.
const FIELDS: &[Fields] = &[
    &[("Accept", "text/html,*/*;q=0.8")],
    &[("Accept", "application/json")],
    &[("Accept-Encoding", "gzip"), ("If-None-Match", "{etag}")],
    &[("If-None-Match", "*")],
    &[("If-Modified-Since", "{modified}")],
    &[("If-Match", "\"x\"")],
    &[("Range", "bytes=0-3")],
    &[("Range", "bytes=999999-")],
];

fn config(pages: &str) -> String {
    let page = match pages {
        "" => String::new(),
        pages => format!("[[site.error_page]]\n{pages}"),
    };
    format!(
        "[[site]]\nroot = \"{{folder}}/public\"\nphp = \"{{php}}\"\nfront_controller = \"\"\n\
         compress = {{ minimum = \"1KiB\" }}\n{page}{RULES}"
    )
}

async fn compare(sites: &[&str], questions: &[Question]) -> Comparison {
    let files = [
        ("public/page.html", text(2000)),
        ("public/page.php", String::new()),
        ("public/style.css", text(300)),
        ("public/folder/index.html", text(300)),
        ("public/.git/config", text(300)),
    ];
    let is_asked = |(name, _): &(&str, &str)| sites.is_empty() || sites.contains(name);
    let asked = SITES.into_iter().filter(is_asked);
    compare_each(
        asked.map(|(name, pages)| (name, config(pages))),
        questions,
        &files,
    )
    .await
}

fn questions(methods: &'static [&'static str]) -> Vec<Question> {
    let table = Table {
        hosts: ANY_HOST,
        methods,
        targets: TARGETS,
        fields: &[PLAIN],
    };
    table.questions()
}

#[tokio::test]
async fn pages_of_every_kind() {
    let compared = compare(&[], &questions(&["GET"])).await;
    compared.finish(&Expected {
        questions: 196,
        calls: 20,
        statuses: &[200, 400, 401, 403, 404, 429, 500, 503],
        causes: &["BAD_TARGET", "DENIED", "NOT_FOUND", "TOO_MANY_ROUNDS"],
    });
}

#[tokio::test]
async fn pages_of_requests_with_content() {
    let compared = compare(&[], &questions(&["POST"])).await;
    compared.finish(&Expected {
        questions: 196,
        calls: 20,
        statuses: &[400, 401, 403, 404, 405, 429, 500, 503],
        causes: &["BAD_TARGET", "DENIED", "METHOD_NOT_ALLOWED", "NOT_FOUND"],
    });
}

#[tokio::test]
async fn pages_without_content_and_before_any_rule() {
    let sites = [
        "none",
        "text",
        "some",
        "script",
        "sent",
        "inside",
        "elsewhere",
    ];
    let compared = compare(&sites, &questions(&["HEAD", "TRACE"])).await;
    compared.finish(&Expected {
        questions: 196,
        calls: 20,
        statuses: &[200, 403, 501],
        causes: &["METHOD_NOT_SUPPORTED"],
    });
}

#[tokio::test]
async fn forms_conditions_and_parts() {
    let table = Table {
        hosts: ANY_HOST,
        methods: &["GET"],
        targets: &[
            "/nothing",
            "/denied",
            "/full",
            "/void",
            "/rewritten",
            "/style.css",
            "/%zz",
        ],
        fields: FIELDS,
    };
    let sites = ["none", "file", "script", "sent", "inside", "folder"];
    let compared = compare(&sites, &table.questions()).await;
    compared.finish(&Expected {
        questions: 336,
        calls: 20,
        statuses: &[400, 403, 404, 503],
        causes: &["DENIED"],
    });
}

#[tokio::test]
async fn http2() {
    let table = Table {
        hosts: ANY_HOST,
        methods: &["GET", "POST"],
        targets: &["/nothing", "/method", "/login", "/%zz"],
        fields: &[PLAIN],
    };
    let questions = with_http2(&table.questions());
    let compared = compare(&["none", "text", "inside"], &questions).await;
    compared.finish(&Expected {
        questions: 48,
        calls: 0,
        statuses: &[400, 401, 404, 405],
        causes: &["DENIED", "NOT_FOUND"],
    });
}
