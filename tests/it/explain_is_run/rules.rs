//! Rules: conditions, what they change on their way, rewriting, and all that may answer.

use super::comparison::{Comparison, Expected};
use super::question::{ANY_HOST, Fields, PLAIN, Table};
use super::stand::{compare_each, text};

const UPSTREAMS: &str = r#"
[upstream.app]
servers = ["{php}"]

[upstream.apache]
servers = ["{php}"]
type = "apache-fpm"

[[site]]
root = "{folder}/public"
"#;

/// What the sites say before the same rules.
const SITES: [(&str, &str); 4] = [
    ("php", "php = \"app\"\n"),
    (
        "apache-fpm",
        "php = \"apache\"\ncanonical_name = \"www.example.org:444\"\nauthorization = false\npass_fields = [\"X_Under\"]\n",
    ),
    (
        "rules-alone",
        "php = \"app\"\nimplied_rules = false\ncompress = true\n",
    ),
    (
        "front-controller",
        "php = \"app\"\nfront_controller = { script = \"index.php\", except = [\"png\"] }\n\
         index = [\"none.html\", \"index.php\", \"index.html\"]\nfiles = { symlinks = \"never\" }\n",
    ),
];

const RULES: &str = r#"
[[site.rule]]
method = ["GET", "PUT"]
response_headers = { set = { X-Method = "$method" }, remove = ["Last-Modified"] }
[[site.rule]]
prefix = "/folder"
expires = "30d"
set_env = { FOLDER = "$rest", SERVER_SOFTWARE = "mine" }
unset_env = ["SERVER_SIGNATURE"]
php_value = { memory_limit = "64M" }
php_admin_value = { open_basedir = "/srv" }
response_headers = { add = { X-Folder = "$path" } }
[[site.rule]]
match = '^/(?<name>[a-z]+)\.php'
set_env = { SCRIPT = "${name}" }
request_headers = { set = { X-Set = "${name}" }, add = { X-Two = "c" }, append = { X-Two = "d" }, remove = ["X-Gone"] }
expires = "1h"
[[site.rule]]
header = { name = "X-Beta", value = "1" }
cookie = { name = "tester" }
response_headers = { set = { X-Beta = "${cookie:tester}" } }
[[site.rule]]
path = "/status"
respond = { body = "fine", headers = { Cache-Control = "no-store" } }
expires = "1h"
[[site.rule]]
path = "/kept"
respond = { body = "kept" }
expires = "1h"
[[site.rule]]
path = "/none"
respond = { status = 204 }
[[site.rule]]
path = "/early"
respond = { status = 304 }
[[site.rule]]
prefix = "/old"
redirect = { to = "/new/$rest", status = 301 }
expires = "1h"
[[site.rule]]
prefix = "/away"
redirect = { to = "https://other.example$uri?from=$host" }
[[site.rule]]
match = '^/wiki/(.*)$'
fastcgi = { upstream = "app", script = "{folder}/public/index.php", path_info = "/$1" }
[[site.rule]]
prefix = "/deny"
not = { method = ["PUT"] }
deny = { status = 404 }
[[site.rule]]
path = "/only"
not = { method = ["GET", "POST"] }
deny = { status = 405 }
[[site.rule]]
path = "/to-script"
rewrite = { to = "/a.php/more?$query&b=1" }
set_env = { ROUND = "one" }
response_headers = { add = { X-Round = "$path" } }
[[site.rule]]
path = "/to-file"
rewrite = { to = "/style.css" }
response_headers = { add = { X-Round = "$path" } }
[[site.rule]]
path = "/twice"
rewrite = { to = "/to-file" }
response_headers = { add = { X-Round = "$path" } }
[[site.rule]]
path = "/to-folder"
rewrite = { to = "/folder/" }
[[site.rule]]
path = "/loop"
rewrite = { to = "/loop" }
response_headers = { set = { X-Loop = "yes" } }
[[site.rule]]
path = "/inside"
internal = true
respond = { body = "inside" }
[[site.rule]]
path = "/to-inside"
rewrite = { to = "/inside" }
[[site.rule]]
path = "/declines"
static_files = { missing = "decline" }
response_headers = { set = { X-Declined = "yes" } }
set_env = { DECLINED = "yes" }
[[site.rule]]
prefix = "/aliased"
static_files = { root = "{folder}/other", mounted_at = "/aliased", listing = true }
[[site.rule]]
proxy_pass = "/pp/keep"
to = "!"
[[site.rule]]
proxy_pass_match = '^/pp/(.*\.php(/.*)?)$'
to = "fcgi://app{folder}/public/$1"
[[site.rule]]
exists = { file = "{folder}/public$path.flag" }
respond = { status = 503, body = "back soon" }
"#;

const TARGETS: &[&str] = &[
    "/",
    "/a.php",
    "/a.php/in%20fo/?x=1",
    "/missing.php",
    "/style.css",
    "/picture.png",
    "/folder",
    "/folder/",
    "/folder/index.html",
    "/status",
    "/kept",
    "/none",
    "/early",
    "/old/page?x=1",
    "/away/b%20c?y=2",
    "/wiki/Main_Page",
    "/deny/x",
    "/only",
    "/to-script?a=1",
    "/to-file",
    "/twice",
    "/to-folder",
    "/loop",
    "/inside",
    "/to-inside",
    "/declines",
    "/aliased/",
    "/aliased/other.txt",
    "/pp/a.php/more",
    "/pp/keep/a.php",
    "/pp/missing.php",
    "/maintenance",
    "/link.css",
    "/nothing/at/all?q=%2F",
];

const FIELDS: &[Fields] = &[
    &[
        ("X-Gone", "1"),
        ("X-Two", "a"),
        ("X-Two", "b"),
        ("X_Under", "1"),
        ("Proxy", "evil"),
        ("Authorization", "Basic YTpi"),
        ("Content-Type", "text/x"),
    ],
    &[("X-Beta", "1"), ("Cookie", "tester=yes; a=b")],
    &[("If-None-Match", "{etag}"), ("Accept-Encoding", "gzip")],
];

const FILES: [&str; 7] = [
    "public/a.php",
    "public/index.php",
    "public/style.css",
    "public/folder/index.html",
    "public/keep/a.php",
    "public/maintenance.flag",
    "other/other.txt",
];

async fn compare(methods: &'static [&'static str], fields: &'static [Fields]) -> Comparison {
    let table = Table {
        hosts: ANY_HOST,
        methods,
        targets: TARGETS,
        fields,
    };
    let configs = SITES.map(|(name, lines)| (name, format!("{UPSTREAMS}{lines}{RULES}")));
    let files = FILES.map(|name| (name, text(2000)));
    compare_each(configs, &table.questions(), &files).await
}

#[tokio::test]
async fn methods() {
    compare(&["GET", "POST"], &[PLAIN]).await.finish(&Expected {
        questions: 272,
        calls: 50,
        statuses: &[200, 204, 301, 302, 304, 404, 405, 500, 503],
        causes: &["DENIED", "NOT_FOUND", "TOO_MANY_ROUNDS"],
    });
}

#[tokio::test]
async fn other_methods() {
    compare(&["HEAD", "PUT", "OPTIONS"], &[PLAIN])
        .await
        .finish(&Expected {
            questions: 408,
            calls: 50,
            statuses: &[200, 204, 301, 302, 304, 404, 405, 500, 503],
            causes: &["DENIED", "NOT_FOUND", "TOO_MANY_ROUNDS"],
        });
}

#[tokio::test]
async fn fields() {
    compare(&["GET"], FIELDS).await.finish(&Expected {
        questions: 408,
        calls: 50,
        statuses: &[200, 301, 304, 404, 500, 503],
        causes: &["DENIED", "NOT_FOUND", "TOO_MANY_ROUNDS"],
    });
}
