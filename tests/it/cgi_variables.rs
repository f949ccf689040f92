//! What PHP finds in `$_SERVER`.

use serde_json::Value;

use crate::harness::{Gateway, PhpFpm, Request, Script, ScriptedResponder};

const SERVER: &str = "<?php header('Content-Type: application/json'); echo json_encode($_SERVER);";

/// What PHP-FPM itself may add or reckon anew, but for PATH_TRANSLATED, which it gives a meaning of its own.
const MAPPING: [&str; 8] = [
    "SCRIPT_NAME",
    "SCRIPT_FILENAME",
    "PATH_INFO",
    "PHP_SELF",
    "DOCUMENT_ROOT",
    "REQUEST_URI",
    "QUERY_STRING",
    "REDIRECT_STATUS",
];

/// A site of the responder with further `lines`.
fn site(responder: &ScriptedResponder, lines: &str) -> String {
    let site = responder.site("");
    site.replace("[[site]]\n", &format!("[[site]]\n{lines}\n"))
}

async fn server(gateway: &Gateway, host: &str, target: &str) -> Value {
    let request = Request::get(target).field("Host", host);
    gateway.send(&request).await.json()
}

/// A site for each type of upstream, with the type as its host.
async fn of_all_types(php: &PhpFpm) -> Gateway {
    let mut config = String::new();
    for kind in ["fpm", "apache-fpm", "generic"] {
        config += &format!(
            "[upstream.{kind}]\nservers = \"{address}\"\ntype = \"{kind}\"\n[[site]]\nhosts = \"{kind}\"\nroot = \"{root}\"\nphp = \"{kind}\"\n",
            address = php.address(),
            root = php.root().display()
        );
    }
    Gateway::start(&config).await
}

#[tokio::test]
async fn every_type_of_server_sees_the_same_script() {
    let php = PhpFpm::start(1).await;
    for script in ["index.php", "info.php", "dir/index.php", "sp \u{e4}/x.php"] {
        php.write(script, SERVER);
    }
    let gateway = of_all_types(&php).await;
    for (target, name, path_info) in [
        ("/info.php", "/info.php", ""),
        ("/info.php/?q=%20", "/info.php", "/"),
        ("/info.php/a%20b/c?x=1", "/info.php", "/a b/c"),
        ("/info.php/a%25b+c", "/info.php", "/a%b+c"),
        ("//info.php//a/./b/../c", "/info.php", "/a/c"),
        ("/info.php/x.php/y", "/info.php", "/x.php/y"),
        ("/sp%20%C3%A4/x.php/p%C3%A4", "/sp \u{e4}/x.php", "/p\u{e4}"),
        ("/dir/?a", "/dir/index.php", ""),
        ("/none/at/all", "/index.php", ""),
    ] {
        let plain = server(&gateway, "fpm", target).await;
        assert_eq!(plain["SCRIPT_NAME"], name, "{target}");
        assert_eq!(plain["PATH_INFO"].as_str().unwrap_or_default(), path_info);
        assert_eq!(plain["REQUEST_URI"], target);
        for kind in ["apache-fpm", "generic"] {
            let other = server(&gateway, kind, target).await;
            for name in MAPPING {
                assert_eq!(other[name], plain[name], "{name} of {target} to {kind}");
            }
        }
    }
}

#[tokio::test]
async fn bytes_that_end_lines_or_paths_elsewhere_do_not_move_the_split() {
    let php = PhpFpm::start(1).await;
    php.write("info.php", SERVER);
    let gateway = of_all_types(&php).await;
    let status = async |host: &str, target: &str| {
        let request = Request::get(target).field("Host", host);
        gateway.send(&request).await.status
    };
    for kind in ["fpm", "apache-fpm", "generic"] {
        for target in ["/info.php/%0a", "/info.php/a%00b", "/info.php%00/a"] {
            assert_eq!(status(kind, target).await, 400, "{target} to {kind}");
        }
    }
    let seen = server(&gateway, "fpm", "/info.php/a%3Fb?c").await;
    assert_eq!(
        (&seen["PATH_INFO"], &seen["QUERY_STRING"]),
        (&"/a?b".into(), &"c".into())
    );
    assert_eq!(status("apache-fpm", "/info.php/a%3Fb").await, 403);
}

#[tokio::test]
async fn apaches_proxy_pass_match_means_the_same_with_and_without_captures() {
    let php = PhpFpm::start(1).await;
    php.write("info.php", SERVER);
    let root = php.root().display().to_string();
    let mut config = format!("[upstream.php]\nservers = \"{}\"\n", php.address());
    for (host, pattern, target) in [
        ("with", "^/(.*\\.php(/.*)?)$", "fcgi://php{root}/$1"),
        ("without", "^/.*\\.php(/.*)?$", "fcgi://php{root}/"),
    ] {
        let target = target.replace("{root}", &root);
        config += &format!(
            "[[site]]\nhosts = \"{host}\"\nroot = \"{root}\"\n[[site.rule]]\nproxy_pass_match = '{pattern}'\nto = \"{target}\"\n"
        );
    }
    let gateway = Gateway::start(&config).await;
    for host in ["with", "without"] {
        let seen = server(&gateway, host, "/info.php/a%20b?q=1").await;
        for (name, value) in [
            ("SCRIPT_FILENAME", format!("{root}/info.php").as_str()),
            ("SCRIPT_NAME", "/info.php"),
            ("PATH_INFO", "/a b"),
            ("QUERY_STRING", "q=1"),
            ("DOCUMENT_ROOT", &root),
        ] {
            assert_eq!(seen[name], value, "{name} {host}");
        }
        let missing = Request::get("/missing.php").field("Host", host);
        assert_eq!(gateway.send(&missing).await.status, 404);
    }
}

#[tokio::test]
async fn fields_with_underscores_are_told_of_and_pass_by_name_only() {
    let responder = ScriptedResponder::start([Script::answer("\n")]).await;
    let gateway = Gateway::start(&site(&responder, "pass_fields = [\"X_Foo\", \"X_Both\"]")).await;
    let request = [
        "X_Foo",
        "X_Bar",
        "X.Baz",
        "Content_Length",
        "X-Both",
        "X_Both",
    ]
    .iter()
    .fold(Request::get("/"), |request, name| request.field(name, name));
    assert_eq!(gateway.send(&request).await.status, 200);
    let received = responder.requests().remove(0);
    assert_eq!(received.param("HTTP_X_FOO"), "X_Foo");
    assert_eq!(received.param("HTTP_X_BOTH"), "X-Both");
    for name in [
        "HTTP_X_BAR",
        "HTTP_X.BAZ",
        "HTTP_X_BAZ",
        "HTTP_CONTENT_LENGTH",
    ] {
        assert!(!received.params.contains_key(name), "{name}");
    }
    for name in ["x_bar", "x.baz"] {
        gateway
            .log
            .wait_for(|line| line.contains("not passed to PHP") && line.contains(name))
            .await;
    }
}

#[tokio::test]
async fn no_client_sets_what_the_server_says() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    let names = [
        "PHP_VALUE",
        "PHP-Admin-Value",
        "Remote-User",
        "HTTPS",
        "Script-Filename",
        "SSL-Client-Verify",
        "Redirect-Status",
        "Document-Root",
        "Path-Info",
    ];
    let request = names.iter().fold(Request::get("/"), |request, name| {
        request.field(name, "evil")
    });
    gateway.send(&request).await;
    let received = responder.requests().remove(0);
    for (name, value) in &received.params {
        assert!(
            name.starts_with("HTTP_") || value != "evil",
            "{name} is the client's"
        );
    }
    // Nor does anything come from the gateway's own environment.
    for name in [
        "PATH",
        "HOME",
        "USER",
        "CARGO_MANIFEST_DIR",
        "PWD",
        "HTTP_PROXY",
    ] {
        assert!(!received.params.contains_key(name), "{name} leaks");
    }
}

#[tokio::test]
async fn the_name_is_the_clients_or_the_configured_one() {
    let responder = ScriptedResponder::start([Script::answer("\n")]).await;
    let named = |more: &str| {
        let hosts = "hosts = [\"Canon.example\", \"b.example\"]";
        let set_env = "set_env = { PORT = \"$port\" }";
        let log = "[server]\naccess_log = { format = \"%V %p %{canonical}p %{local}p %{Host}i\" }";
        let site = site(&responder, &format!("{hosts}\n{more}"));
        format!("{log}\n{site}{set_env}\n")
    };
    let own = Gateway::start(&named(
        "canonical_name = \"Canon.example:8443\"\nauthorization = false",
    ))
    .await;
    let followed = Gateway::start(&named("")).await;
    let request = Request::get("/")
        .field("Host", "B.example:81")
        .field("Authorization", "Basic eA==");
    own.send(&request).await;
    followed.send(&request).await;
    let [canonical, client] = &responder.requests()[..] else {
        panic!("not two requests")
    };
    assert_eq!(canonical.param("SERVER_NAME"), "canon.example");
    for name in ["SERVER_PORT", "PORT"] {
        assert_eq!((canonical.param(name), client.param(name)), ("8443", "81"));
    }
    for (gateway, server) in [
        (&own, "canon.example 8443 8443"),
        (&followed, "B.example 81 81"),
    ] {
        let line = gateway
            .access
            .wait_for(|line| line.ends_with("B.example:81"))
            .await;
        let local = gateway.address().port();
        assert_eq!(line, format!("{server} {local} B.example:81"));
    }
    assert_eq!(canonical.param("HTTP_HOST"), "B.example:81");
    assert!(!canonical.params.contains_key("HTTP_AUTHORIZATION"));
    assert_eq!(client.param("SERVER_NAME"), "b.example");
    assert_eq!(client.param("HTTP_AUTHORIZATION"), "Basic eA==");
    assert_eq!(client.param("CONTEXT_PREFIX"), "");
    assert_eq!(
        client.param("CONTEXT_DOCUMENT_ROOT"),
        client.param("DOCUMENT_ROOT")
    );
}
