//! The error log: its styles, its levels for each target, and its file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::gateway::check;
use crate::harness::php_fpm::write_below;
use crate::harness::process::find_program;
use crate::harness::{
    Address, Files, Gateway, GatewaySetup, PATIENCE, Request, Script, ScriptedResponder,
    eventually, http1, require,
};

const HELLO: &str = "[[site]]\nhosts = [\"a.example\"]\nrule = [{ path = \"/\", respond = { body = \"hello\" } }]\n";

#[tokio::test]
async fn each_line_of_json_is_an_object() {
    let script = Script::new()
        .read_request()
        .stderr("PHP message: PHP Warning:  a \"b\" in /srv/app/index.php on line 1")
        .stdout("no head\n\n")
        .end_request();
    let (_responder, gateway) = Gateway::with_app([script])
        .server("log = { level = \"debug\", format = \"json\" }\ntrusted_proxies = [\"127.0.0.1\"]")
        .start()
        .await;
    let request = Request::get("/bad").field("X-Forwarded-For", "192.0.2.7");
    assert_eq!(gateway.send(&request).await.status, 502);
    let object = async |part: &str| -> Value {
        let line = gateway.log.wait_for(|line| line.contains(part)).await;
        serde_json::from_str(&line).unwrap()
    };
    let failed = object("UPSTREAM_HEAD").await;
    let warned = object("PHP Warning").await;
    for (object, target, level) in [(&failed, "request", "error"), (&warned, "php", "warn")] {
        assert_eq!(
            (&object["target"], &object["level"]),
            (&target.into(), &level.into())
        );
        for (name, expected) in [
            ("client", "192.0.2.7"),
            ("site", "default"),
            ("upstream", "app"),
            ("script", "/index.php"),
        ] {
            assert_eq!(object[name], expected, "{name} in {object}");
        }
        assert_eq!(object["request_id"], failed["request_id"]);
        assert!(object["time"].as_str().unwrap().ends_with('Z'));
    }
    assert!(warned["message"].as_str().unwrap().contains("a \"b\" in"));
    for line in gateway.log.all() {
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
    }
}

#[tokio::test]
async fn a_target_has_a_level_of_its_own() {
    let config = |levels: &str| format!("[server]\nlog = {{ level = \"warn\"{levels} }}\n{HELLO}");
    let gateway = Gateway::with(&config(
        ", levels = { request = \"debug\", config = \"info\", core = \"info\" }",
    ));
    // A name that is no target.
    let gateway = gateway.spawn().await;
    let told = gateway
        .log
        .wait_for(|line| line.contains("not a target"))
        .await;
    assert!(told.contains("`core` is not a target of the log"), "{told}");

    let start =
        config(", levels = { request = \"debug\", config = \"info\", connection = \"info\" }");
    let gateway = Gateway::with(&start).start().await;
    gateway.get("/missing").await;
    let told = gateway.log.wait_for(|line| line.contains("/missing")).await;
    assert!(
        told.contains("DEBUG") && told.contains("cause=\"NOT_FOUND\""),
        "{told}"
    );
    // A reload changes the levels.
    let changed = config(", levels = { config = \"info\", connection = \"info\" }");
    assert!(gateway.reload(&changed).await.contains("reloaded"));
    gateway.get("/missing/2").await;
    gateway
        .access
        .wait_for(|line| line.contains("/missing/2"))
        .await;
    assert!(gateway.reload(&start).await.contains("reloaded"));
    gateway.get("/missing/3").await;
    gateway
        .log
        .wait_for(|line| line.contains("/missing/3"))
        .await;
    assert!(
        !gateway
            .log
            .all()
            .iter()
            .any(|line| line.contains("/missing/2"))
    );
}

#[tokio::test]
async fn events_go_to_a_file() {
    let config =
        |to: &str| format!("[server]\nlog = {{ to = \"{to}\", level = \"debug\" }}\n{HELLO}");
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let to = |name: &str| file(name).display().to_string();
    let contains = async |name: &str, text: &str| {
        eventually(text, PATIENCE, async || {
            let content = fs::read_to_string(file(name)).unwrap_or_default();
            require(content, |content| content.contains(text))
        })
        .await
    };
    let gateway = Gateway::with(&config("stderr")).start().await;
    let reload = |to: &str| {
        gateway.write(&config(to));
        gateway.signal(Signal::SIGHUP);
    };
    reload(&to("one.log"));
    contains("one.log", "reloaded").await;
    gateway.get("/missing/1").await;
    let content = contains("one.log", "/missing/1").await;
    assert!(!content.contains('\u{1b}'), "{content}");
    reload(&to("two.log"));
    contains("two.log", "reloaded").await;
    gateway.get("/missing/2").await;
    contains("two.log", "/missing/2").await;
    assert!(
        !gateway
            .log
            .all()
            .iter()
            .any(|line| line.contains("/missing"))
    );
    // A file that cannot be written says so on stderr, the last place left.
    reload("/dev/full");
    let lost = |line: &str| line.contains("cannot write /dev/full: No space left");
    gateway.log.wait_for(lost).await;
}

/// A gateway behind a unix socket, whose events are in the file `error.log` in the style of Apache.
struct Silent {
    gateway: Gateway,
    address: Address,
}

impl Silent {
    async fn start(setup: GatewaySetup<Files>, server: &str) -> Self {
        let log = "log = { to = \"{folder}/error.log\", format = \"apache\" }";
        let gateway = setup
            .server(&format!("{log}\ntrusted_proxies = [\"unix\"]\n{server}"))
            .section("[[listen]]\naddress = \"unix:{folder}/http.sock\"")
            .spawn()
            .await;
        let address = Address::Unix(gateway.directory().join("http.sock"));
        eventually("the first connection", PATIENCE, async || {
            address.try_connect().await.map(drop)
        })
        .await;
        Self { gateway, address }
    }

    async fn status(&self, request: &Request) -> u16 {
        http1::send(&self.address, request).await.status
    }

    fn file(&self, name: &str) -> PathBuf {
        self.gateway.directory().join(name)
    }

    /// Waits until the error log has this text; returns the log.
    async fn wait_for(&self, text: &str) -> String {
        eventually(text, PATIENCE, async || {
            let content = fs::read_to_string(self.file("error.log")).unwrap_or_default();
            require(content, |content| content.contains(text))
        })
        .await
    }
}

#[tokio::test]
async fn the_file_of_events_is_made_again_when_it_was_renamed() {
    let silent = Silent::start(Gateway::with(HELLO), "").await;
    silent.wait_for("listening").await;
    fs::rename(silent.file("error.log"), silent.file("error.log.1")).unwrap();
    eventually("the new file", PATIENCE, async || {
        silent.file("error.log").exists()
    })
    .await;
    let request = by("192.0.2.1", "/missing.php", "");
    assert_eq!(silent.status(&request).await, 404);
    silent.wait_for("'/missing.php' not found").await;
    let old = fs::read_to_string(silent.file("error.log.1")).unwrap();
    assert!(!old.contains("missing"), "{old}");
}

#[tokio::test]
async fn a_file_of_events_that_cannot_be_opened_again_is_told_on_stderr_too() {
    let silent = Silent::start(Gateway::with(HELLO), "").await;
    silent.wait_for("listening").await;
    fs::rename(silent.file("error.log"), silent.file("error.log.1")).unwrap();
    fs::create_dir(silent.file("error.log")).unwrap();
    silent.gateway.signal(Signal::SIGUSR1);
    let kept = |line: &str| line.contains("the old file stays in use");
    silent.gateway.log.wait_for(kept).await;
}

/// The user `alice`, whose password is `right`.
const USERS: &str = "alice:{SHA}0nofEXcSAJSXFLGvmfBIpBb11vQ=\n";

/// Returns how many lines of a log a filter of fail2ban matches, unedited.
fn matched(filter: &str, log: &Path) -> usize {
    let program = find_program(&["fail2ban-regex"]);
    let output = Command::new(program)
        .arg(log)
        .arg(format!("/etc/fail2ban/filter.d/{filter}.conf"))
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let line = told.lines().find(|line| line.starts_with("Lines: "));
    let words: Vec<_> = line
        .unwrap_or_else(|| panic!("{told}"))
        .split(", ")
        .collect();
    words[2].split(' ').next().unwrap().parse().unwrap()
}

fn by(client: &str, target: &str, credentials: &str) -> Request {
    let request = Request::get(target).field("X-Forwarded-For", client);
    let encoded = format!("Basic {}", STANDARD.encode(credentials));
    if credentials.is_empty() {
        request
    } else {
        request.field("Authorization", &encoded)
    }
}

/// A filter, and the requests that it is about: target, credentials and status.
type Expected = (&'static str, &'static [(&'static str, &'static str, u16)]);

const EXPECTED: [Expected; 4] = [
    (
        "apache-auth",
        &[
            ("/in", "alice:wrong", 401),
            ("/in", "mallory:right", 401),
            ("/in", "bob:right", 401),
            ("/denied", "", 403),
        ],
    ),
    (
        "apache-noscript",
        &[
            ("/wp-login.php", "", 404),
            ("/a.php/b", "", 404),
            ("/cgi-bin/test.pl", "", 404),
        ],
    ),
    ("apache-overflows", &[("/%zz", "", 400), ("/LONG", "", 414)]),
    (
        "",
        &[
            ("/", "", 200),
            ("/in", "", 401),
            ("/in", "alice:right", 200),
            ("/missing.png", "", 404),
        ],
    ),
];

/// Debian's filters as they come: each finds exactly the requests that it is about.
#[tokio::test]
async fn fail2ban_finds_what_it_looks_for() {
    let rules = "[[site.rule]]\nprefix = \"/in\"\nauth = { basic = { realm = \"r\", users = \"{folder}/users\" } }\n\
        require = { user = [\"alice\"] }\nrespond = { body = \"in\" }\n\
        [[site.rule]]\nprefix = \"/denied\"\ndeny = true\n\
        [[site.rule]]\npath = \"/\"\nrespond = { body = \"hello\" }\n";
    let setup = Gateway::with(&format!("[[site]]\n{rules}"))
        .beside("users", USERS.to_owned() + &USERS.replace("alice", "bob"));
    let server = "limits = { path = \"1KiB\" }";
    let silent = Silent::start(setup, server).await;
    let log = silent.file("error.log");
    let mut client = 0;
    for (_, requests) in EXPECTED {
        for (target, credentials, status) in requests {
            client += 1;
            let target = target.replace("LONG", &"x".repeat(2000));
            let request = by(&format!("192.0.2.{client}"), &target, credentials);
            assert_eq!(silent.status(&request).await, *status, "{target}");
        }
    }
    silent.wait_for("/missing.png").await;
    for (filter, requests) in EXPECTED.iter().filter(|(filter, _)| !filter.is_empty()) {
        let content = fs::read_to_string(&log).unwrap();
        assert_eq!(matched(filter, &log), requests.len(), "{filter}\n{content}");
    }
    // The clients are those that were counted above.
    let content = fs::read_to_string(&log).unwrap();
    let told: Vec<_> = content
        .lines()
        .filter(|line| line.contains("] [client "))
        .collect();
    for (line, part) in told.iter().zip([
        "[auth_basic:error] [pid ",
        "[client 192.0.2.2] AH01618: user mallory not found: /in",
        "[client 192.0.2.3] AH01631: user bob: authorization failure for \"/in\":",
        "[client 192.0.2.4] AH01630: client denied by server configuration: /denied",
    ]) {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[tokio::test]
async fn fail2ban_finds_bots_in_the_access_log() {
    let silent = Silent::start(Gateway::with(HELLO), "access_log = \"{folder}/access.log\"").await;
    assert_eq!(silent.status(&by("192.0.2.1", "/", "")).await, 200);
    let agent = by("192.0.2.99", "/", "").field("User-Agent", "EmailSiphon");
    assert_eq!(silent.status(&agent).await, 200);
    let access = silent.file("access.log");
    eventually("the line of the bot", PATIENCE, async || {
        fs::read_to_string(&access).unwrap().contains("EmailSiphon")
    })
    .await;
    assert_eq!(matched("apache-badbots", &access), 1);
}

/// Nothing that a client sends ends a line, or makes one of its own.
#[tokio::test]
async fn a_line_of_apaches_cannot_be_forged() {
    let rule = "[[site.rule]]\nauth = { basic = { realm = \"r\", users = \"{folder}/users\" } }\nrespond = { body = \"in\" }\n";
    let setup = Gateway::with(&format!("[[site]]\n{rule}")).beside("users", USERS);
    let silent = Silent::start(setup, "").await;
    let user = "x\" [client 198.51.100.1] AH01618 user y not found";
    let request = by("192.0.2.1", "/a", &format!("{user}:pass"));
    assert_eq!(silent.status(&request).await, 401);
    let content = silent.wait_for("AH01618").await;
    let lines: Vec<_> = content
        .lines()
        .filter(|line| line.contains("AH01618"))
        .collect();
    assert_eq!(lines.len(), 1, "{content}");
    assert!(
        lines[0].contains(
            "[client 192.0.2.1] AH01618: user x\\x22\\x20[client\\x20198.51.100.1]\\x20AH01618"
        ),
        "{content}"
    );
}

/// Scripts whose answers begin late: `/slow`, and the event stream `/stream`.
fn slow_scripts() -> Script {
    Script::by(|received| {
        let script = Script::new().read_request().pause();
        match received.param("REQUEST_URI") {
            "/stream" => script.stdout("Content-Type: text/event-stream\n\ndata: 1\n\n"),
            _ => script.stdout("\nslow"),
        }
        .end_request()
    })
}

#[tokio::test]
async fn a_slow_script_is_told_with_its_parts() {
    let responder = ScriptedResponder::start([slow_scripts()]).await;
    let gateway = Gateway::with(&responder.site(""))
        .server("slow = \"1ms\"\nlog = { format = \"json\" }")
        .start()
        .await;
    for target in ["/stream", "/slow"] {
        assert_eq!(gateway.get(target).await.status, 200);
    }
    let line = gateway
        .log
        .wait_for(|line| line.contains("slow script"))
        .await;
    let told: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&told["level"], &told["target"]),
        (&"warn".into(), &"php".into())
    );
    for (name, expected) in [
        ("upstream", "app"),
        ("client", "127.0.0.1"),
        ("site", "default"),
    ] {
        assert_eq!(told[name], expected, "{line}");
    }
    for name in ["queue_ms", "connect_ms", "first_byte_ms", "total_ms"] {
        assert!(
            told[name].as_f64().is_some_and(|time| time >= 0.0),
            "{name}: {line}"
        );
    }
    assert!(told["first_byte_ms"].as_f64() >= Some(1.0), "{line}");
    assert_eq!(told["waiting"], 0);
    let id = responder
        .requests()
        .last()
        .unwrap()
        .param("REQUEST_ID")
        .to_owned();
    assert_eq!(told["request_id"], id);
    assert_eq!(
        gateway
            .log
            .all()
            .iter()
            .filter(|line| line.contains("slow script"))
            .count(),
        1
    );
}

#[test]
fn faults_are_shown_where_they_stand() {
    let directory = tempfile::tempdir().unwrap();
    for (line, at, expected) in [
        (
            "log = { levels = { upstraem = \"debug\" } }",
            "2:20",
            "`upstraem` is not a target of the log",
        ),
        (
            "log = { levels = { upstream = \"loud\" } }",
            "2:31",
            "`loud` is not a level",
        ),
        (
            "log = { to = \"error.log\" }",
            "2:14",
            "not an absolute path",
        ),
        (
            "log = \"noisy\"",
            "2:7",
            "expected \"error\", \"warn\", \"info\" or \"debug\"",
        ),
        (
            "log = { to = \"/tmp/x\" }\naccess_log = \"/tmp/x\"",
            "2:14",
            "/tmp/x is the file of an access log",
        ),
    ] {
        write_below(
            directory.path(),
            "fcgate.toml",
            format!("[server]\n{line}\n{HELLO}"),
        );
        let output = check(&directory.path().join("fcgate.toml"));
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        for part in [&format!("fcgate.toml:{at}"), expected] {
            assert!(told.contains(part), "{part:?} is not in:\n{told}");
        }
    }
}
