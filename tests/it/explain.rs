//! `fcgate explain` says what `fcgate run` does: the same requests to both.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::harness::gateway::run;
use crate::harness::php_fpm::write_below;
use crate::harness::scripted_responder::{Received, Setup};
use crate::harness::{Gateway, Request, Response, Script, ScriptedResponder};

/// What differs from one request to the next.
const PASSING: [&str; 4] = [
    "REMOTE_PORT",
    "REQUEST_ID",
    "UNIQUE_ID",
    "HTTP_X_REQUEST_ID",
];

const FIELDS: [(&str, &str); 5] = [
    ("X-Gone", "1"),
    ("X-Two", "a"),
    ("X-Two", "b"),
    ("Proxy", "evil"),
    ("Content-Type", "text/x"),
];

const METHODS: [&str; 5] = ["GET", "POST", "HEAD", "PUT", "TRACE"];

const TARGETS: [&str; 31] = [
    "/",
    "/index.php",
    "/index.php/a/b?x=1",
    "/a.php",
    "/a.php/info%20here/",
    "/missing.php",
    "/nothing/at/all?q=%2F",
    "/style.css",
    "/folder",
    "/folder/",
    "/folder?x",
    "/status",
    "/old/page?x=1",
    "/wiki/Main_Page",
    "/wiki/",
    "/deny/this",
    "/app/x",
    "/app/a.php",
    "/beta?y=2",
    "/pp/a.php",
    "/pp/a.php/more",
    "/pp/missing.php",
    "/keep/a.php",
    "/maintenance",
    "/only/inside",
    "/loop",
    "/a%2Fb",
    "/%zz",
    "/../x",
    "/.git/config",
    "/style.css.bak",
];

/// A bit of everything, for an application at `php` and the files below `root`.
fn config(php: &str, root: &Path) -> String {
    let rules = include_str!("explain/rules.toml");
    rules
        .replace("PHP", php)
        .replace("ROOT", root.to_str().unwrap())
}

fn explained(config: &Path, url: &str, method: &str, fields: &[String]) -> Value {
    let file = config.to_str().unwrap();
    let mut arguments = vec!["explain", "--json", "-c", file, "-X", method];
    for field in fields {
        arguments.extend(["-H", field]);
    }
    arguments.push(url);
    let output = run(&arguments);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn without_passing(params: &mut BTreeMap<String, String>) {
    for name in PASSING {
        assert!(params.remove(name).is_some(), "{name} is not there");
    }
}

/// A request to the one and a question to the other; whether PHP was asked.
async fn compare(
    gateway: &Gateway,
    php: &ScriptedResponder,
    host: &str,
    (method, target): (&str, &str),
) -> bool {
    let mut request = Request::new(method, target).field("Host", host);
    let mut given: Vec<String> = FIELDS
        .map(|(name, value)| format!("{name}: {value}"))
        .into();
    if method == "POST" {
        request = request.body("12345");
        given.push("Content-Length: 5".to_owned());
    }
    for (name, value) in FIELDS {
        request = request.field(name, value);
    }
    let before = php.requests().len();
    let answer = gateway.send(&request).await;
    let file = gateway.directory().join("fcgate.toml");
    let story = explained(&file, &format!("http://{host}{target}"), method, &given);
    let called = php.requests().split_off(before);
    let what = format!("{method} {target} on {host}: {story:#}");
    match (called.as_slice(), story["outcome"]["kind"] == "fastcgi") {
        ([], false) => same_answer(&story["outcome"], &answer, &what),
        ([called], true) => same_params(&story["outcome"], called, &what),
        _ => panic!("{} calls for {what}", called.len()),
    }
    !called.is_empty()
}

fn same_answer(outcome: &Value, answer: &Response, what: &str) {
    assert_eq!(outcome["status"], answer.status, "{what}");
    for name in ["location", "content-type", "x-answer", "etag"] {
        // The text of a failure is made when it is sent.
        if outcome["kind"] == "failure" && name == "content-type" {
            continue;
        }
        let fields = outcome["fields"].as_array().unwrap().iter();
        let mut told = fields.filter(|field| field[0] == name);
        let told = told.next().map(|field| field[1].as_str().unwrap());
        assert_eq!(told, answer.header(name), "{name}: {what}");
    }
}

fn same_params(outcome: &Value, called: &Received, what: &str) {
    let told = outcome["params"].as_object().unwrap().iter();
    let told = told.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
    let mut told: BTreeMap<_, _> = told.collect();
    let mut sent = called.params.clone();
    without_passing(&mut told);
    without_passing(&mut sent);
    assert_eq!(told, sent, "{what}");
}

#[tokio::test]
async fn a_hundred_requests_are_explained_as_they_are_served() {
    let php = Setup::new([Script::answer("Content-Type: text/plain\r\n\r\nok")]);
    let php = php.start().await;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("public");
    for name in [
        "index.php",
        "a.php",
        "style.css",
        "folder/index.html",
        "keep/a.php",
        "maintenance.flag",
    ] {
        write_below(&root, name, "content");
    }
    let config = config(&php.address().to_string(), &root);
    let gateway = Gateway::start_in(directory, &config).await;
    let mut calls = 0;
    for target in TARGETS {
        for method in METHODS {
            let called = compare(&gateway, &php, "localhost:8080", (method, target)).await;
            calls += u32::from(called);
        }
    }
    for host in ["files.test", "closed.test", "other.test"] {
        for target in ["/", "/a.php", "/style.css", "/status"] {
            compare(&gateway, &php, host, ("GET", target)).await;
        }
    }
    assert!((40..90).contains(&calls), "{calls} of 155 asked PHP");
}

#[tokio::test]
async fn each_rule_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("public");
    write_below(&root, "index.php", "");
    let file = directory.path().join("fcgate.toml");
    std::fs::write(&file, config("unix:/nowhere.sock", &root)).unwrap();
    let story = explained(&file, "http://a.test/deny/x?y", "PUT", &[]);
    assert_eq!(story["site"], "default");
    let round = &story["rounds"][0];
    assert_eq!(
        (&round["path"], &round["query"]),
        (&"/deny/x".into(), &"y".into())
    );
    let rule = |number: usize| &round["rules"][number - 1];
    assert_eq!(rule(2)["why"], "path /status does not hold");
    assert_eq!(rule(5)["why"], "method PUT holds, and is under `not`");
    assert!(
        rule(5)["at"].as_str().unwrap().ends_with("fcgate.toml:24"),
        "{}",
        rule(5)
    );
    assert_eq!(rule(11)["why"], "it is for internal rounds only");
    let looked = &rule(10)["lookups"][0];
    assert_eq!(looked["found"], "no");
    assert_eq!(looked["path"], root.join("deny/x.flag").to_str().unwrap());
    assert_eq!(
        story["outcome"]["script"],
        root.join("index.php").to_str().unwrap()
    );

    let text = run(&[
        "explain",
        "-c",
        file.to_str().unwrap(),
        "http://a.test/beta",
    ]);
    let text = String::from_utf8(text.stdout).unwrap();
    for part in [
        "matches: any of (header x-beta = 1; path /beta), not path /a.php",
        "round 2: path /a.php, query beta=1 (rewritten from /beta)",
        "REDIRECT_URL=/beta",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let bad = run(&["explain", "-c", file.to_str().unwrap(), "ftp://a.test/"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(
        String::from_utf8(bad.stderr)
            .unwrap()
            .contains("`ftp` is not a scheme")
    );
}

#[test]
fn a_call_says_what_is_kept_for_its_class() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fcgate.toml");
    let config = "[[site]]\nhosts = [\"a.test\"]\nroot = \"/srv\"\nreserve = \"10 %\"\n\
        [[site.rule]]\nprefix = \"/checkout\"\nreserve = \"20 %\"\n\
        [[site.rule]]\nfastcgi = { upstream = \"unix:/none\", script = \"/srv/x.php\", missing = \"pass\" }\n\
        [[site]]\nhosts = [\"b.test\"]\nroot = \"/srv\"\n\
        [[site.rule]]\nfastcgi = { upstream = \"unix:/none\", script = \"/srv/x.php\", missing = \"pass\" }\n";
    std::fs::write(&file, config).unwrap();
    for (url, reserve) in [
        (
            "http://a.test/",
            Value::from("10 % for requests of the site"),
        ),
        (
            "http://a.test/checkout",
            Value::from("20 % for requests of rule 1"),
        ),
        ("http://b.test/checkout", Value::Null),
    ] {
        let explained = explained(&file, url, "GET", &[]);
        assert_eq!(explained["outcome"]["reserve"], reserve, "{url}");
    }
}
