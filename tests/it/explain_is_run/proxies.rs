//! Proxies in front: whose word counts, and what follows from it for sites, redirects, refusals and applications.

use super::comparison::Expected;
use super::question::{Fields, PLAIN, Question, Table};
use super::stand::{Stand, text};

const CONFIG: &str = r#"
[server]
trusted_proxies = ["127.0.0.1", "10.0.0.0/8"]
trusted_fields = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded", "forwarded-host", "x-request-id", "traceparent"]
begin_trace = "sampled"

[upstream.app]
servers = ["{php}"]

[[site]]
hosts = ["first.test"]
root = "{folder}/public"
php = "app"
deny = ["203.0.113.0/24"]
[[site.rule]]
response_headers = { set = { X-Seen = "$scheme $host $port $remote_addr" } }
[[site.rule]]
path = "/away"
redirect = { to = "/b" }

[[site]]
hosts = ["kept.test"]
root = "{folder}/public"
php = "app"
https = true
{certificate}
[[site.error_page]]
status = ["4xx"]
path = "/a.php"

[[listen]]
address = "127.0.0.1:0"

[[listen]]
address = "127.0.0.1:0"
tls = true
"#;

const CLAIMS: &[Fields] = &[
    PLAIN,
    &[("X-Forwarded-For", "192.0.2.7")],
    &[("X-Forwarded-For", "198.51.100.1, 203.0.113.9, 10.1.1.1")],
    &[
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-For", "192.0.2.7"),
    ],
    &[
        ("X-Forwarded-Host", "kept.test"),
        ("X-Forwarded-Port", "8443"),
        ("X-Forwarded-Proto", "https"),
    ],
    &[(
        "Forwarded",
        "for=192.0.2.7;proto=https;host=\"first.test:81\"",
    )],
    &[("Forwarded", "for=203.0.113.4")],
    &[
        ("Forwarded", "for=192.0.2.7"),
        ("X-Forwarded-For", "192.0.2.8"),
    ],
    &[("X-Forwarded-Host", "a b")],
    &[
        ("X-Request-ID", "of-a-proxy"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("tracestate", "a=1"),
        ("X-Forwarded-For", "192.0.2.7"),
    ],
    &[("X-Request-ID", "a proxy"), ("traceparent", "00-0")],
    &[("X-Forwarded-Proto", "gopher"), ("X-Real-IP", "192.0.2.1")],
];

#[tokio::test]
async fn claims() {
    let files = [
        ("public/a.php", String::new()),
        ("public/style.css", text(300)),
    ];
    let stand = Stand::start(CONFIG, &files).await;
    let table = Table {
        hosts: &["first.test", "kept.test", "unknown.test"],
        methods: &["GET", "POST"],
        targets: &["/a.php?x=1", "/style.css", "/away", "/missing", "/%zz"],
        fields: CLAIMS,
    };
    let trusted =
        table.some(|question| question.method == "GET" || question.target == "/a.php?x=1");
    let others = trusted.iter().map(|question| Question {
        from: "127.0.0.5",
        ..*question
    });
    let questions: Vec<_> = trusted.iter().copied().chain(others).collect();
    stand.compare(&questions).await.finish(&Expected {
        questions: 432,
        calls: 60,
        statuses: &[200, 302, 308, 400, 403, 404],
        causes: &["BAD_FORWARDED", "BAD_TARGET", "FORBIDDEN"],
    });
}
