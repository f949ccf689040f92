//! TLS: the way to it, what is promised of it, and what an application is told of it.

use super::comparison::Expected;
use super::question::{PLAIN, Table, with_http2, with_tls};
use super::stand::{Stand, text};

const LISTENERS: &str = r#"
[upstream.app]
servers = ["{php}"]

[[listen]]
address = "127.0.0.1:0"

[[listen]]
address = "127.0.0.1:0"
tls = true
"#;

const SITES: [(&str, &str); 6] = [
    ("free.test", ""),
    ("kept.test", "https = true\n"),
    (
        "below.test",
        "https = { hsts = \"1h\", subdomains = true, port = 8443 }\n",
    ),
    (
        "over.test",
        "https = { hsts = \"0s\" }\nencoded_slash = \"keep\"\n",
    ),
    (
        "page.test",
        "https = true\nerror_page = [{ status = [\"4xx\"], path = \"/page.php\" }]\n",
    ),
    (
        "text.test",
        "https = true\ncompress = true\nerror_page = [{ status = [\"4xx\"], body = \"ours\" }]\n",
    ),
];

pub(super) const HOSTS: &[&str] = &[
    "free.test",
    "kept.test",
    "below.test",
    "over.test",
    "page.test",
    "text.test",
];

const RULES: &str = r#"
[[site.rule]]
response_headers = { set = { X-Everywhere = "yes" } }
[[site.rule]]
scheme = "https"
response_headers = { set = { X-Scheme = "$scheme" } }
set_env = { SEEN = "$scheme $port" }
[[site.rule]]
path = "/own"
respond = { body = "own", headers = { Strict-Transport-Security = "max-age=1" } }
[[site.rule]]
path = "/denied"
deny = true
[[site.rule]]
path = "/away"
redirect = { to = "https://$host/b?$query" }
"#;

const TARGETS: &[&str] = &[
    "/style.css",
    "/a.php/info?x=1",
    "/missing",
    "/own",
    "/denied",
    "/away?x=1",
    "/%zz",
    "/a%2Fb",
];

async fn start() -> Stand {
    let site = |(host, lines): &(&str, &str)| {
        format!(
            "[[site]]\nhosts = [\"{host}\"]\nroot = \"{{folder}}/public\"\nphp = \"app\"\nfront_controller = \"\"\n{{certificate}}\n{lines}{RULES}"
        )
    };
    let sites: String = SITES.iter().map(site).collect();
    let files = [
        ("public/style.css", text(3000)),
        ("public/a.php", String::new()),
        ("public/page.php", String::new()),
    ];
    Stand::start(&format!("{LISTENERS}{sites}"), &files).await
}

#[tokio::test]
async fn sites_that_are_kept_to_tls() {
    let stand = start().await;
    let table = Table {
        hosts: HOSTS,
        methods: &["GET", "HEAD", "POST", "TRACE"],
        targets: TARGETS,
        fields: &[PLAIN],
    };
    let questions = with_tls(&table.questions());
    stand.compare(&questions).await.finish(&Expected {
        questions: 384,
        calls: 20,
        statuses: &[200, 302, 308, 400, 403, 404, 405, 501],
        causes: &["DENIED", "NOT_FOUND", "BAD_TARGET"],
    });
}

#[tokio::test]
async fn http2() {
    let stand = start().await;
    let table = Table {
        hosts: &["kept.test", "below.test", "text.test"],
        methods: &["GET"],
        targets: &["/style.css", "/missing", "/own", "/denied"],
        fields: &[PLAIN, &[("Accept-Encoding", "br")]],
    };
    let questions = with_http2(&with_tls(&table.questions()));
    stand.compare(&questions).await.finish(&Expected {
        questions: 96,
        calls: 0,
        statuses: &[200, 308, 403, 404],
        causes: &["DENIED", "NOT_FOUND"],
    });
}
