//! Files: methods, conditions, parts, folders, names that are not sent, and how long what is sent may be kept.

use super::comparison::Expected;
use super::question::{Fields, PLAIN, Question, Table, with_http2};
use super::stand::{Stand, text};

const CONFIG: &str = r#"
[upstream.app]
servers = ["{php}"]

[[site]]
hosts = ["files.test"]
root = "{folder}/public"

[[site]]
hosts = ["php.test"]
root = "{folder}/public"
php = "app"

[[site]]
hosts = ["kept.test"]
root = "{folder}/public"
index = ["none.html"]
files = { listing = true, immutable = true, charset = "", types = { css = "text/x-css" }, allowed_names = ["*.bak"], cache = [{ types = ["text/x-css"], expires = "30d" }, { match = "b.txt$", control = "no-store" }] }
[[site.rule]]
response_headers = { set = { X-Everywhere = "yes" }, add = { Link = "</a>; rel=preload" } }
[[site.rule]]
prefix = "/folder"
expires = "1h"
response_headers = { append = { Vary = "Accept-Language" }, add = { Link = "</b>; rel=preload" }, remove = ["ETag"] }
"#;

const METHODS: &[&str] = &["GET", "HEAD", "POST", "OPTIONS", "TRACE", "BREW"];

const TARGETS: &[&str] = &[
    "/",
    "/style.css",
    "/style.css?v=1",
    "/style.css/",
    "/style.css.bak",
    "/a%20b.txt",
    "/a%2Fb.txt",
    "/app.3f2a1b9c.js",
    "/empty.txt",
    "/folder",
    "/folder/",
    "/folder?x=1",
    "/missing.css",
    "/none/at/all",
    "/.git/config",
    "/dump.sql",
    "/%zz",
    "/../x",
    "/%00",
];

const CONDITIONS: &[Fields] = &[
    &[("Range", "bytes=0-3")],
    &[("Range", "bytes=-2")],
    &[("Range", "bytes=1-2, 4-5")],
    &[("Range", "bytes=999999-")],
    &[("Range", "lines=1-2")],
    &[("If-None-Match", "{etag}")],
    &[("If-None-Match", "W/{etag}")],
    &[("If-None-Match", "\"x\", {etag}")],
    &[("If-None-Match", "*")],
    &[
        ("If-None-Match", "\"x\""),
        ("If-Modified-Since", "{modified}"),
    ],
    &[("If-Modified-Since", "{modified}")],
    &[("If-Modified-Since", "Thu, 01 Jan 1998 00:00:00 GMT")],
    &[("If-Modified-Since", "yesterday")],
    &[("If-Match", "{etag}")],
    &[("If-Match", "\"x\"")],
    &[("If-Unmodified-Since", "Thu, 01 Jan 1998 00:00:00 GMT")],
    &[("If-Unmodified-Since", "{modified}")],
    &[("Range", "bytes=0-3"), ("If-Range", "{etag}")],
    &[("Range", "bytes=0-3"), ("If-Range", "\"x\"")],
    &[("Range", "bytes=0-3"), ("If-None-Match", "{etag}")],
    &[("Accept", "application/json")],
];

async fn start() -> Stand {
    let names = [
        "style.css",
        "style.css.bak",
        "a b.txt",
        "app.3f2a1b9c.js",
        "folder/index.html",
        "folder/b.txt",
        ".git/config",
        "dump.sql",
        "a.php",
    ];
    let mut files: Vec<_> = names
        .iter()
        .map(|name| (format!("public/{name}"), text(300)))
        .collect();
    files.push(("public/empty.txt".to_owned(), String::new()));
    let files: Vec<_> = files
        .iter()
        .map(|(name, content)| (name.as_str(), content.clone()))
        .collect();
    Stand::start(CONFIG, &files).await
}

#[tokio::test]
async fn methods_and_targets() {
    let stand = start().await;
    let table = Table {
        hosts: &["files.test", "php.test", "kept.test", "unknown.test"],
        methods: METHODS,
        targets: TARGETS,
        fields: &[PLAIN],
    };
    // An unknown host has the first site: one method is enough for that.
    let is_kept = |question: &Question| question.host != "unknown.test" || question.method == "GET";
    let questions = table.some(is_kept);
    stand.compare(&questions).await.finish(&Expected {
        questions: 361,
        calls: 0,
        statuses: &[200, 301, 400, 404, 405, 501],
        causes: &[
            "BAD_TARGET",
            "METHOD_NOT_ALLOWED",
            "METHOD_NOT_SUPPORTED",
            "NAME_WITHHELD",
            "NOT_FOUND",
        ],
    });
}

#[tokio::test]
async fn conditions_and_parts() {
    let stand = start().await;
    let table = Table {
        hosts: &["files.test", "kept.test"],
        methods: &["GET", "HEAD", "POST"],
        targets: &["/style.css", "/empty.txt", "/folder/", "/missing.css"],
        fields: CONDITIONS,
    };
    // What has no validators needs none of its own.
    let is_kept = |question: &Question| {
        (question.method != "POST" || question.target == "/style.css")
            && (question.target != "/missing.css" || !question.is_conditional())
    };
    let questions = table.some(is_kept);
    stand.compare(&questions).await.finish(&Expected {
        questions: 342,
        calls: 0,
        statuses: &[200, 206, 304, 404, 405, 412, 416],
        causes: &[],
    });
}

#[tokio::test]
async fn http2() {
    let stand = start().await;
    let table = Table {
        hosts: &["kept.test"],
        methods: &["GET", "HEAD", "DELETE"],
        targets: &["/style.css", "/folder/", "/missing.css", "/folder", "/%zz"],
        fields: &[PLAIN, &[("Range", "bytes=0-3")]],
    };
    let questions = with_http2(&table.questions());
    stand.compare(&questions).await.finish(&Expected {
        questions: 60,
        calls: 0,
        statuses: &[200, 206, 301, 400, 404, 405],
        causes: &[],
    });
}
