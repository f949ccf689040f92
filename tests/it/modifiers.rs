//! What rules change about a request and its answer beside what answers it: variables and settings of PHP, fields both
//! ways, how long an answer is good; and other targets for the same request.

use serde_json::Value;

use crate::harness::php_fpm::Setup;
use crate::harness::{Gateway, GatewaySetup, Request, Response, http2};

const DUMP: &str = "<?php header('Content-Type: application/json'); header('X-Php: yes');
if (isset($_GET['status'])) { http_response_code((int) $_GET['status']); }
if (isset($_GET['cache'])) { header('Cache-Control: no-store'); }
echo json_encode(['server' => array_filter($_SERVER, 'is_string'), 'ini' => ini_get_all(null, false),
    'length' => strlen(file_get_contents('php://input'))]);";

/// A site with these rules, and scripts that say what they were told.
fn modified(rules: &str) -> GatewaySetup<Setup> {
    let php = Setup::new(2).line("security.limit_extensions = .php .phtml");
    Gateway::before(php)
        .files(
            &["dump.php", "index.php", "app/index.php", "tool.phtml"],
            DUMP,
        )
        .file("plain.txt", "plain")
        .site(rules)
}

async fn get(gateway: &Gateway, target: &str) -> (Response, Value) {
    let response = gateway.get(target).await;
    assert_eq!(response.status, 200, "{target}: {}", response.text());
    let server = response.json()["server"].clone();
    (response, server)
}

#[tokio::test]
async fn variables_are_set_last_and_in_order() {
    let (_php, gateway) = modified(
        "[[site.rule]]
match = '^/dump\\.php/(?<tenant>[a-z]+)'
set_env = { TENANT = \"${tenant}\", WHOLE = \"$0\", SERVER_SOFTWARE = \"mine\", EMPTY = \"\", LAST = \"first\", NUMBER = 5 }
unset_env = [\"REMOTE_PORT\"]
[[site.rule]]
prefix = \"/dump.php\"
not = { method = [\"POST\"] }
set_env = { LAST = \"second\", QUERY_STRING = \"a=$query\" }
",
    )
    .start()
    .await;
    let (_, server) = get(&gateway, "/dump.php/acme?x=1").await;
    for (name, value) in [
        ("TENANT", "acme"),
        ("WHOLE", "/dump.php/acme"),
        ("SERVER_SOFTWARE", "mine"),
        ("EMPTY", ""),
        ("LAST", "second"),
        ("QUERY_STRING", "a=x=1"),
        ("NUMBER", "5"),
    ] {
        assert_eq!(server[name], value, "{name}");
    }
    assert_eq!(server["REMOTE_PORT"], Value::Null);
    // No client sets one, and no rule that did not match.
    let forged = Request::post("/dump.php")
        .field("Tenant", "forged")
        .field("PHP-Value", "display_errors=1")
        .body("x");
    let server = gateway.send(&forged).await.json()["server"].clone();
    assert_eq!(server["TENANT"], Value::Null);
    assert_eq!(server["HTTP_TENANT"], "forged");
    assert_eq!(server["PHP_VALUE"], Value::Null);
    assert_eq!(server["LAST"], Value::Null);
    assert_ne!(server["SERVER_SOFTWARE"], "mine");
}

#[tokio::test]
async fn settings_of_php_are_sent() {
    let (_php, gateway) = modified(
        "[[site.rule]]
path = \"/dump.php\"
php_value = { memory_limit = \"96M\", precision = 7, html_errors = true }
php_admin_value = { user_agent = \"a; b (c)\", open_basedir = \"{root}:/tmp\" }
",
    )
    .start()
    .await;
    // Nothing is said of other requests: PHP-FPM leaves a setting in the worker that got it.
    let set = gateway.get("/dump.php").await.json()["ini"].clone();
    assert_eq!(set["memory_limit"], "96M");
    assert_eq!(set["precision"], "7");
    assert_eq!(set["html_errors"], "1");
    assert_eq!(set["user_agent"], "a; b (c)");
}

#[tokio::test]
async fn fields_are_changed_both_ways() {
    let (_php, gateway) = modified(
        "[[site.rule]]
request_headers = { set = { X-Site = \"$host\" }, append = { Accept-Language = \"en\" }, remove = [\"Accept-Encoding\"] }
response_headers = { set = { X-Frame-Options = \"DENY\", X-Path = \"$path\" }, add = { Set-Cookie = \"b=2\" }, append = { Vary = \"Accept\" }, remove = [\"X-Php\", \"X-Powered-By\"] }
[[site.rule]]
path = \"/denied\"
deny = true
",
    )
    .start()
    .await;
    let request = Request::get("/")
        .field("Accept-Encoding", "gzip")
        .field("Accept-Language", "de");
    for response in [
        gateway.send(&request).await,
        http2::send(gateway.address(), &request).await,
    ] {
        let server = response.json()["server"].clone();
        assert_eq!(server["HTTP_X_SITE"], "localhost");
        assert_eq!(server["HTTP_ACCEPT_LANGUAGE"], "de, en");
        assert_eq!(server["HTTP_ACCEPT_ENCODING"], Value::Null);
        assert_eq!(response.header("x-frame-options"), Some("DENY"));
        // `/` leads to index.php in a second round: nothing is added twice.
        assert_eq!(response.headers("set-cookie"), ["b=2"]);
        assert_eq!(response.header("x-path"), Some("/index.php"));
        assert_eq!(response.header("vary"), Some("Accept"));
        assert_eq!(response.header("x-php"), None);
        assert_eq!(response.header("x-powered-by"), None);
    }
    // Whoever answers: a file, a rule, the gateway itself, also before any rule.
    for (target, status) in [("/plain.txt", 200), ("/denied", 403), ("/%2f", 404)] {
        let response = gateway.get(target).await;
        assert_eq!(response.status, status, "{target}");
        assert_eq!(response.header("x-frame-options"), Some("DENY"), "{target}");
    }
}

#[tokio::test]
async fn answers_are_good_for_as_long_as_a_rule_says() {
    let (_php, gateway) = modified("[[site.rule]]\nexpires = \"30d\"\n").start().await;
    for (target, control) in [
        ("/plain.txt", Some("max-age=2592000")),
        ("/dump.php", Some("max-age=2592000")),
        ("/dump.php?cache", Some("no-store")),
        ("/dump.php?status=404", None),
        ("/dump.php?status=500", None),
    ] {
        let response = gateway.get(target).await;
        assert_eq!(response.header("cache-control"), control, "{target}");
        let dated = response.header("expires").is_some();
        assert_eq!(dated, control == Some("max-age=2592000"), "{target}");
    }
}

#[tokio::test]
async fn a_rule_on_the_way_has_a_limit_of_its_own() {
    let rule = "[[site.rule]]\npath = \"/dump.php\"\nlimits = { body = \"1KiB\" }\n";
    let (_php, gateway) = modified(rule).start().await;
    let post = |target: &str| Request::post(target).body(vec![b'x'; 2048]);
    assert_eq!(gateway.send(&post("/dump.php")).await.status, 413);
    let response = gateway.send(&post("/index.php")).await;
    assert_eq!(response.json()["length"], 2048);
}

#[tokio::test]
async fn a_rewrite_is_told_as_apache_tells_it() {
    let (php, gateway) = modified(
        "[[site.rule]]
match = '^/article/(.+)$'
rewrite = { to = \"/dump.php/$1\" }
[[site.rule]]
match = '^/search/(.+)$'
rewrite = { to = \"/dump.php?q=$1&$query\" }
[[site.rule]]
prefix = \"/circle\"
rewrite = { to = \"/circle\" }
[[site.rule]]
path = \"/inner.php\"
internal = true
fastcgi = { script = \"{root}/dump.php\" }
[[site.rule]]
path = \"/to-inner\"
rewrite = { to = \"/inner.php\" }
",
    )
    .start()
    .await;
    let (_, server) = get(&gateway, "/article/a%20b/c?x=1").await;
    let root = php.root();
    for (name, value) in [
        ("SCRIPT_NAME", "/dump.php"),
        ("PATH_INFO", "/a b/c"),
        ("QUERY_STRING", "x=1"),
        ("REQUEST_URI", "/article/a%20b/c?x=1"),
        ("REDIRECT_URL", "/article/a b/c"),
        ("REDIRECT_QUERY_STRING", "x=1"),
        ("REDIRECT_STATUS", "200"),
        ("PATH_TRANSLATED", &format!("{}/a b/c", root.display())),
        ("SCRIPT_FILENAME", &format!("{}/dump.php", root.display())),
    ] {
        assert_eq!(server[name], value, "{name}");
    }
    // What a variable brings can neither end its parameter nor begin another.
    let (_, server) = get(&gateway, "/search/a&b=c%3Fd?y=2").await;
    assert_eq!(server["QUERY_STRING"], "q=a%26b%3Dc%3Fd&y=2");
    assert_eq!(gateway.get("/circle").await.status, 500);
    gateway
        .log
        .wait_for(|line| line.contains("TOO_MANY_ROUNDS"))
        .await;
    // What is internal is for nobody else.
    assert_eq!(gateway.get("/to-inner").await.status, 200);
    let (_, server) = get(&gateway, "/inner.php").await;
    assert_eq!(server["SCRIPT_NAME"], "/index.php", "the front controller");
}

#[tokio::test]
async fn apaches_own_spellings() {
    let (_php, gateway) = modified(
        "front_controller = \"\"
[[site.rule]]
proxy_pass = \"/keep/out/\"
to = \"!\"
[[site.rule]]
proxy_pass = \"/keep/\"
to = \"{app}|fcgi://localhost{root}/app/\"
[[site.rule]]
set_handler = \"proxy:{app}|fcgi://localhost\"
files_match = '\\.ph(p|tml)$'
",
    )
    .start()
    .await;
    for (target, script, path_info) in [
        ("/keep/index.php", Some("/keep/index.php"), None),
        ("/keep/index.php/x", Some("/keep/index.php"), Some("/x")),
        ("/tool.phtml", Some("/tool.phtml"), None),
        ("/tool.phtml/a/b", Some("/tool.phtml"), Some("/a/b")),
        ("/dump.php", Some("/dump.php"), None),
        ("/keep/out/index.php", None, None),
        ("/keep/none.php", None, None),
        ("/none.phtml", None, None),
    ] {
        let response = gateway.get(target).await;
        let Some(script) = script else {
            assert_eq!(response.status, 404, "{target}");
            continue;
        };
        let server = response.json()["server"].clone();
        assert_eq!(server["SCRIPT_NAME"], script, "{target}");
        assert_eq!(
            server["PATH_INFO"],
            path_info.map_or(Value::Null, Value::from),
            "{target}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_changed_is_told_when_the_configuration_is_read() {
    for (rule, message) in [
        (
            "set_env = { \"A=B\" = \"x\" }",
            "not the name of a variable",
        ),
        (
            "set_env = { A = \"$nothing\" }",
            "unknown variable `$nothing`",
        ),
        ("php_value = { \"a b\" = \"x\" }", "not a PHP setting"),
        ("php_value = { a = \"x\\ny\" }", "cannot be sent to PHP"),
        ("php_value = { a = \"${x}\" }", "cannot be sent to PHP"),
        (
            "response_headers = { set = { Content-Length = \"5\" } }",
            "set by the gateway alone",
        ),
        (
            "response_headers = { remove = [\"a b\"] }",
            "not the name of a header field",
        ),
        ("rewrite = { to = \"nowhere\" }", "does not begin with `/`"),
        ("set_handler = \"fcgi://x:1\"", "is not a FastCGI handler"),
        ("proxy_pass = \"/a/\"", "requires `to`"),
        ("internal = true", "the rule has no action"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let config = format!("[[site]]\nroot = \"/tmp\"\n[[site.rule]]\n{rule}\n");
        let file = directory.path().join("fcgate.toml");
        std::fs::write(&file, config).unwrap();
        let output = crate::harness::gateway::check(&file);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{rule}");
        assert!(text.contains(message), "{rule}: {text}");
    }
}
