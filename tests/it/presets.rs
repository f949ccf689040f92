//! Applications by one word, and applications below a path.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Gateway, PhpFpm, Request};

const DUMP: &str = "<?php header('Content-Type: application/json'); header('X-Script: ' . $_SERVER['SCRIPT_NAME']);
echo json_encode(array_filter($_SERVER, 'is_string'));";

/// What a target comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// This script ran.
    Script(&'static str),
    /// The file was sent; for good where it says so.
    File { immutable: bool },
    /// 404.
    Nothing,
    /// Somewhere else.
    Elsewhere,
}

const FILE: Seen = Seen::File { immutable: false };
const IMMUTABLE: Seen = Seen::File { immutable: true };
const INDEX: Seen = Seen::Script("/index.php");

type Case = (&'static str, &'static [(&'static str, Seen)]);

const CASES: [Case; 8] = [
    (
        "slim",
        &[
            ("/", INDEX),
            ("/hello/World", INDEX),
            ("/other.php", Seen::Nothing),
            ("/index.php/route", INDEX),
            ("/style.css", FILE),
        ],
    ),
    (
        "laravel",
        &[
            ("/users/1", INDEX),
            ("/storage/evil.php", Seen::Nothing),
            ("/storage/evil.php/x", Seen::Nothing),
            ("/storage/evil.PHP", Seen::Nothing),
            ("/build/assets/app-4ed993c7.js", IMMUTABLE),
            ("/style.css", FILE),
        ],
    ),
    (
        "symfony",
        &[
            ("/blog/post", INDEX),
            ("/other.php", Seen::Nothing),
            ("/build/app.3f2a9c1e.css", IMMUTABLE),
            ("/assets/app-Jx8Kq2_.js", IMMUTABLE),
            ("/style.css", FILE),
        ],
    ),
    (
        "wordpress",
        &[
            ("/2026/11/hello-world/", INDEX),
            ("/wp-login.php", Seen::Script("/wp-login.php")),
            ("/wp-admin/", Seen::Script("/wp-admin/index.php")),
            ("/wp-content/uploads/2026/evil.php", Seen::Nothing),
            ("/wp-content/uploads/2026/evil.php/x.jpg", Seen::Nothing),
            ("/wp-content/uploads/2026/evil%2ephp", Seen::Nothing),
            ("/wp-content/uploads/evil.phtml", Seen::Nothing),
            ("/wp-content/uploads/photo.jpg", FILE),
            ("/wp-content/debug.log", Seen::Nothing),
            ("/wp-config.php", Seen::Nothing),
            ("/wp-includes/evil.php", Seen::Nothing),
        ],
    ),
    (
        "drupal",
        &[
            ("/node/1", INDEX),
            ("/core/install.php", Seen::Script("/core/install.php")),
            ("/core/evil.php", Seen::Nothing),
            ("/sites/default/files/evil.php", Seen::Nothing),
            ("/sites/default/private/secret.txt", Seen::Nothing),
            ("/vendor/evil.php", Seen::Nothing),
            ("/composer.json", Seen::Nothing),
            ("/style.css", FILE),
        ],
    ),
    (
        "mediawiki",
        &[
            ("/wiki/Main_Page", INDEX),
            ("/load.php", Seen::Script("/load.php")),
            ("/images/a/evil.php", Seen::Nothing),
            ("/images/deleted/x.jpg", Seen::Nothing),
            ("/includes/evil.php", Seen::Nothing),
            ("/LocalSettings.php", Seen::Nothing),
            ("/style.css", FILE),
        ],
    ),
    (
        "nextcloud",
        &[
            ("/apps/files/", INDEX),
            ("/remote.php/dav/files", Seen::Script("/remote.php")),
            ("/remote/dav", Seen::Script("/remote.php")),
            ("/.well-known/carddav", Seen::Elsewhere),
            ("/.well-known/webfinger", INDEX),
            ("/data/secret.txt", Seen::Nothing),
            ("/config/config.php", Seen::Nothing),
            ("/occ", Seen::Nothing),
            ("/style.css", FILE),
        ],
    ),
    (
        "phpmyadmin",
        &[
            ("/", INDEX),
            ("/libraries/evil.php", Seen::Nothing),
            ("/setup/index.php", Seen::Nothing),
            ("/config.inc.php", Seen::Nothing),
            ("/style.css", FILE),
        ],
    ),
];

const SCRIPTS: [&str; 24] = [
    "index.php",
    "other.php",
    "storage/evil.php",
    "storage/evil.PHP",
    "wp-login.php",
    "wp-admin/index.php",
    "wp-config.php",
    "wp-includes/evil.php",
    "wp-content/uploads/evil.phtml",
    "wp-content/uploads/2026/evil.php",
    "core/install.php",
    "core/evil.php",
    "sites/default/files/evil.php",
    "vendor/evil.php",
    "load.php",
    "images/a/evil.php",
    "includes/evil.php",
    "LocalSettings.php",
    "remote.php",
    "config/config.php",
    "libraries/evil.php",
    "setup/index.php",
    "config.inc.php",
    "occ",
];

const FILES: [&str; 10] = [
    "style.css",
    "build/assets/app-4ed993c7.js",
    "build/app.3f2a9c1e.css",
    "assets/app-Jx8Kq2_.js",
    "wp-content/uploads/photo.jpg",
    "wp-content/debug.log",
    "sites/default/private/secret.txt",
    "composer.json",
    "images/deleted/x.jpg",
    "data/secret.txt",
];

async fn application() -> PhpFpm {
    let php = PhpFpm::start(2).await;
    for name in SCRIPTS {
        php.write(name, DUMP);
    }
    for name in FILES {
        php.write(name, "a file");
    }
    php
}

async fn look(gateway: &Gateway, host: &str, target: &str) -> Seen {
    let response = gateway
        .send(&Request::get(target).field("Host", host))
        .await;
    match (response.status, response.header("x-script")) {
        (200, Some(script)) => {
            let known = ["/index.php"].into_iter().chain([
                "/wp-login.php",
                "/wp-admin/index.php",
                "/core/install.php",
                "/load.php",
                "/remote.php",
            ]);
            let mut known = known.filter(|name| *name == script);
            Seen::Script(known.next().unwrap_or("another"))
        }
        (200, None) if response.text() == "a file" => {
            let control = response.header("cache-control").unwrap_or_default();
            Seen::File {
                immutable: control.contains("immutable"),
            }
        }
        (301, _) => Seen::Elsewhere,
        (404, _) => Seen::Nothing,
        (status, _) => panic!("{target}: {status} {}", response.text()),
    }
}

#[tokio::test]
async fn presets_run_what_is_meant_to_run_and_nothing_else() {
    let php = application().await;
    let mut config = String::new();
    for (preset, _) in CASES {
        let site = php.site();
        config += &format!("{site}hosts = \"{preset}\"\npreset = \"{preset}\"\n");
    }
    let written = Gateway::start(&config).await;
    let file = written.directory().join("fcgate.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fcgate"));
    let output = command
        .args(["config", "--expanded"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("\npreset = "), "{text}");
    let expanded = Gateway::start(&text).await;
    for gateway in [&written, &expanded] {
        for (preset, cases) in CASES {
            for (target, expected) in cases {
                let seen = look(gateway, preset, target).await;
                assert_eq!(seen, *expected, "{target} of {preset}");
            }
        }
    }
}

/// Target, script, SCRIPT_NAME and PATH_INFO.
const MOUNTED: [(&str, &str, &str, Option<&str>); 7] = [
    ("/my/app/", "app/index.php", "/my/app/index.php", None),
    (
        "/my/app/hello/World?x=1",
        "app/index.php",
        "/my/app/index.php",
        None,
    ),
    ("/my/app/info.php", "app/info.php", "/my/app/info.php", None),
    (
        "/my/app/info.php/a%20b",
        "app/info.php",
        "/my/app/info.php",
        Some("/a b"),
    ),
    (
        "/my/app/admin/",
        "app/admin/index.php",
        "/my/app/admin/index.php",
        None,
    ),
    ("/my/apple", "site/index.php", "/index.php", None),
    ("/other", "site/index.php", "/index.php", None),
];

#[tokio::test]
async fn an_application_below_a_path_knows_where_it_is() {
    let php = PhpFpm::start(2).await;
    for name in [
        "site/index.php",
        "app/index.php",
        "app/info.php",
        "app/admin/index.php",
    ] {
        php.write(name, DUMP);
    }
    php.write("app/style.css", "a file");
    let root = php.root().display().to_string();
    let gateway = Gateway::start(&format!(
        "[[site]]\nroot = \"{root}/site\"\nphp = \"{}\"\n[[site.mount]]\npath = \"/my/app/\"\nroot = \"{root}/app\"\n",
        php.address()
    ))
    .await;
    for (target, script, name, path_info) in MOUNTED {
        let response = gateway.get(target).await;
        assert_eq!(response.status, 200, "{target}: {}", response.text());
        let seen = response.json();
        assert_eq!(
            seen["SCRIPT_FILENAME"],
            format!("{root}/{script}"),
            "{target}"
        );
        assert_eq!(seen["SCRIPT_NAME"], name, "{target}");
        assert_eq!(seen["REQUEST_URI"], target);
        assert_eq!(
            seen["PATH_INFO"],
            path_info.map_or(Value::Null, Value::from),
            "{target}"
        );
    }
    assert_eq!(gateway.get("/my/app/style.css").await.text(), "a file");
    let bare = gateway.get("/my/app?x=1").await;
    assert_eq!(
        (bare.status, bare.header("location")),
        (301, Some("/my/app/?x=1"))
    );
    let folder = gateway.get("/my/app/admin").await;
    assert_eq!(folder.header("location"), Some("/my/app/admin/"));
}

#[tokio::test]
async fn slim_finds_its_base_path() {
    let php = PhpFpm::start(2).await;
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/slim");
    let gateway = Gateway::start(&format!(
        "[[site]]\nrule = [{{ path = \"/\", respond = {{ body = \"the site\" }} }}]\n[[site.mount]]\npath = \"/my/app\"\nroot = \"{}/public\"\nphp = \"{}\"\n",
        example.display(),
        php.address()
    ))
    .await;
    let page = gateway.get("/my/app/hello/World").await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.text().contains("World"), "{}", page.text());
    assert_eq!(gateway.get("/").await.text(), "the site");
    assert_eq!(gateway.get("/hello/World").await.status, 404);
}
