//! Forward authentication by a Slim application: which answers grant access, and what the client, PHP and the log get.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::Instant;

use crate::harness::gateway::check;
use crate::harness::php_fpm::Setup;
use crate::harness::{
    Connection, Gateway, GatewaySetup, PATIENCE, PhpFpm, Request, Response, eventually, http2,
};

const APPLICATION: &str = include_str!("forward_auth/index.php");

const KEYS: &str = "path = \"/auth/verify?by=gateway\", copy_response_headers = [\"Remote-User\", \"Seen\", \"Set-Cookie\"], user = \"Remote-User\"";

/// A site of the application, whose first lines are `lines`.
fn setup(workers: usize, lines: &str) -> GatewaySetup<Setup> {
    Gateway::with_php(workers)
        .file("index.php", APPLICATION)
        .site(lines)
}

/// A site that asks about requests below `prefix`.
async fn below(prefix: &str) -> (PhpFpm, Gateway) {
    let lines = format!("[[site.rule]]\nprefix = \"{prefix}\"\nforward_auth = {{ {KEYS} }}");
    setup(2, &lines).start().await
}

/// A request with this login; none if it is empty.
fn by(login: &str, request: Request) -> Request {
    if login.is_empty() {
        return request;
    }
    request.field("Cookie", &format!("login={login}"))
}

async fn get(gateway: &Gateway, login: &str, target: &str) -> Response {
    gateway.send(&by(login, Request::get(target))).await
}

/// The request that the application verified.
fn seen(response: &Response) -> Value {
    let text = response.header("x-seen").unwrap();
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:?}"))
}

/// Logins, the status that each gets, and the content if it is that of the verification.
const LOGINS: [(&str, u16, Option<&str>); 10] = [
    ("alice", 200, None),
    ("anonymous", 200, None),
    ("", 401, Some("Who is there?")),
    ("expired", 302, Some("")),
    ("guest", 403, Some("Not for guests")),
    ("broken", 502, None),
    ("missing", 502, None),
    ("unchanged", 502, None),
    ("large", 502, None),
    ("cut", 502, None),
];

#[tokio::test]
async fn an_answer_grants_refuses_or_is_a_failure() {
    let (_php, gateway) = below("/").await;
    let mut http1 = Connection::open(gateway.address()).await;
    let mut http2 = http2::Connection::open(gateway.address()).await;
    for (login, status, content) in LOGINS {
        let request = by(login, Request::get("/in"));
        for response in [http1.send(&request).await, http2.send(&request).await] {
            assert_eq!((response.status, response.whole), (status, true), "{login}");
            if let Some(content) = content {
                assert_eq!(response.text(), content, "{login}");
                let length = response.header("content-length").unwrap_or("0");
                assert_eq!(length, content.len().to_string(), "{login}");
            }
            assert!(!response.text().contains("forged"), "{login}");
        }
        let head = by(login, Request::new("HEAD", "/in"));
        for response in [http1.send(&head).await, http2.send(&head).await] {
            assert_eq!((response.status, response.body.len()), (status, 0));
        }
    }
    let nobody = get(&gateway, "", "/in").await;
    assert_eq!(nobody.header("www-authenticate"), Some("Session"));
    assert_eq!(nobody.headers("set-cookie"), ["visit=1"]);
    let expired = get(&gateway, "expired", "/in").await;
    assert_eq!(expired.header("location"), Some("/login?to=in"));
    let cookies = ["login=; Max-Age=0", "to=in"];
    assert_eq!(expired.headers("set-cookie"), cookies);
    // The session of a granted request is refreshed.
    let granted = get(&gateway, "alice", "/in").await;
    assert_eq!(granted.headers("set-cookie"), ["refreshed=1"]);
    // A client may request the path too, and is asked about.
    assert_eq!(get(&gateway, "", "/auth/verify").await.status, 401);
    assert_eq!(get(&gateway, "alice", "/auth/verify").await.status, 200);
}

/// Users that PHP gets: REMOTE_USER, AUTH_TYPE and the field.
fn users(response: &Response) -> [Value; 3] {
    let server = &response.json()["server"];
    ["REMOTE_USER", "AUTH_TYPE", "HTTP_REMOTE_USER"].map(|name| server[name].clone())
}

#[tokio::test]
async fn only_the_verification_names_the_user() {
    let lines = format!(
        "pass_fields = [\"Remote_User\"]\n[[site.rule]]\nprefix = \"/in\"\nforward_auth = {{ {KEYS} }}\n"
    );
    let (_php, gateway) = setup(2, &lines).start().await;
    let forged = |login: &str, target: &str, name: &str| {
        by(login, Request::get(target))
            .field(name, "root")
            .field("Authorization", "Basic YTpi")
    };
    for target in ["/in/x", "/index.php/in/x", "//host/in"] {
        for name in ["Remote-User", "Remote_User", "REMOTE-USER"] {
            let response = gateway.send(&forged("alice", target, name)).await;
            let [user, kind, field] = users(&response);
            assert_eq!((kind, field), (Value::Null, "alice".into()), "{target}");
            assert_eq!(user, "alice", "{target} {name}");
            assert_eq!(seen(&response)["HTTP_REMOTE_USER"], Value::Null);
            // The gateway has not checked it.
            let server = &response.json()["server"];
            assert_eq!(server["HTTP_AUTHORIZATION"], "Basic YTpi");
            let response = gateway.send(&forged("anonymous", target, name)).await;
            let nobody = [Value::Null, Value::Null, Value::Null];
            assert_eq!(users(&response), nobody, "{target} {name}");
            let refused = gateway.send(&forged("", target, name)).await;
            assert_eq!(refused.status, 401, "{target} {name}");
        }
    }
}

#[tokio::test]
async fn the_subrequest_tells_about_the_request() {
    let (_php, gateway) = below("/in").await;
    let target = "/in/a%2520b%C3%A9/../c?q=%2F&x=%20";
    let request = by("alice", Request::new("PUT", target))
        .field("Host", "example.org:8080")
        .field("Content-Type", "text/x")
        .field("Range", "bytes=0-1")
        .field("If-None-Match", "\"a\"")
        .field("X-Other", "b")
        .field("X-Forwarded-Uri", "/public")
        .field("X-Forwarded-Method", "GET")
        .field("X-Forwarded-For", "192.0.2.1")
        .field("X_Forwarded_Host", "other.test")
        .body("12345");
    let expected = serde_json::json!({
        "REQUEST_METHOD": "GET", "REQUEST_URI": "/auth/verify?by=gateway", "CONTENT_LENGTH": null, "CONTENT_TYPE": null,
        "HTTP_HOST": "example.org:8080", "HTTP_RANGE": null, "HTTP_IF_NONE_MATCH": null, "HTTP_EXPECT": null,
        "HTTP_REMOTE_USER": null, "HTTP_X_OTHER": "b", "HTTP_X_FORWARDED_METHOD": "PUT", "HTTP_X_FORWARDED_URI": target,
        "HTTP_X_FORWARDED_PROTO": "http", "HTTP_X_FORWARDED_HOST": "example.org:8080", "HTTP_X_FORWARDED_FOR": "127.0.0.1",
    });
    for response in [
        gateway.send(&request).await,
        http2::send(gateway.address(), &request).await,
    ] {
        assert_eq!(seen(&response), expected);
        assert_eq!(response.json()["length"], 5);
    }
    let head = gateway
        .send(&by("alice", Request::new("HEAD", "/in")))
        .await;
    assert_eq!(seen(&head)["HTTP_X_FORWARDED_METHOD"], "HEAD");
}

#[tokio::test]
async fn only_listed_fields_are_copied() {
    let lines = format!(
        "[[site.rule]]\nprefix = \"/in\"\nforward_auth = {{ {KEYS}, copy_request_headers = [\"cookie\"] }}"
    );
    let (_php, gateway) = setup(1, &lines).start().await;
    let request = by("alice", Request::get("/in")).field("X-Other", "b");
    let response = gateway.send(&request).await;
    let seen = seen(&response);
    assert_eq!(seen["HTTP_X_OTHER"], Value::Null);
    assert_eq!(seen["HTTP_X_FORWARDED_URI"], "/in");
    assert_ne!(seen["HTTP_HOST"], Value::Null);
    assert_eq!(response.json()["server"]["HTTP_X_OTHER"], "b");
}

#[tokio::test]
async fn content_is_read_after_admission() {
    let (_php, gateway) = below("/in").await;
    let large = by("alice", Request::post("/in")).body(vec![b'x'; 3 << 20]);
    for request in [large.clone(), large.chunked()] {
        for response in [
            gateway.send(&request).await,
            http2::send(gateway.address(), &request).await,
        ] {
            assert_eq!(response.json()["length"], 3 << 20);
        }
    }
    let head = |login: &str| {
        format!(
            "POST /in HTTP/1.1\r\nHost: a\r\nCookie: login={login}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut admitted = Connection::open(gateway.address()).await;
    admitted.write(head("alice")).await;
    assert_eq!(admitted.interim().await, 100);
    admitted.write("12345").await;
    assert_eq!(admitted.response().await.json()["length"], 5);
    let mut refused = Connection::open(gateway.address()).await;
    refused.write(head("guest")).await;
    assert_eq!(refused.response().await.status, 403);
}

/// The number of verifications.
fn asked(gateway: &Gateway) -> usize {
    std::fs::read(gateway.root().join("asked")).map_or(0, |asked| asked.len())
}

#[tokio::test]
async fn a_request_asks_once_in_all_its_rounds() {
    let lines = format!(
        "[[site.rule]]\nresponse_headers = {{ set = {{ X-Outer = \"1\" }} }}
[[site.rule]]\nprefix = \"/\"\nforward_auth = {{ {KEYS} }}
[[site.rule]]\npath = \"/moved\"\nrewrite = {{ to = \"/in\" }}
[[site.rule]]\npath = \"/gone\"\nrespond = {{ status = 410 }}
[[site.error_page]]\nstatus = [\"410\"]\nwhen = \"always\"\npath = \"/page\"
[[site.error_page]]\nstatus = [\"4xx\", \"5xx\"]\nbody = \"the page\"\n"
    );
    let (_php, gateway) = setup(1, &lines).start().await;
    for (login, target, status) in [
        ("alice", "/in", 200),
        ("alice", "/moved", 200),
        ("", "/moved", 401),
        ("alice", "/index.php/in", 200),
        ("alice", "/gone", 410),
        ("broken", "/in", 502),
    ] {
        let before = asked(&gateway);
        let response = gateway.send(&by(login, Request::post(target))).await;
        assert_eq!(response.status, status, "{login} {target}");
        assert_eq!(asked(&gateway) - before, 1, "{login} {target}");
        assert_eq!(response.header("x-outer"), Some("1"), "{login} {target}");
        match status {
            // The page of the application is the client's, that of a failure the site's.
            401 => assert_eq!(response.text(), "Who is there?"),
            502 => assert_eq!(response.text(), "the page"),
            410 => assert_eq!(seen(&response)["HTTP_X_FORWARDED_METHOD"], "POST"),
            _ => assert_eq!(response.headers("set-cookie"), ["refreshed=1"]),
        }
    }
}

#[tokio::test]
async fn every_part_of_a_rule_must_grant_access() {
    let users = "alice:{SHA}0nofEXcSAJSXFLGvmfBIpBb11vQ=\n";
    let basic = "auth = { basic = { realm = \"a\", users = \"{folder}/users\" } }";
    let lines = format!(
        "[[site.rule]]\nprefix = \"/in\"\nrequire = {{ method = \"GET\" }}\n{basic}\nforward_auth = {{ {KEYS} }}\nset_env = {{ BY_RULE = \"$remote_user\" }}"
    );
    let (_php, gateway) = setup(1, &lines).beside("users", users).start().await;
    for (method, password, login, status, verifications) in [
        ("GET", "right", "bob", 200, 1),
        ("GET", "right", "guest", 403, 1),
        ("GET", "wrong", "bob", 401, 0),
        ("GET", "", "bob", 401, 0),
        ("PUT", "right", "bob", 403, 0),
    ] {
        let mut request = by(login, Request::new(method, "/in"));
        if !password.is_empty() {
            let pair = STANDARD.encode(format!("alice:{password}"));
            request = request.field("Authorization", &format!("Basic {pair}"));
        }
        let before = asked(&gateway);
        let response = gateway.send(&request).await;
        assert_eq!(response.status, status, "{method} {password} {login}");
        assert_eq!(asked(&gateway) - before, verifications, "{password}");
        if status == 200 {
            assert_eq!(users_of(&response), ["bob", "bob", "bob"]);
        }
    }
}

fn users_of(response: &Response) -> [Value; 3] {
    let server = &response.json()["server"];
    ["REMOTE_USER", "HTTP_REMOTE_USER", "BY_RULE"].map(|name| server[name].clone())
}

#[tokio::test]
async fn one_worker_is_enough() {
    let lines = format!("[[site.rule]]\nprefix = \"/\"\nforward_auth = {{ {KEYS} }}");
    let (_php, gateway) = setup(1, &lines).start().await;
    let requests = (0..50).map(|number| {
        let (login, status) = if number % 2 == 0 {
            ("alice", 200)
        } else {
            ("guest", 403)
        };
        let gateway = &gateway;
        async move {
            let request = by(login, Request::post("/in").body("abc"));
            let response = gateway.send(&request).await;
            assert_eq!(response.status, status);
            assert!(status == 403 || response.json()["length"] == 3);
        }
    });
    join_all(requests).await;
    assert_eq!(asked(&gateway), 50);
}

#[tokio::test]
async fn a_slow_or_dead_verification_lets_nobody_in() {
    let lines = format!(
        "[[site.rule]]\nprefix = \"/in\"\nforward_auth = {{ {KEYS} }}
[[site.rule]]\nprefix = \"/dead\"\nforward_auth = {{ path = \"/verify\" }}
[[site.rule]]\nprefix = \"/auth\"\ntimeouts = {{ first_byte = \"1s\" }}
[[site.rule]]\npath = \"/verify\"\nfastcgi = {{ upstream = \"dead\", script = \"{{root}}/index.php\", missing = \"pass\" }}
"
    );
    let (_php, gateway) = setup(3, &lines)
        .server("access_log = { to = \"{folder}/access\", format = \"%u %s %{cause}x %U\" }")
        .section("[upstream.dead]\nservers = \"unix:{folder}/none.sock\"\ntimeouts = { queue = \"1s\" }\n")
        .start()
        .await;
    for (login, target, cause) in [
        ("slow", "/in", "TIMEOUT_FIRST_BYTE"),
        ("alice", "/dead", "UPSTREAM_DOWN"),
    ] {
        let seen = gateway.log.count();
        let response = get(&gateway, login, target).await;
        assert_eq!(response.status, 502, "{target}");
        assert!(response.text().contains("FORWARD_AUTH"), "{target}");
        let own = |line: &str| line.contains(cause);
        gateway.log.wait_after(seen, own).await;
        let line = gateway
            .log
            .wait_after(seen, |line| line.contains("FORWARD_AUTH"));
        let line = line.await;
        assert!(
            line.contains("fcgate.toml:") && line.contains("verify"),
            "{line}"
        );
    }
    assert_eq!(get(&gateway, "alice", "/in").await.status, 200);
    let log = gateway.directory().join("access");
    let expected = "- 502 FORWARD_AUTH /in\n- 502 FORWARD_AUTH /dead\nalice 200 - /in\n";
    eventually("the log", PATIENCE, async || {
        std::fs::read_to_string(&log).is_ok_and(|text| text == expected)
    })
    .await;
}

#[tokio::test]
async fn explain_assumes_that_the_verification_grants_access() {
    let (_php, gateway) = below("/in").await;
    let output = gateway.command(&["explain", "http://localhost/in"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let line =
        "asks /auth/verify?by=gateway by forward_auth (its script is assumed to grant access)";
    assert!(text.contains(line) && text.contains("FastCGI: "), "{text}");
    assert_eq!(text.matches("\nround ").count(), 1, "{text}");
    assert_eq!(asked(&gateway), 0);
}

/// Keys of `forward_auth`, and the error that they are.
const MISTAKES: [(&str, &str); 9] = [
    ("", "`forward_auth` needs `path`"),
    ("path = \"auth\"", "`auth` does not begin with `/`"),
    ("path = \"http://a.test/\"", "does not begin with `/`"),
    ("path = \"/a b\"", "contains `#`, a space"),
    ("path = \"/a#b\"", "contains `#`, a space"),
    ("path = \"/../a\"", "climbs above the root"),
    (
        "path = \"/a\", copy_response_headers = [\"Content-Type\"]",
        "`Content-Type` cannot be copied",
    ),
    (
        "path = \"/a\", copy_request_headers = [\"Range\", \"Connection\"]",
        "`Connection` cannot be copied",
    ),
    (
        "path = \"/a\", user = \"a b\"",
        "is not the name of a header field",
    ),
];

#[tokio::test]
async fn mistakes_are_errors_of_the_configuration() {
    for (keys, expected) in MISTAKES {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fcgate.toml");
        let config = format!(
            "[[site]]\n[[site.rule]]\nforward_auth = {{ {keys} }}\n[[site.rule]]\nrespond = {{ body = \"in\" }}\n"
        );
        std::fs::write(&file, config).unwrap();
        let output = check(&file);
        let text = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
        assert!(!output.status.success(), "{keys}: {text}");
        assert!(
            text.contains(expected) && text.contains("fcgate.toml:"),
            "{keys}: {text}"
        );
    }
}

#[tokio::test]
async fn neither_a_file_nor_another_script_grants_access() {
    let rule = |prefix: &str, path: &str| {
        format!("[[site.rule]]\nprefix = \"{prefix}\"\nforward_auth = {{ path = \"{path}\" }}\n")
    };
    let lines = [
        rule("/typo", "/verfy.php"),
        rule("/info", "/verfy.php/info"),
        rule("/file", "/open.txt"),
        rule("/right", "/yes.php"),
        rule("/rule", "/by-rule"),
        rule("/refused", "/no-rule"),
        "[[site.rule]]\npath = \"/by-rule\"\nrespond = { status = 204 }\n".to_owned(),
        "[[site.rule]]\npath = \"/no-rule\"\nrespond = { status = 403, body = \"by a rule\" }\n"
            .to_owned(),
    ];
    let setup = Gateway::with_php(2)
        .file("index.php", "<?php echo 'in';")
        .file("yes.php", "<?php http_response_code(204);")
        .file("open.txt", "open");
    let (_php, gateway) = setup.site(&lines.concat()).start().await;
    for (target, status) in [
        ("/typo", 502),
        ("/info", 502),
        ("/file", 502),
        ("/right", 200),
        ("/rule", 200),
        ("/refused", 403),
    ] {
        assert_eq!(get(&gateway, "", target).await.status, status, "{target}");
        let url = format!("http://localhost{target}");
        let explained = gateway.command(&["explain", &url]);
        let text = String::from_utf8_lossy(&explained.stdout).into_owned();
        let is_refused = text.contains(&format!("status {status}"));
        assert_eq!(is_refused, status != 200, "{target}: {text}");
    }
}

#[tokio::test]
async fn a_password_for_all_paths_admits_the_subrequest_and_stays_in_the_gateway() {
    let lines = "[[site.rule]]
auth = { basic = { realm = \"a\", users = \"{folder}/users\" } }
forward_auth = { path = \"/verify.php\" }\n";
    let setup = Gateway::with_php(2)
        .file("index.php", "<?php echo 'in';")
        .file(
            "verify.php",
            "<?php http_response_code(isset($_SERVER['HTTP_AUTHORIZATION']) ? 403 : 204);",
        )
        .beside("users", "alice:{SHA}0nofEXcSAJSXFLGvmfBIpBb11vQ=\n");
    let (_php, gateway) = setup.site(lines).start().await;
    let field = format!("Basic {}", STANDARD.encode("alice:right"));
    let request = Request::get("/x").field("Authorization", &field);
    assert_eq!(gateway.send(&request).await.status, 200);
    assert_eq!(gateway.get("/x").await.status, 401);
}

#[tokio::test]
async fn the_total_time_limit_of_the_rule_ends_the_subrequest() {
    let lines = "[[site.rule]]
prefix = \"/in\"
timeouts = { total = \"500ms\" }
forward_auth = { path = \"/verify.php\" }\n";
    let setup = Gateway::with_php(2)
        .file("index.php", "<?php echo 'in';")
        .file("verify.php", "<?php sleep(60);");
    let (_php, gateway) = setup.site(lines).start().await;
    let begun = Instant::now();
    let upload = Request::post("/in")
        .field("Expect", "100-continue")
        .body("content");
    for request in [Request::get("/in"), upload] {
        assert_eq!(gateway.send(&request).await.status, 502);
    }
    assert!(begun.elapsed() < Duration::from_secs(30));
}
