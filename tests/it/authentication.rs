//! Basic authentication, groups and `require`: who comes in, what PHP and the log are told, and what a file that changes
//! does.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::harness::gateway::check;
use crate::harness::php_fpm::Setup;
use crate::harness::{
    Files, Gateway, GatewaySetup, PATIENCE, Request, Response, eventually, http2,
};

/// `{SHA}` of `right`: cheap, as only its verdict matters here.
const HASH: &str = "{SHA}0nofEXcSAJSXFLGvmfBIpBb11vQ=";

const BASIC: &str = "realm = \"Staging\", users = \"{folder}/users\"";

/// A site whose rules of `lines` are followed by one that answers.
fn guarded(lines: &str) -> GatewaySetup<Files> {
    let users: Vec<_> = ["alice", "bob", "carol"]
        .map(|user| format!("{user}:{HASH}\n"))
        .into();
    Gateway::with(&format!(
        "[[site]]\n{lines}\n[[site.rule]]\nresponse_headers = {{ set = {{ X-User = \"$remote_user\" }} }}\nrespond = {{ body = \"in\" }}\n"
    ))
    .beside("users", users.concat())
    .beside("groups", "staff: alice bob\n")
}

/// A request with these credentials, `user:password`; none if they are empty.
fn by(credentials: &str, target: &str) -> Request {
    let request = Request::get(target);
    if credentials.is_empty() {
        return request;
    }
    request.field(
        "Authorization",
        &format!("Basic {}", STANDARD.encode(credentials)),
    )
}

async fn status(gateway: &Gateway, credentials: &str, target: &str) -> u16 {
    gateway.send(&by(credentials, target)).await.status
}

#[tokio::test]
async fn only_users_with_the_right_password_come_in() {
    let gateway = guarded(&format!(
        "[[site.rule]]\nprefix = \"/in\"\nauth = {{ basic = {{ {BASIC} }} }}"
    ))
    .start()
    .await;
    for (credentials, expected) in [
        ("", 401),
        ("alice:right", 200),
        ("bob:right", 200),
        ("alice:wrong", 401),
        ("alice:", 401),
        ("Alice:right", 401),
        ("mallory:right", 401),
        (":right", 401),
        ("alice", 401),
    ] {
        let response = gateway.send(&by(credentials, "/in/x")).await;
        assert_eq!(response.status, expected, "{credentials}");
        let challenge = (expected == 401).then_some("Basic realm=\"Staging\", charset=\"UTF-8\"");
        assert_eq!(
            response.header("www-authenticate"),
            challenge,
            "{credentials}"
        );
        assert_eq!(status(&gateway, credentials, "/out").await, 200);
    }
    for field in [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Bearer YWxpY2U6cmlnaHQ=",
        "basic  YWxpY2U6cmlnaHQ=",
    ] {
        let request = Request::get("/in/").field("Authorization", field);
        let expected = if field.starts_with("basic") { 200 } else { 401 };
        assert_eq!(gateway.send(&request).await.status, expected, "{field}");
    }
    let twice = by("alice:right", "/in/").field("Authorization", "Basic YTpi");
    assert_eq!(gateway.send(&twice).await.status, 401);
    let shown = gateway.send(&by("bob:right", "/in/")).await;
    assert_eq!(shown.header("x-user"), Some("bob"));
    let over_http2 = http2::send(gateway.address(), &by("bob:right", "/in/")).await;
    assert_eq!(
        (over_http2.status, over_http2.header("x-user")),
        (200, Some("bob"))
    );
}

/// The result of one policy for requests without credentials, with right ones of alice (staff) and of carol, and with wrong
/// ones, from within and from outside of the required network.
async fn outcomes(policy: &str, method: &str) -> Vec<u16> {
    let mut found = Vec::new();
    for network in ["127.0.0.0/8", "192.0.2.0/24"] {
        let policy = policy.replace("NET", network);
        let gateway = guarded(&format!("[[site.rule]]\n{policy}")).start().await;
        for credentials in ["", "alice:right", "carol:right", "alice:wrong"] {
            let request = Request {
                method: method.to_owned(),
                ..by(credentials, "/")
            };
            found.push(gateway.send(&request).await.status);
        }
    }
    found
}

/// A policy, and its results from within and from outside of the network.
type Case = (String, [u16; 4], [u16; 4]);

const NET: &str = "require = { remote = [\"NET\"] }";

fn all(policy: &str, keys: &str) -> String {
    format!("{policy}\nauth = {{ basic = {{ {BASIC}{keys} }} }}")
}

fn any(policy: &str, keys: &str) -> String {
    format!("{policy}\nauth = {{ satisfy = \"any\", basic = {{ {BASIC}{keys} }} }}")
}

/// Requirements alone, and users alone.
fn single_policies() -> Vec<Case> {
    let groups = ", groups = \"{folder}/groups\"";
    let staff = format!("{groups}, require = [\"group staff\", \"user nobody\"]");
    let forbids =
        format!("{groups}, require = [\"group staff\"], send_forbidden_on_failure = true");
    let alternatives = "require = { any = [{ method = \"POST\" }, { remote = [\"NET\"] }] }";
    vec![
        (NET.into(), [200; 4], [403; 4]),
        (
            "require = { not = { remote = [\"NET\"] } }".into(),
            [403; 4],
            [200; 4],
        ),
        (alternatives.into(), [200; 4], [403; 4]),
        (all("", ""), [401, 200, 200, 401], [401, 200, 200, 401]),
        (all("", &staff), [401, 200, 401, 401], [401, 200, 401, 401]),
        (
            all("", &forbids),
            [401, 200, 403, 401],
            [401, 200, 403, 401],
        ),
        (any(NET, &staff), [200; 4], [401, 200, 401, 401]),
    ]
}

/// Both, one of the two, and one tree, as RequireAny and RequireAll.
fn joint_policies() -> Vec<Case> {
    let tree = "require = { any = [{ remote = [\"NET\"] }, { user = [\"alice\"] }] }";
    let exception = "require = { not = { user = [\"alice\"] } }";
    let both = "require = { all = [{ remote = [\"NET\"] }, { method = \"POST\" }] }";
    vec![
        (all(NET, ""), [401, 200, 200, 401], [403; 4]),
        (any(NET, ""), [200; 4], [401, 200, 200, 401]),
        (all(tree, ""), [200; 4], [401, 200, 401, 401]),
        (
            all(exception, ""),
            [401, 401, 200, 401],
            [401, 401, 200, 401],
        ),
        (any(both, ""), [401, 200, 200, 401], [401, 200, 200, 401]),
    ]
}

#[tokio::test]
async fn the_access_policy_is_that_of_apache() {
    for (policy, inside, outside) in single_policies().into_iter().chain(joint_policies()) {
        let found = outcomes(&policy, "GET").await;
        assert_eq!(found, [inside, outside].concat(), "{policy}");
    }
    // A condition of the rule restricts it to methods, as Apache's Limit does.
    let limited = all("method = [\"POST\", \"PUT\"]", "");
    let free = [200; 8].to_vec();
    assert_eq!(outcomes(&limited, "GET").await, free);
    assert_eq!(outcomes(&limited, "DELETE").await, free);
    assert_eq!(
        outcomes(&limited, "PUT").await,
        [401, 200, 200, 401].repeat(2)
    );
}

#[tokio::test]
async fn a_guard_holds_for_every_reading_of_a_path() {
    let lines = format!(
        "[[site.rule]]\nprefix = \"/admin\"\nauth = {{ basic = {{ {BASIC} }} }}
[[site.rule]]\nprefix = \"/\"\nrequire = {{ not = {{ prefix = \"/secret\" }} }}
[[site.rule]]\nprefix = \"/moved\"\nrewrite = {{ to = \"/admin/x\" }}\n"
    );
    let gateway = guarded(&lines).start().await;
    for (target, expected) in [
        ("/admin", 401),
        ("/admin/x", 401),
        ("/administrator", 200),
        ("/admin/../x", 401),
        ("/index.php/admin/x", 401),
        ("//host/admin/x", 401),
        ("/moved/here", 401),
        ("/secret", 403),
        ("/index.php/secret", 403),
        ("/secret/../x", 403),
        ("/x", 200),
    ] {
        assert_eq!(status(&gateway, "", target).await, expected, "{target}");
    }
    assert_eq!(status(&gateway, "alice:right", "/moved/here").await, 200);
    assert_eq!(status(&gateway, "alice:right", "/admin/../x").await, 200);
}

/// A site of PHP that shows its variables, with these keys and an authentication of all paths.
async fn php(keys: &str) -> (crate::harness::PhpFpm, Gateway) {
    const DUMP: &str =
        "<?php header('Content-Type: application/json'); echo json_encode($_SERVER);";
    let rule = format!(
        "{keys}\n[[site.rule]]\nprefix = \"/in\"\nset_env = {{ BY_RULE = \"$remote_user\" }}\nauth = {{ basic = {{ {BASIC} }} }}\n"
    );
    Gateway::before(Setup::new(2))
        .file("index.php", DUMP)
        .beside("users", format!("alice:{HASH}\n"))
        .site(&rule)
        .start()
        .await
}

fn variables(response: &Response) -> [Value; 5] {
    let server = response.json();
    [
        "REMOTE_USER",
        "AUTH_TYPE",
        "PHP_AUTH_USER",
        "HTTP_AUTHORIZATION",
        "BY_RULE",
    ]
    .map(|name| server[name].clone())
}

#[tokio::test]
async fn php_gets_the_user_and_not_the_password() {
    let field = format!("Basic {}", STANDARD.encode("alice:right"));
    for (keys, passes) in [
        ("", false),
        ("authorization = true", true),
        ("authorization = false", false),
    ] {
        let (_php, gateway) = php(keys).await;
        let response = gateway
            .send(&by("alice:right", "/in/").field("Remote-User", "root"))
            .await;
        let passed = |value: &str| if passes { value.into() } else { Value::Null };
        let expected = [
            "alice".into(),
            "Basic".into(),
            passed("alice"),
            passed(&field),
            "alice".into(),
        ];
        assert_eq!(variables(&response), expected, "{keys}");
        // What no rule has checked is for the application to check.
        let response = gateway.send(&by("mallory:x", "/elsewhere")).await;
        let is_null = keys.ends_with("false");
        let [user, kind, name, ..] = variables(&response);
        assert_eq!([user, kind], [Value::Null, Value::Null], "{keys}");
        assert_eq!(name.is_null(), is_null, "{keys}");
    }
}

#[tokio::test]
async fn the_password_reaches_no_script_in_a_roundabout_way() {
    const DUMP: &str =
        "<?php header('Content-Type: application/json'); echo json_encode($_SERVER);";
    let policy = format!("auth = {{ satisfy = \"any\", basic = {{ {BASIC} }} }}");
    let lines = format!(
        "[[site.rule]]\nprefix = \"/in\"\nauth = {{ basic = {{ {BASIC}, require = [\"user alice\"] }} }}
[[site.rule]]\nprefix = \"/near\"\nrequire = {{ remote = [\"127.0.0.0/8\"] }}\n{policy}
[[site.rule]]\npath = \"/in/denied\"\nrespond = {{ status = 403 }}
[[site.error_page]]\nstatus = [\"401\", \"403\"]\nwhen = \"always\"\npath = \"/page\"\n"
    );
    let (_php, gateway) = Gateway::before(Setup::new(2))
        .file("index.php", DUMP)
        .beside("users", format!("alice:{HASH}\nbob:{HASH}\n"))
        .site(&lines)
        .start()
        .await;
    let alice = || Value::from("alice");
    for (credentials, target, status, user) in [
        ("alice:right", "/in", 200, alice()),
        // Other readings of the path, for an application that takes it so.
        ("alice:right", "/index.php/in", 200, alice()),
        ("alice:right", "//x/in/y", 200, alice()),
        // Access without a user, by the network.
        ("bob:wrong", "/near", 200, Value::Null),
        // Error pages: of a user who is not admitted, of a wrong password, and of an admitted one.
        ("bob:right", "/in", 401, Value::Null),
        ("alice:wrong", "/in", 401, Value::Null),
        ("alice:right", "/in/denied", 403, Value::Null),
    ] {
        let response = gateway.send(&by(credentials, target)).await;
        assert_eq!(response.status, status, "{credentials} {target}");
        let [found, _, name, field, _] = variables(&response);
        assert_eq!(
            [name, field],
            [Value::Null, Value::Null],
            "{credentials} {target}"
        );
        assert!(
            status != 200 || found == user,
            "{credentials} {target}: {found}"
        );
    }
}

#[tokio::test]
async fn rules_on_a_user_hold_for_every_reading_of_a_path() {
    let lines = format!(
        "[[site.rule]]\nprefix = \"/area\"\nauth = {{ basic = {{ {BASIC} }} }}
[[site.rule]]\nprefix = \"/area/boss\"\nuser = \"bob\"\ndeny = true\n"
    );
    let gateway = guarded(&lines).start().await;
    for target in [
        "/area/boss",
        "/index.php/area/boss",
        "//x/area/boss",
        "/?/area/boss",
        "/area/boss/../x",
    ] {
        assert_eq!(status(&gateway, "bob:right", target).await, 403, "{target}");
        assert_eq!(
            status(&gateway, "alice:right", target).await,
            200,
            "{target}"
        );
    }
}

#[tokio::test]
async fn the_log_names_checked_users_and_no_others() {
    let server = "access_log = { to = \"{folder}/access\", format = \"%u %s %{cause}x %U\" }";
    let gateway = guarded(&format!("[[site.rule]]\nprefix = \"/in\"\nauth = {{ basic = {{ {BASIC}, require = [\"user alice\"] }} }}"))
        .server(server)
        .start()
        .await;
    for credentials in ["", "alice:right", "bob:right", "alice:wrong"] {
        gateway.send(&by(credentials, "/in")).await;
    }
    let path = gateway.directory().join("access");
    let expected = "- 401 NO_CREDENTIALS /in\nalice 200 - /in\n- 401 USER_NOT_ADMITTED /in\n- 401 WRONG_PASSWORD /in\n";
    eventually("the log", PATIENCE, async || {
        std::fs::read_to_string(&path).is_ok_and(|text| text == expected)
    })
    .await;
}

#[tokio::test]
async fn a_changed_file_counts_at_once_and_a_missing_one_lets_nobody_in() {
    let keys = format!("{BASIC}, attempts = {{ per_minute = 0 }}");
    let gateway = guarded(&format!("[[site.rule]]\nauth = {{ basic = {{ {keys} }} }}"))
        .start()
        .await;
    let users = gateway.directory().join("users");
    assert_eq!(status(&gateway, "alice:right", "/").await, 200);
    // Remembered, and gone from the file.
    std::fs::write(&users, format!("dave:{HASH}\n")).unwrap();
    eventually("the new user", PATIENCE, async || {
        status(&gateway, "dave:right", "/").await == 200
    })
    .await;
    assert_eq!(status(&gateway, "alice:right", "/").await, 401);
    std::fs::remove_file(&users).unwrap();
    eventually("the missing file", PATIENCE, async || {
        status(&gateway, "dave:right", "/").await == 500
    })
    .await;
    assert_eq!(status(&gateway, "", "/").await, 401);
    std::fs::write(&users, format!("alice:{HASH}\n")).unwrap();
    eventually("the file again", PATIENCE, async || {
        status(&gateway, "alice:right", "/").await == 200
    })
    .await;
}

#[tokio::test]
async fn wrong_passwords_are_limited_and_right_ones_are_not() {
    let keys = format!("{BASIC}, attempts = {{ per_minute = 3 }}");
    let gateway = guarded(&format!("[[site.rule]]\nauth = {{ basic = {{ {keys} }} }}"))
        .start()
        .await;
    assert_eq!(status(&gateway, "alice:right", "/").await, 200);
    for number in 0..3 {
        assert_eq!(status(&gateway, &format!("bob:{number}"), "/").await, 401);
    }
    let refused = gateway.send(&by("bob:right", "/")).await;
    assert_eq!(refused.status, 429);
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    // A remembered pair is never refused, and nothing was wrong without a password.
    assert_eq!(status(&gateway, "alice:right", "/").await, 200);
    assert_eq!(status(&gateway, "", "/").await, 401);
    // Behind a proxy that is not trusted, users are counted apart.
    let forwarded = |credentials: &str| by(credentials, "/").field("X-Forwarded-For", "192.0.2.1");
    assert_eq!(gateway.send(&forwarded("carol:right")).await.status, 200);
    for _ in 0..3 {
        assert_eq!(gateway.send(&forwarded("dave:wrong")).await.status, 401);
    }
    assert_eq!(gateway.send(&forwarded("dave:wrong")).await.status, 429);
    assert_eq!(gateway.send(&forwarded("bob:right")).await.status, 200);
}

/// Lines of a rule, and the error that they are.
const MISTAKES: [(&str, &str); 17] = [
    ("auth = {}", "`auth` has no scheme"),
    (
        "auth = { basic = { users = \"{folder}/users\" } }",
        "`basic` needs `realm`",
    ),
    (
        "auth = { basic = { realm = \"a\" } }",
        "`basic` needs `users`",
    ),
    (
        "auth = { basic = { realm = \"a\", users = \"{folder}/none\" } }",
        "cannot be read",
    ),
    (
        "auth = { basic = { realm = \"a\", users = \"users\" } }",
        "absolute",
    ),
    (
        "auth = { basic = { realm = \"a\", users = \"{folder}/plain\" } }",
        "usable",
    ),
    (
        "auth = { satisfy = \"any\", basic = { realm = \"a\", users = \"{folder}/users\" } }",
        "would admit everybody",
    ),
    (
        "auth = { basic = { realm = \"a\", users = \"{folder}/users\", require = [\"users a\"] } }",
        "`users a` is not a requirement",
    ),
    ("require = { user = [\"alice\"] }", "the rule has no `auth`"),
    (
        "require = { remote = \"private\", not = {} }",
        "`not` has no conditions",
    ),
    (
        "auth = { basic = { realm = \"a\", users = \"{folder}/none.txt\", groups = \"{folder}/none\" } }",
        "`htpasswd -c -B FILE USER` creates it",
    ),
    ("require = {}", "or a table in it, has no conditions"),
    (
        "require = { any = [{}] }",
        "or a table in it, has no conditions",
    ),
    (
        "require = { any = [{ valid_user = false }] }",
        "`valid_user = false` is no condition",
    ),
    (
        "auth = { basic = { realm = \"a\", users = \"{folder}/users\", require = [] } }",
        "by which no user is admitted",
    ),
    (
        "auth = { basic = { realm = \"a\", users = \"{folder}/users\", require = [\"group a\"] } }",
        "there is no file of groups",
    ),
    (
        "auth = { basic = { realm = \"a\", users = \"{folder}/users\", groups = \"{folder}/none\" } }",
        "write lines of `group: user user`",
    ),
];

#[tokio::test]
async fn mistakes_are_errors_of_the_configuration() {
    for (lines, expected) in MISTAKES {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("users"), format!("alice:{HASH}\n")).unwrap();
        std::fs::write(folder.path().join("plain"), "alice:secret\n").unwrap();
        let lines = lines.replace("{folder}", folder.path().to_str().unwrap());
        let file = folder.path().join("fcgate.toml");
        let config = format!(
            "[[site]]\n[[site.rule]]\n{lines}\n[[site.rule]]\nrespond = {{ body = \"in\" }}\n"
        );
        std::fs::write(&file, config).unwrap();
        let output = check(&file);
        let text = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
        assert!(
            !output.status.success() && text.contains(expected),
            "{lines}: {text}"
        );
        assert!(text.contains("fcgate.toml:"), "{lines}: {text}");
    }
}
