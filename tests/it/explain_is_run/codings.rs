//! Content codings: what is compressed, what was compressed before, and what is said of it.

use std::time::Duration;

use super::comparison::Expected;
use super::question::{Fields, PLAIN, Question, Table, with_http2};
use super::stand::{Stand, text};

const CONFIG: &str = r#"
[upstream.app]
servers = ["{php}"]

[[site]]
hosts = ["all.test"]
root = "{folder}/public"
php = "app"
compress = true
[[site.rule]]
path = "/page"
respond = { body = "TEXT" }
[[site.rule]]
path = "/own"
respond = { body = "TEXT", headers = { Set-Cookie = "a=b" } }
[[site.rule]]
path = "/transformed"
respond = { body = "TEXT", headers = { Cache-Control = "no-transform" } }
[[site.rule]]
path = "/coded"
respond = { body = "TEXT", headers = { Content-Encoding = "x-own" } }

[[site]]
hosts = ["before.test"]
root = "{folder}/public"
compress = { precompressed = true }
[[site.rule]]
prefix = "/old.js"
response_headers = { append = { Cache-Control = "no-transform" } }

[[site]]
hosts = ["gzip.test"]
root = "{folder}/public"
compress = { codings = ["gzip"], minimum = "0B", precompressed = true, scripts = "none" }
[[site.error_page]]
status = "404"
file = "page.html"

[[site]]
hosts = ["plain.test"]
root = "{folder}/public"
"#;

const HOSTS: &[&str] = &["all.test", "before.test", "gzip.test", "plain.test"];

const TARGETS: &[&str] = &[
    "/app.js",
    "/old.js",
    "/huge.txt",
    "/small.txt",
    "/picture.png",
    "/missing",
    "/folder",
    "/a.php",
];

const ACCEPTED: &[Fields] = &[
    PLAIN,
    &[("Accept-Encoding", "gzip")],
    &[("Accept-Encoding", "br")],
    &[("Accept-Encoding", "zstd")],
    &[("Accept-Encoding", "gzip, deflate, br, zstd")],
    &[("Accept-Encoding", "gzip;q=1, br;q=0.5")],
    &[("Accept-Encoding", "br;q=0, *;q=0.1")],
    &[("Accept-Encoding", "identity;q=0")],
    &[("Accept-Encoding", "identity;q=0, gzip")],
    &[("Accept-Encoding", "*;q=0")],
];

const CONDITIONS: &[Fields] = &[
    &[("Accept-Encoding", "br"), ("If-None-Match", "{etag}")],
    &[("Accept-Encoding", "gzip"), ("If-None-Match", "{etag}")],
    &[("Accept-Encoding", "gzip"), ("If-Match", "{etag}")],
    &[("Accept-Encoding", "gzip"), ("If-None-Match", "\"x~br\"")],
    &[("Accept-Encoding", "br"), ("Range", "bytes=0-9")],
    &[
        ("Accept-Encoding", "br"),
        ("Range", "bytes=0-9"),
        ("If-Range", "{etag}"),
    ],
    &[
        ("Accept-Encoding", "gzip"),
        ("Cache-Control", "no-transform"),
    ],
    &[
        ("Accept-Encoding", "gzip"),
        ("If-Modified-Since", "{modified}"),
    ],
];

/// Whether a browser says that its own page asks, for what is somebody's own.
const ASKED: &[Fields] = &[
    &[("Accept-Encoding", "gzip"), ("Cookie", "a=b")],
    &[
        ("Accept-Encoding", "gzip"),
        ("Sec-Fetch-Site", "same-origin"),
    ],
    &[
        ("Accept-Encoding", "gzip"),
        ("Sec-Fetch-Site", "cross-site"),
    ],
    &[("Accept-Encoding", "identity;q=0")],
    PLAIN,
];

async fn start() -> Stand {
    let files = [
        ("public/app.js", text(20_000)),
        ("public/app.js.br", text(900)),
        ("public/app.js.gz", text(800)),
        ("public/old.js", text(5000)),
        ("public/old.js.gz", text(700)),
        ("public/huge.txt", text(150_000)),
        ("public/small.txt", text(100)),
        ("public/picture.png", text(3000)),
        ("public/folder/index.html", text(3000)),
        ("public/page.html", text(4000)),
        ("public/a.php", String::new()),
    ];
    let stand = Stand::start(&CONFIG.replace("TEXT", &"text ".repeat(600)), &files).await;
    stand.age("public/old.js.gz", Duration::from_secs(3600));
    stand
}

#[tokio::test]
async fn what_is_accepted() {
    let stand = start().await;
    let table = Table {
        hosts: HOSTS,
        methods: &["GET", "HEAD"],
        targets: TARGETS,
        fields: ACCEPTED,
    };
    let is_kept = |question: &Question| question.host == "all.test" || question.method == "GET";
    let questions = table.some(is_kept);
    stand.compare(&questions).await.finish(&Expected {
        questions: 400,
        calls: 20,
        statuses: &[200, 301, 404],
        causes: &["NOT_FOUND"],
    });
}

#[tokio::test]
async fn conditions_and_parts() {
    let stand = start().await;
    let table = Table {
        hosts: &["all.test", "before.test", "gzip.test"],
        methods: &["GET", "HEAD"],
        targets: &["/app.js", "/old.js", "/small.txt", "/picture.png", "/a.php"],
        fields: CONDITIONS,
    };
    stand.compare(&table.questions()).await.finish(&Expected {
        questions: 240,
        calls: 16,
        statuses: &[200, 206, 304],
        causes: &[],
    });
}

#[tokio::test]
async fn fixed_answers_in_both_protocols() {
    let stand = start().await;
    let table = Table {
        hosts: &["all.test"],
        methods: &["GET", "HEAD", "POST"],
        targets: &["/page", "/own", "/transformed", "/coded", "/%zz"],
        fields: ASKED,
    };
    let questions = with_http2(&table.questions());
    stand.compare(&questions).await.finish(&Expected {
        questions: 150,
        calls: 0,
        statuses: &[200, 400],
        causes: &["BAD_TARGET"],
    });
}
