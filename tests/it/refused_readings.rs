//! No request gets past a refusal of a path to an application that routes by another reading of the target than the
//! gateway's own path.

use crate::harness::gateway::run;
use crate::harness::{Connection, Gateway, GatewaySetup, PhpFpm, Request, php_fpm};

/// Routes as front controllers do, in every way that is known, and says to which of them the request is one for
/// `/admin` or below it.
const FRONT: &str = r#"<?php
$uri = $_SERVER['REQUEST_URI'];
$raw = explode('?', $uri, 2)[0];
$script = $_SERVER['SCRIPT_NAME'];
$without = strncmp($raw, "$script/", strlen($script) + 1) === 0 ? substr($raw, strlen($script)) : $raw;
$paths = [
    'raw' => $raw,                                             // FastRoute by hand
    'decoded' => rawurldecode($raw),                           // Slim, Laravel
    'symfony' => rawurldecode($without),                       // getPathInfo: without the script in front
    'trimmed' => '/' . trim(rawurldecode($without), '/'),      // Laravel: `//admin/` is admin
    'parsed' => rawurldecode((string) parse_url($uri, PHP_URL_PATH)),
    'path_info' => $_SERVER['PATH_INFO'] ?? '',
    'stripped' => strncmp($raw, $script, strlen($script)) === 0       // Symfony, Yii
        ? '/' . ltrim(substr(rawurldecode($raw), strlen($script)), '/') : $raw,
    'query' => in_array($raw, ['/', $script], true)                   // CodeIgniter
        ? explode('?', $_SERVER['QUERY_STRING'])[0] : $raw,
    'php_self' => substr($_SERVER['PHP_SELF'], strlen($script)),
];
$ways = [];
foreach ($paths as $way => $path) {
    if (preg_match('#^/admin(/|$)#', $path)) { $ways[] = $way; }
}
echo 'ran ', implode(' ', $ways);
"#;

/// Ways to say `/admin/x`, or what some application takes for it. The last of each ten are harmless.
const TARGETS: [&str; 45] = [
    "/admin",
    "/admin/",
    "/admin/x",
    "//admin/x",
    "///admin/x",
    "/./admin/x",
    "/x/../admin/x",
    "/%61dmin/x",
    "/admin/../x",
    "/admin/%2e%2e/x",
    "/admin/.%2e/x",
    "/admin/x/../../y",
    "/admin/./../x",
    "/admin//../x",
    "/%2e/admin/x",
    "/x/%2e%2e/admin/x",
    "/index.php/admin",
    "/index.php/admin/x",
    "/index.php//admin/x",
    "/index.php/./admin/x",
    "/index.php/x/../admin/x",
    "/index.php/admin/../x",
    "/index.php/%61dmin/x",
    "/index%2ephp/admin/x",
    "//index.php/admin/x",
    "/./index.php/admin/x",
    "/x/../index.php/admin/x",
    "//host/admin/x",
    "//host:80/admin/x",
    "//user@host/admin/x",
    "//host/admin/../x",
    "//host/%61dmin",
    "//host/index.php/admin/x",
    "//host//admin/x",
    "/index.php/index.php/admin/x",
    "/admin/index.php/../../x",
    "/index.phpadmin",
    "/index.phpadmin/x",
    "/index.php%61dmin/x",
    "/?/admin/x",
    "/index.php?/admin",
    "/admin%3fx",
    "/admin/x?y=/../..",
    "/admin;x",
    "/ADMIN/x",
];

/// How often an application would be asked for `/admin`.
async fn reached(gateway: &Gateway) -> Vec<String> {
    let mut reached = Vec::new();
    for target in TARGETS {
        // The client of the harness writes a target as it is.
        let response = gateway.send(&Request::get(target)).await;
        if response.text().starts_with("ran ") && response.text() != "ran " {
            reached.push(format!("{target}: {}", response.text()));
        }
    }
    reached
}

/// Front controllers of a site and of a folder, and these rules.
fn fronted(rules: &str) -> GatewaySetup<php_fpm::Setup> {
    Gateway::with_php(2)
        .files(&["index.php", "app/index.php"], FRONT)
        .site(rules)
}

#[tokio::test]
async fn without_a_refusal_most_spellings_reach_the_application() {
    let (_php, gateway) = fronted("").start().await;
    let reached = reached(&gateway).await;
    assert!(reached.len() > 25, "{reached:#?}");
}

#[tokio::test]
async fn no_spelling_of_a_target_gets_past_a_refusal() {
    for rules in [
        "rule = [{ prefix = \"/admin\", deny = true }]\n",
        "rule = [{ prefix = \"/admin\", deny = { status = 404 } }]\n",
        "rule = [{ prefix = \"/admin\", respond = { status = 403, body = \"no\" } }]\n",
        "rule = [{ any = [{ prefix = \"/admin/\" }, { path = \"/admin\" }], deny = true }]\n",
        "rule = [{ prefix = \"/admin\", not = { remote = \"192.0.2.0/24\" }, deny = true }]\n",
        "preset = \"slim\"\nrule = [{ prefix = \"/admin\", deny = true }]\n",
        "preset = \"laravel\"\nrule = [{ prefix = \"/admin\", deny = true }]\n",
        "preset = \"symfony\"\nrule = [{ prefix = \"/admin\", deny = true }]\n",
        "encoded_slash = \"keep\"\nrule = [{ prefix = \"/admin\", deny = true }]\n",
        "encoded_slash = \"decode\"\nrule = [{ prefix = \"/admin\", deny = true }]\n",
    ] {
        let (_php, gateway) = fronted(rules).start().await;
        assert_eq!(reached(&gateway).await, Vec::<String>::new(), "{rules}");
        for (target, expected) in [
            ("/", "ran "),
            ("/x", "ran "),
            ("/index.php/x", "ran "),
            ("/administrator", "ran "),
            ("//x", "ran "),
            ("/x/../y", "ran "),
            ("/%61bc", "ran "),
        ] {
            let response = gateway.get(target).await;
            assert_eq!(response.text(), expected, "{target}: {rules}");
        }
    }
}

#[tokio::test]
async fn encoded_slashes_get_past_no_refusal_either() {
    let rules = "encoded_slash = \"keep\"\nrule = [{ prefix = \"/admin\", deny = true }]\n";
    let (_php, gateway) = fronted(rules).start().await;
    for target in [
        "/admin%2Fx",
        "/%2Fadmin",
        "/x%2F..%2Fadmin",
        "/index.php%2Fadmin",
        "/index.php/%2Fadmin/x",
        "/admin%2F..%2Fx",
    ] {
        let response = gateway.get(target).await;
        assert_eq!(response.status, 403, "{target}: {}", response.text());
    }
}

/// An allow-list is a refusal of all else.
#[tokio::test]
async fn what_an_exception_allows_is_one_thing_in_all_readings() {
    let rules = "rule = [{ not = { prefix = \"/public\" }, deny = true }]\n";
    let (_php, gateway) = fronted(rules).start().await;
    for (target, status) in [
        ("/public/x", 200),
        ("//public/x", 403),
        ("/public/x/../y", 200),
        ("/admin/../public/x", 403),
        ("/public/../admin/x", 403),
        ("//public/admin/x", 403),
        ("/index.php/public/x", 403),
    ] {
        assert_eq!(gateway.get(target).await.status, status, "{target}");
    }
}

/// A mount is an application of its own: what it calls /admin is below it.
#[tokio::test]
async fn a_mount_has_paths_of_its_own() {
    let php = PhpFpm::start(1).await;
    php.write("index.php", FRONT);
    php.write("app/index.php", FRONT);
    let root = php.root().display().to_string();
    let mount = format!("mount = [{{ path = \"/my\", root = \"{root}/app\" }}]\n");
    let rules =
        "rule = [{ prefix = \"/my/admin\", deny = true }, { prefix = \"/secret\", deny = true }]\n";
    let gateway = Gateway::start(&(php.site() + rules + &mount)).await;
    for (target, status) in [
        ("/my/admin/x", 403),
        ("/my/index.php/admin/x", 403),
        ("/my/admin/../x", 403),
        ("/my/index.php/secret", 200),
        ("/index.php/secret", 403),
        ("/index.php/my/admin", 403),
        ("/my/index.php/x", 200),
    ] {
        assert_eq!(gateway.get(target).await.status, status, "{target}");
    }
}

/// The script itself, with whatever follows it.
#[tokio::test]
async fn a_script_that_is_refused_is_refused_with_path_info() {
    let php = PhpFpm::start(1).await;
    php.write("login.php", FRONT);
    php.write("index.php", FRONT);
    let rules = "rule = [{ path = \"/login.php\", deny = true }]\n";
    let gateway = Gateway::start(&(php.site() + rules)).await;
    for (target, status) in [
        ("/login.php", 403),
        ("/login.php/", 403),
        ("/login.php/x", 403),
        ("//host/login.php", 403),
        ("/login.php/../index.php", 403),
        ("/index.php/x", 200),
    ] {
        assert_eq!(gateway.get(target).await.status, status, "{target}");
    }
}

#[tokio::test]
async fn http2_and_pipelined_requests_are_read_alike() {
    let (_php, gateway) = fronted("rule = [{ prefix = \"/admin\", deny = true }]\n")
        .start()
        .await;
    let mut connection = Connection::open(gateway.address()).await;
    for target in ["/index.php/admin/x", "/admin/../x", "//host/admin"] {
        let request = Request::get(target);
        assert_eq!(connection.send(&request).await.status, 403, "{target}");
        let response = crate::harness::http2::send(gateway.address(), &request).await;
        assert_eq!(response.status, 403, "{target}");
    }
}

#[tokio::test]
async fn explain_says_which_reading_is_refused() {
    let (_php, gateway) = fronted("rule = [{ prefix = \"/admin\", deny = true }]\n")
        .start()
        .await;
    let config = gateway.directory().join("fcgate.toml");
    let config = config.to_string_lossy();
    for (target, reading) in [
        ("/index.php/admin/x", "/admin/x"),
        ("/admin/../x", "/admin/../x"),
        ("//host/admin", "/admin"),
    ] {
        let url = format!("http://localhost{target}");
        let output = run(&["explain", "-c", &config, &url]);
        let story = String::from_utf8_lossy(&output.stdout).into_owned();
        let expected = format!("it holds for {reading}, which an application may read");
        assert!(
            story.contains(&expected) && story.contains("403"),
            "{target}: {story}"
        );
    }
}
