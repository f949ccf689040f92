//! What is answered before any rule, and what is refused: hosts, methods, targets, clients, expectations, content.

use super::comparison::Expected;
use super::question::{Fields, PLAIN, Question, Table, with_http2};
use super::stand::{Stand, text};

const CONFIG: &str = r#"
[server.limits]
path = "256B"

[upstream.app]
servers = ["{php}"]

[[site]]
hosts = ["open.test"]
root = "{folder}/public"
php = "app"
limits = { body = "1KiB" }
RULES

[[site]]
hosts = ["near.test"]
root = "{folder}/public"
php = "app"
allow = ["127.0.0.0/29"]
deny = ["127.0.0.4"]
encoded_slash = "decode"
RULES
[[site.error_page]]
status = ["4xx"]
body = "ours"

[[site]]
hosts = ["asking.test"]
root = "{folder}/public"
php = "app"
deny = ["127.0.0.4"]
encoded_slash = "keep"
RULES
[[site.error_page]]
status = ["4xx", "5xx"]
path = "/page.php"

[[site]]
hosts = ["limited.test"]
root = "{folder}/public"
php = "app"
limits = { requests_per_second = 1, burst = 0, requests_at_once = 1 }
RULES
[[site.error_page]]
status = ["4xx", "5xx"]
path = "/page.php"

[[site]]
hosts = ["ruled.test"]
root = "{folder}/public"
php = "app"
limits = { requests_per_second = 1, burst = 1000, key = "site" }
[[site.rule]]
limits = { requests_per_second = 1, burst = 0, requests_at_once = 1, key = "header:X-Key" }
[[site.rule]]
prefix = "/page.php"
limits = { requests_per_second = 1, burst = 0, requests_at_once = 1 }
[[site.rule]]
path = ["/a.php", "/admin"]
limits = { requests_per_second = 1, burst = 1, key = "cookie:sid" }
RULES
[[site.error_page]]
status = ["4xx", "5xx"]
path = "/page.php"
"#;

const RULES: &str = r#"
[[site.rule]]
response_headers = { set = { X-Everywhere = "yes" } }
[[site.rule]]
remote = "127.0.0.4"
response_headers = { set = { X-Four = "$remote_addr" } }
[[site.rule]]
prefix = "/"
response_headers = { set = { X-Path = "$path" } }
[[site.rule]]
query = { name = "a" }
response_headers = { set = { X-Query = "yes" } }
[[site.rule]]
path = "/fixed"
respond = { body = "fixed" }
response_headers = { set = { X-Fixed = "yes" } }
[[site.rule]]
prefix = "/small"
limits = { body = "3B" }
[[site.rule]]
prefix = "/large"
limits = { body = "1MiB" }
[[site.rule]]
path = "/small/fixed"
respond = { body = "small" }
[[site.rule]]
prefix = "/admin"
deny = { status = 404 }
"#;

/// More than `path` has.
const LONG: &str = concat!(
    "/a/path/that/is/longer/than/two/hundred/and/fifty-six/bytes/which/is/what/the/server/reads/at/most",
    "/a/path/that/is/longer/than/two/hundred/and/fifty-six/bytes/which/is/what/the/server/reads/at/most",
    "/a/path/that/is/longer/than/two/hundred/and/fifty-six/bytes/which/is/what/the/server/reads/at/most"
);

const TARGETS: &[&str] = &[
    "/fixed?a=1",
    "/a.php",
    "/missing?a=1",
    "/%zz?a=1",
    "/%00",
    "/../x",
    "/a%2Fb?a=1",
    LONG,
    "/index.php/admin/x",
    "/admin/../x",
];

async fn start() -> Stand {
    let files = [
        ("public/style.css", text(300)),
        ("public/a.php", String::new()),
        ("public/page.php", String::new()),
        ("public/index.php", String::new()),
    ];
    Stand::start(&CONFIG.replace("RULES", RULES), &files).await
}

fn from(questions: &[Question], clients: &[&'static str]) -> Vec<Question> {
    let each = |from: &&'static str| {
        let from = *from;
        questions
            .iter()
            .map(move |question| Question { from, ..*question })
    };
    clients.iter().flat_map(each).collect()
}

#[tokio::test]
async fn methods_that_no_rule_sees() {
    let stand = start().await;
    let table = Table {
        hosts: &["open.test", "asking.test", "unknown.test"],
        methods: &["TRACE", "OPTIONS", "BREW", "get"],
        targets: TARGETS,
        fields: &[PLAIN],
    };
    let whole = Table {
        hosts: &["open.test", "near.test", "asking.test", "unknown.test"],
        methods: &["OPTIONS"],
        targets: &["*"],
        fields: &[PLAIN],
    };
    let questions = [table.questions(), whole.questions()].concat();
    stand.compare(&questions).await.finish(&Expected {
        questions: 124,
        calls: 20,
        statuses: &[200, 204, 400, 404, 414, 501],
        causes: &["METHOD_NOT_SUPPORTED", "BAD_TARGET", "PATH_TOO_LONG"],
    });
}

#[tokio::test]
async fn clients_that_may_not() {
    let stand = start().await;
    let table = Table {
        hosts: &["open.test", "near.test", "asking.test"],
        methods: &["GET", "POST"],
        targets: TARGETS,
        fields: &[PLAIN],
    };
    let clients = ["127.0.0.1", "127.0.0.4", "127.0.0.9"];
    let questions = from(&table.questions(), &clients);
    stand.compare(&questions).await.finish(&Expected {
        questions: 180,
        calls: 40,
        statuses: &[200, 400, 403, 404, 414],
        causes: &["FORBIDDEN", "BAD_TARGET", "DENIED"],
    });
}

/// What was counted is the gateway's: the first request of each client is told as it is answered, by a limit of the
/// site and by those of rules.
#[tokio::test]
async fn clients_within_their_limits() {
    let stand = start().await;
    let table = Table {
        hosts: &["limited.test", "ruled.test"],
        methods: &["GET"],
        targets: TARGETS,
        fields: &[PLAIN],
    };
    let valued = Table {
        hosts: &["ruled.test"],
        methods: &["POST"],
        targets: &["/a.php"],
        fields: &[
            &[("X-Key", "one"), ("Cookie", "sid=one")],
            &[("X-Key", "two")],
        ],
    };
    const CLIENTS: [&str; 10] = [
        "127.0.1.1",
        "127.0.2.1",
        "127.0.3.1",
        "127.0.4.1",
        "127.0.5.1",
        "127.0.6.1",
        "127.0.7.1",
        "127.0.8.1",
        "127.0.9.1",
        "127.0.10.1",
    ];
    let questions = [table.questions(), valued.questions()].concat();
    let questions = questions.into_iter().zip(CLIENTS.iter().cycle());
    let questions: Vec<_> = questions
        .map(|(question, from)| Question { from, ..question })
        .collect();
    stand.compare(&questions).await.finish(&Expected {
        questions: 22,
        calls: 8,
        statuses: &[200, 400, 404, 414],
        causes: &["BAD_TARGET"],
    });
}

#[tokio::test]
async fn content_and_expectations() {
    const FIELDS: &[Fields] = &[
        PLAIN,
        &[("Expect", "200-maybe")],
        &[("Content-Length", "4096")],
        &[("Content-Length", "0")],
        &[("Content-Type", "text/x"), ("X_Under", "1")],
    ];
    let stand = start().await;
    let table = Table {
        hosts: &["open.test", "near.test", "asking.test"],
        methods: &["POST", "PUT"],
        targets: &[
            "/a.php",
            "/small/a",
            "/small/fixed",
            "/large/a",
            "/style.css",
            "/%zz",
        ],
        fields: FIELDS,
    };
    stand.compare(&table.questions()).await.finish(&Expected {
        questions: 180,
        calls: 40,
        statuses: &[200, 400, 405, 413, 417],
        causes: &["BODY_TOO_LARGE", "EXPECTATION_FAILED"],
    });
}

#[tokio::test]
async fn hosts_that_are_none() {
    let stand = start().await;
    let table = Table {
        hosts: &["a b", "open.test", "OPEN.test", "unknown.test", "[::1]"],
        methods: &["GET", "TRACE"],
        targets: &["/fixed", "/missing", "/a.php"],
        fields: &[PLAIN],
    };
    stand.compare(&table.questions()).await.finish(&Expected {
        questions: 30,
        calls: 5,
        statuses: &[200, 400, 501],
        causes: &["BAD_HOST"],
    });
}

#[tokio::test]
async fn http2() {
    let stand = start().await;
    let table = Table {
        hosts: &["open.test", "near.test"],
        methods: &["GET", "TRACE"],
        targets: &["/fixed?a=1", "/%00", "/a%2Fb", LONG, "/admin/x"],
        fields: &[PLAIN, &[("Expect", "200-maybe")]],
    };
    let questions = with_http2(&table.questions());
    stand.compare(&questions).await.finish(&Expected {
        questions: 80,
        calls: 0,
        statuses: &[200, 400, 404, 414, 417, 501],
        causes: &["METHOD_NOT_SUPPORTED", "EXPECTATION_FAILED"],
    });
}
