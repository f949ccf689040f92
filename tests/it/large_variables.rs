//! More variables than one FastCGI record holds, and variables that are longer than one.

use std::path::Path;

use serde_json::Value;

use crate::harness::application;
use crate::harness::gateway::{self, run};
use crate::harness::php_fpm::{Setup, free_port};
use crate::harness::{Address, Gateway, GatewaySetup, Request, Response, http2, php_fpm};

/// Says what it was told, and counts how often it ran.
const DUMP: &str = "<?php header('Content-Type: application/json'); file_put_contents(__DIR__ . '/runs', 'x', FILE_APPEND);
echo json_encode(array_filter($_SERVER, 'is_string'));";

/// Seven fields and a query, which the limits of a fresh installation allow: more than one record.
fn large(method: &str) -> Request {
    let mut request = Request::new(method, &format!("/dump.php/info?{}", "q".repeat(8_000)));
    for number in 0..7 {
        request = request.field(
            &format!("X-Long-{number}"),
            &number.to_string().repeat(7_000),
        );
    }
    request
}

/// What the head of a request may have at the most, for these tests.
const LARGE: &str = "log = \"debug\"\nlimits = { head = \"256KiB\", request_line = \"64KiB\", path = \"64KiB\", field_line = \"128KiB\" }";

/// A site whose scripts lie at `root`, for an upstream of this `kind`, with further `rules`.
fn config(kind: &str, address: &Address, root: &Path, rules: &str) -> String {
    format!(
        "[server]\n{LARGE}\n[upstream.php]\nservers = \"{address}\"\ntype = \"{kind}\"\n\
         [[site]]\nroot = \"{}\"\nphp = \"php\"\n{rules}",
        root.display()
    )
}

/// The answers over both versions of HTTP.
async fn both(gateway: &Gateway, request: &Request) -> [Response; 2] {
    [
        gateway.send(request).await,
        http2::send(gateway.address(), request).await,
    ]
}

fn runs(root: &Path) -> usize {
    std::fs::read(root.join("runs")).map_or(0, |runs| runs.len())
}

/// Fails unless PHP at `address` is told all of a large request, and runs once for each.
async fn check_told(kind: &str, address: &Address, root: &Path) {
    let gateway = Gateway::start(&config(kind, address, root, "")).await;
    let begun = runs(root);
    for request in [large("GET"), large("POST").body("content")] {
        for response in both(&gateway, &request).await {
            assert_eq!(
                response.status,
                200,
                "{kind} at {address}: {}",
                response.text()
            );
            let told = response.json();
            for number in 0..7 {
                let value = number.to_string().repeat(7_000);
                assert_eq!(told[format!("HTTP_X_LONG_{number}")], value);
            }
            assert_eq!(told["QUERY_STRING"], "q".repeat(8_000));
            assert_eq!(told["PATH_INFO"], "/info");
        }
    }
    assert_eq!(runs(root), begun + 4, "{kind} at {address}");
}

#[tokio::test]
async fn more_than_a_record_is_told_to_php_fpm() {
    for setup in [Setup::new(2), Setup::new(2).tcp()] {
        let php = setup.start().await;
        php.write("dump.php", DUMP);
        for kind in ["fpm", "apache-fpm", "generic"] {
            check_told(kind, php.address(), &php.root()).await;
        }
    }
}

#[tokio::test]
async fn more_than_a_record_is_told_to_php_cgi() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("dump.php"), DUMP).unwrap();
    for address in [
        Address::Unix(folder.path().join("php.sock")),
        Address::Tcp(free_port()),
    ] {
        let _php = application::php_cgi(2, &address).await;
        check_told("fpm", &address, folder.path()).await;
    }
}

/// A PHP whose `/dump.php` says what it was told, for an upstream of this `kind`, with these `rules`.
fn dumping(kind: &str, rules: &str) -> GatewaySetup<php_fpm::Setup> {
    Gateway::with_php(1)
        .file("dump.php", DUMP)
        .server(LARGE)
        .upstream(&format!("type = \"{kind}\""))
        .site(rules)
}

/// So many bytes as one field, which HTTP/1 has in lines of at most 16 KiB.
fn field_of(request: Request, name: &str, bytes: usize) -> Request {
    let separators = 2 * (bytes / 15_000);
    let mut left = bytes - separators;
    let mut request = request;
    while left > 0 {
        let length = left.min(15_000 - 2);
        request = request.field(name, &"f".repeat(length));
        left -= length;
    }
    request
}

#[tokio::test]
async fn a_variable_is_as_long_as_a_record_and_no_longer() {
    for kind in ["fpm", "apache-fpm"] {
        let (php, gateway) = dumping(kind, "").start().await;
        // Its own lengths take five bytes, and HTTP_X_LONG eleven.
        for (bytes, status) in [(65_519, 200), (65_520, 431), (200_000, 431)] {
            let get = Request::get("/dump.php");
            let post = Request::post("/dump.php").body("content");
            for request in [get, post.clone(), post.chunked()] {
                let request = field_of(request, "X-Long", bytes);
                for response in both(&gateway, &request).await {
                    assert_eq!(response.status, status, "{kind}, {bytes} bytes");
                    if status == 200 {
                        let told = response.json();
                        assert_eq!(told["HTTP_X_LONG"].as_str().map(str::len), Some(bytes));
                    }
                }
            }
        }
        assert_eq!(runs(&php.root()), 6, "what is refused never reaches PHP");
        let line = gateway
            .log
            .wait_for(|line| line.contains("the head is too long"))
            .await;
        assert!(line.contains("VARIABLE_TOO_LONG"), "{line}");
    }
}

#[tokio::test]
async fn a_target_that_php_cannot_be_told_is_refused() {
    let (php, gateway) = dumping("fpm", "").start().await;
    // As long as a target of HTTP/2 can be.
    for (target, status) in [
        (format!("/dump.php?{}", "q".repeat(65_500)), 200),
        (format!("/dump.php?{}", "q".repeat(65_516)), 414),
        (format!("/dump.php/{}", "i".repeat(65_516)), 414),
    ] {
        let request = Request::get(&target).field("Host", "a");
        let response = http2::send(gateway.address(), &request).await;
        assert_eq!(
            response.status,
            status,
            "{} bytes: {}",
            target.len(),
            response.text()
        );
    }
    assert_eq!(runs(&php.root()), 1);
}

#[tokio::test]
async fn an_application_that_reads_a_stream_is_told_all() {
    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/other_applications");
    let folder = tempfile::tempdir().unwrap();
    let address = Address::Unix(folder.path().join("app.sock"));
    let program = Path::new(FOLDER).join("app.pl");
    let _application = application::perl(&program, 1, &address).await;
    let rule =
        format!("[[site.rule]]\npath = \"/app\"\nfastcgi = {{ script = \"{FOLDER}/app.pl\" }}\n");
    let config = config("generic", &address, Path::new(FOLDER), &rule);
    let gateway = Gateway::start(&config).await;
    for bytes in [65_518, 65_519, 200_000] {
        let request = field_of(Request::get("/app?after"), "X-Field", bytes);
        for response in both(&gateway, &request).await {
            let text = response.text();
            let line = text.lines().find(|line| line.starts_with("HTTP_X_FIELD="));
            let length = line.map(|line| line.len() - "HTTP_X_FIELD=".len());
            assert_eq!((response.status, length), (200, Some(bytes)));
            assert!(text.contains("QUERY_STRING=after"), "{bytes}");
        }
    }
}

/// Rules that make a long variable of a query of 8 000 bytes, or of none; what is said of it, and at which lines.
const LONG_RULES: &str = "[[site.rule]]
path = \"/dump.php/env\"
set_env = { TOO_LONG = \"$query$query$query$query$query$query$query$query$query\" }
[[site.rule]]
path = \"/dump.php/field\"
request_headers = { set = { X-Too-Long = \"$query$query$query$query$query$query$query$query$query\" } }
[[site.rule]]
path = \"/dump.php/ini\"
php_value = { user_agent = \"INI\" }
[[site.rule]]
path = \"/dump.php/ini\"
php_value = { error_prepend_string = \"INI\" }
";

#[tokio::test]
async fn a_rule_that_makes_a_variable_too_long_is_named() {
    let rules = LONG_RULES.replace("INI", &"i".repeat(40_000));
    let (php, gateway) = dumping("fpm", &rules).start().await;
    let config = std::fs::read_to_string(gateway.directory().join("fcgate.toml")).unwrap();
    let line_of = |rule: usize| {
        let lines = config.lines().enumerate();
        let mut rules = lines.filter(|(_, line)| *line == "[[site.rule]]");
        rules.nth(rule).unwrap().0 + 1
    };
    for (path_info, variable, rules) in [
        ("env", "TOO_LONG", vec![0]),
        ("field", "HTTP_X_TOO_LONG", vec![1]),
        ("ini", "PHP_VALUE", vec![2, 3]),
    ] {
        // The log tells one in ten seconds of these, so that no client fills it.
        let target = format!("/dump.php/{path_info}?{}", "q".repeat(7_900));
        let response = gateway.get(&target).await;
        assert_eq!(response.status, 500, "{path_info}");
        let url = format!("http://localhost{target}");
        let file = gateway.directory().join("fcgate.toml");
        let output = run(&["explain", "--json", "-c", file.to_str().unwrap(), &url]);
        let explained: Value = serde_json::from_slice(&output.stdout).unwrap();
        let outcome = &explained["outcome"];
        assert_eq!(outcome["cause"], "VARIABLE_TOO_LONG", "{outcome}");
        let why = outcome["why"].as_str().unwrap();
        assert!(why.contains(&format!("{variable} would take")), "{why}");
        for rule in rules {
            let place = format!("fcgate.toml:{}", line_of(rule));
            assert!(why.contains(&place), "{place}: {why}");
        }
    }
    let line = gateway
        .log
        .wait_for(|line| line.contains("VARIABLE_TOO_LONG"))
        .await;
    assert!(
        line.contains("ERROR") && line.contains("TOO_LONG would take"),
        "{line}"
    );
    assert_eq!(gateway.get("/dump.php").await.status, 200);
    assert_eq!(runs(&php.root()), 1);
}

/// Fails unless a site with these further lines, of which the first is the fourth of the file, is refused for `variable`.
#[track_caller]
fn check_refused(lines: &str, line: usize, variable: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fcgate.toml");
    let text = format!("[[site]]\nroot = \"/srv\"\nphp = \"127.0.0.1:9000\"\n{lines}\n");
    std::fs::write(&file, text).unwrap();
    let output = gateway::check(&file);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{variable}");
    let place = format!("{}:{line}:", file.display());
    assert!(told.contains(&place), "{variable}");
    let message = format!("{variable} would take 6");
    assert!(told.contains(&message), "{variable}");
}

#[test]
fn a_fixed_value_that_is_too_long_is_an_error_of_the_configuration() {
    let long = "v".repeat(65_536);
    for (rule, variable) in [
        ("set_env = { FIXED = \"LONG\" }", "FIXED"),
        ("set_env = { FIXED = \"$path LONG $query\" }", "FIXED"),
        (
            "request_headers = { add = { X-Fixed = \"LONG\" } }",
            "HTTP_X_FIXED",
        ),
        ("php_value = { user_agent = \"LONG\" }", "PHP_VALUE"),
        (
            "php_admin_value = { user_agent = \"LONG\" }",
            "PHP_ADMIN_VALUE",
        ),
    ] {
        let rule = rule.replace("LONG", &long);
        let lines = format!("[[site.rule]]\npath = \"/\"\n{rule}");
        check_refused(&lines, 6, variable);
    }
    let folders =
        (0..2_048).map(|number| format!("\"/p{number:04}/\" = \"/srv/private/{number:09}\""));
    let folders: Vec<_> = folders.collect();
    let lines = format!("send_file = {{ internal = {{ {} }} }}", folders.join(", "));
    check_refused(&lines, 4, "HTTP_X_ACCEL_MAPPING");
}
