//! Conditions over real HTTP, what `check` says of rules, and that no spelling of a URL gets a file past
//! a rule that denies it.

use std::process::Output;

use crate::harness::gateway::check;
use crate::harness::{Files, Gateway, GatewaySetup, Request, Script, ScriptedResponder};

const EACH_CONDITION: &str = r#"
        [[site]]
        root = "{root}"
        rule = [
            { path = "/scheme", scheme = "https", respond = { body = "https" } },
            { path = "/scheme", scheme = "http", respond = { body = "http" } },
            { path = "/remote", remote = "10.0.0.0/8", respond = { body = "far" } },
            { path = "/remote", remote = ["10.0.0.0/8", "127.0.0.0/8"], respond = { body = "near" } },
            { path = "/header", header = { name = "X-A", match = '^(.)\1$' }, respond = { body = "twice" } },
            { path = "/header", not = { header = { name = "X-A" } }, respond = { body = "none" } },
            { path = "/header", respond = { body = "once" } },
            { query = { name = "page", match = '^\d+$' }, respond = { body = "page" } },
            { cookie = { name = "beta", value = "1" }, respond = { body = "beta" } },
            { prefix = "/disk", match = '^/disk(.*)', exists = { file = "$root$1" }, respond = { body = "file" } },
            { prefix = "/disk", match = '^/disk(.*)', exists = { any = "$root$1" }, respond = { body = "folder" } },
            { any = [{ extension = "php" }, { prefix = "/api", method = "POST" }], respond = { body = "any" } },
            { match = '^/(?!admin)(?<word>[a-z]+)/x$', redirect = { to = "/${word}?by=${header:X-A}&of=${cookie:c}" } },
        ]
    "#;

#[tokio::test]
async fn each_condition_over_http() {
    let gateway = Gateway::with(EACH_CONDITION)
        .file("there.txt", "")
        .file("folder/x", "");
    let gateway = gateway.start().await;
    let none = ("", "");
    for (method, target, (name, value), expected) in [
        ("GET", "/scheme", none, "http"),
        ("GET", "/remote", none, "near"),
        ("GET", "/header", none, "none"),
        ("GET", "/header", ("X-A", "bb"), "twice"),
        ("GET", "/header", ("X-A", "bc"), "once"),
        ("GET", "/q?page=1%32", none, "page"),
        ("GET", "/b", ("Cookie", "a=2; beta=1"), "beta"),
        ("GET", "/disk/there.txt", none, "file"),
        ("GET", "/disk/folder", none, "folder"),
        ("GET", "/s.php", none, "any"),
        ("POST", "/api/1", none, "any"),
        ("GET", "/disk/missing", none, "404 Not Found\n"),
        ("GET", "/q?page=x", none, "404 Not Found\n"),
        ("GET", "/api/1", none, "404 Not Found\n"),
        ("GET", "/admin/x", none, "404 Not Found\n"),
    ] {
        let mut request = Request::new(method, target);
        if !name.is_empty() {
            request = request.field(name, value);
        }
        let response = gateway.send(&request).await;
        // The last line of a page is the request's own name.
        assert_eq!(
            response.text().split("request ").next(),
            Some(expected),
            "{method} {target} {name}: {value}"
        );
    }
    templates_take_what_was_sent(&gateway).await;
}

async fn templates_take_what_was_sent(gateway: &Gateway) {
    let request = Request::get("/user/x")
        .field("X-A", "a b&c")
        .field("Cookie", "c=d/e?f");
    let response = gateway.send(&request).await;
    let location = response.header("location");
    assert_eq!(location, Some("/user?by=a%20b%26c&of=d/e%3Ff"));
}

#[tokio::test]
async fn a_pattern_that_takes_too_long_fails_its_request_and_says_which() {
    let config = r#"
        [[site]]
        [[site.rule]]
        match = '^/(a|a)*(?=b)\1$'
        deny = true
        [[site.rule]]
        respond = { body = "passed" }
    "#;
    let gateway = Gateway::start(config).await;
    let response = gateway.get(&format!("/{}", "a".repeat(40))).await;
    assert_eq!(response.status, 500);
    assert!(
        response.text().contains("PATTERN_LIMIT"),
        "{}",
        response.text()
    );
    let line = gateway
        .log
        .wait_for(|line| line.contains("PATTERN_LIMIT"))
        .await;
    let names = line.contains("fcgate.toml:3") && line.contains("(a|a)*(?=b)");
    assert!(names, "{line}");
    assert_eq!(gateway.get("/b").await.text(), "passed");
}

fn checked(config: &str) -> (Output, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fcgate.toml");
    std::fs::write(&file, config).unwrap();
    let output = check(&file);
    let text = [&output.stdout[..], &output.stderr].concat();
    (output, String::from_utf8(text).unwrap())
}

#[test]
fn check_warns_of_rules_that_can_never_match() {
    let (output, text) = checked(
        r#"
        [[site]]
        hosts = "a.example"
        root = "/srv/a"
        rule = [{ host = "b.example", deny = true }]
        [[site]]
        hosts = "c.example"
        root = "/srv/c"
        [[site.rule]]
        prefix = "/x"
        respond = { body = "first" }
        [[site.rule]]
        path = "/x/y"
        deny = true
        [[site.rule]]
        method = []
        deny = true
        [[site.rule]]
        host = "d.example"
        deny = true
        [[site.rule]]
        static_files = { missing = "decline" }
        [[site.rule]]
        deny = true
        "#,
    );
    assert!(output.status.success(), "{text}");
    for part in [
        "this rule can never match: the one at",
        "fcgate.toml:9 answers first",
        "`method` is an empty list",
        "the site has no such host",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The site of a.example answers for all other hosts, b.example among them.
    assert_eq!(text.matches("never match").count(), 2, "{text}");
}

#[test]
fn a_pattern_that_cannot_be_used_is_shown_where_it_is_wrong() {
    let (output, text) = checked("[[site]]\nrule = [{ match = '^/a\\Kb', deny = true }]\n");
    assert!(!output.status.success(), "{text}");
    assert!(
        text.contains("fcgate.toml:2:23") && text.contains("\\K"),
        "{text}"
    );
}

/// A configuration, and whether it denies the file at a path below the root.
type Case = (&'static str, fn(&str) -> bool);

const SCRIPTS: &str = "fastcgi = { upstream = \"app\", missing = \"decline\" }";

fn secret(path: &str) -> bool {
    path.starts_with("/secret/")
}

fn script_of_uploads(path: &str) -> bool {
    path.starts_with("/uploads/") && path.ends_with(".php")
}

fn not_public(path: &str) -> bool {
    !(path == "/a.php" || path.starts_with("/sub/"))
}

const CASES: [Case; 12] = [
    (
        "[[site.rule]]\nprefix = '/secret'\ndeny = true\nSCRIPTS",
        secret,
    ),
    (
        "[[site.rule]]\nprefix = '/secret/'\ndeny = true\nSCRIPTS",
        secret,
    ),
    (
        "[[site.rule]]\nmatch = '^/secret(/|$)'\ndeny = true\nSCRIPTS",
        secret,
    ),
    (
        "[[site.rule]]\nmatch = '^/(?=secret/)'\ndeny = true\nSCRIPTS",
        secret,
    ),
    (
        "[[site.rule]]\npath = ['/secret/c.php', '/secret/d.txt']\ndeny = true\n[[site.rule]]\nprefix = '/secret'\nextension = 'php'\ndeny = true\nSCRIPTS",
        secret,
    ),
    (
        "[[site.rule]]\nprefix = '/uploads'\nextension = 'php'\ndeny = true\nSCRIPTS",
        script_of_uploads,
    ),
    (
        "[[site.rule]]\nnot = { any = [{ path = '/a.php' }, { prefix = '/sub' }, { prefix = '/a.php' }] }\ndeny = true\nSCRIPTS",
        not_public,
    ),
    (
        "[[site.rule]]\nall = [{ prefix = '/secret' }, { not = { header = { name = 'X-Pass' } } }]\ndeny = true\nSCRIPTS",
        secret,
    ),
    (
        "encoded_slash = 'decode'\n[[site.rule]]\nprefix = '/secret'\ndeny = true\nSCRIPTS",
        secret,
    ),
    (
        "encoded_slash = 'keep'\n[[site.rule]]\nprefix = '/secret'\ndeny = true\nSCRIPTS",
        secret,
    ),
    (
        "[[site.rule]]\nprefix = '/secret'\ndeny = true\n[[site.rule]]\nproxy_pass_match = '^/(.*\\.php(/.*)?)$'\nto = 'fcgi://app{root}/$1'",
        secret,
    ),
    (
        "[[site.rule]]\nany = [{ prefix = '/secret' }, { exists = { file = '$root/.lock' } }]\ndeny = true\nSCRIPTS",
        secret,
    ),
];

const FILES: [&str; 8] = [
    "/a.php",
    "/sub/b.php",
    "/secret/c.php",
    "/secret/d.txt",
    "/uploads/e.php",
    "/uploads/f.txt",
    "/.hidden/g.php",
    "/SECRET/h.php",
];

/// Every byte but slashes, percent-encoded.
fn encoded(path: &str) -> String {
    let byte = |byte: u8| match byte {
        b'/' => "/".to_owned(),
        byte => format!("%{byte:02x}"),
    };
    path.bytes().map(byte).collect()
}

/// 25 ways to ask for what might be the same file.
fn spellings(path: &str) -> Vec<String> {
    let all = encoded(path);
    let first = format!("/%{:02X}{}", path.as_bytes()[1], &path[2..]);
    let mut urls = vec![path.to_owned(), all.clone(), first, all.replace('%', "%25")];
    let slashes = [
        "//",
        "/./",
        "/x/../",
        "/%2e/",
        "/x/%2e%2e/",
        "/x/.%2E/",
        "%2f",
        "%2F",
        "%252f",
        "\\",
        "%5c",
        "/%c0%af",
        ";/",
    ];
    urls.extend(slashes.map(|slash| {
        path.replacen('/', slash, 2)
            .replacen(slash, "/", usize::from(!slash.starts_with('/')))
    }));
    let ends = [
        "/", "/more", "%2fmore", "?q=/../x", "%00", "%20", ".", "/../",
    ];
    urls.extend(ends.map(|end| format!("{path}{end}")));
    urls
}

#[tokio::test]
async fn no_spelling_of_a_url_gets_past_a_rule_first_half() {
    for case in &CASES[..6] {
        no_way_past(case).await;
    }
}

#[tokio::test]
async fn no_spelling_of_a_url_gets_past_a_rule_second_half() {
    for case in &CASES[6..] {
        no_way_past(case).await;
    }
}

/// A gateway with these rules, of which SCRIPTS runs what is a script.
fn guarded(rules: &str, responder: &ScriptedResponder) -> GatewaySetup<Files> {
    let address = responder.address();
    let site = format!("[upstream.app]\nservers = \"{address}\"\n[[site]]\nroot = \"{{root}}\"\n");
    let gateway = Gateway::with(&site)
        .section(&rules.replace("SCRIPTS", &format!("[[site.rule]]\n{SCRIPTS}")));
    FILES
        .iter()
        .fold(gateway, |gateway, file| gateway.file(&file[1..], file))
}

/// Asks for all files in all spellings: whatever is answered, by PHP or from a file, is of a file that the
/// rules do not deny.
async fn no_way_past((rules, denied): &Case) {
    let responder = ScriptedResponder::start([Script::answer("\nscript")]).await;
    let gateway = guarded(rules, &responder).start().await;
    let root = gateway.root().display().to_string();
    let (mut refused, mut sent) = (0, 0);
    let urls: Vec<_> = FILES.iter().flat_map(|file| spellings(file)).collect();
    assert_eq!(urls.len(), 200);
    for url in &urls {
        let before = responder.requests().len();
        let response = gateway.get(url).await;
        let requests = responder.requests();
        let ran = requests.get(before);
        assert_eq!(ran.is_some(), response.text() == "script", "{rules} {url}");
        if let Some(request) = ran {
            let file = request.param("SCRIPT_FILENAME");
            let file = file.strip_prefix(&root).unwrap();
            let allowed = FILES.contains(&file) && !denied(file);
            assert!(allowed, "{rules} {url} runs {file}");
            assert_eq!(request.param("SCRIPT_NAME"), file, "{rules} {url}");
            assert_eq!(request.param("REQUEST_URI"), url, "{rules}");
            sent += 1;
        } else if response.status == 200 {
            // Each file has its own path in it.
            let file = response.text();
            let allowed = FILES.contains(&file.as_str()) && !denied(&file);
            assert!(
                allowed && !file.ends_with(".php"),
                "{rules} {url} sends {file}"
            );
        }
        refused += usize::from(response.status == 403);
    }
    assert!(
        refused >= 5 && sent >= 5,
        "{rules}: {refused} refused, {sent} sent"
    );
    // What is denied is denied in its plain spelling.
    for file in FILES.iter().filter(|file| denied(file)) {
        assert_eq!(gateway.get(file).await.status, 403, "{rules} {file}");
    }
}
