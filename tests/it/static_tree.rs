//! Files as trees have them: every name, many of them, things that are no files, links, types, lists.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nix::sys::stat::Mode;
use serde_json::json;

use crate::harness::php_fpm::write_below;
use crate::harness::webdriver::Browser;
use crate::harness::{Connection, Files, Gateway, GatewaySetup, Request};

fn encode(name: &[u8]) -> String {
    name.iter().map(|byte| format!("%{byte:02x}")).collect()
}

#[tokio::test]
async fn every_name_that_a_file_system_allows() {
    // NUL and the slash are in no name; control bytes are refused before any disk is asked.
    let bytes = (0x20..=0xff_u8).filter(|byte| *byte != b'/' && *byte != 0x7f);
    let names: Vec<[u8; 3]> = bytes.map(|byte| [b'a', byte, b'b']).collect();
    let gateway = Gateway::with_files()
        .site("files = { listing = true }")
        .prepare(|root| {
            for name in &names {
                std::fs::write(root.join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
            }
            std::fs::write(root.join("a\nb"), "control").unwrap();
        })
        .start()
        .await;
    let mut connection = Connection::open(gateway.address()).await;
    for name in &names {
        let target = format!("/{}", encode(name));
        let response = connection.send(&Request::get(&target)).await;
        assert_eq!(
            (response.status, response.body.as_slice()),
            (200, name.as_slice()),
            "{target}"
        );
    }
    assert_eq!(gateway.get("/a%0ab").await.status, 400);
    // What a list refers to is what there is.
    let list = gateway
        .send(&Request::get("/").field("Accept", "application/json"))
        .await
        .json();
    let entries = list["entries"].as_array().unwrap();
    assert_eq!(entries.len(), names.len());
    for entry in entries {
        let href = entry["href"].as_str().unwrap().trim_start_matches('.');
        let response = connection.send(&Request::get(href)).await;
        assert_eq!((response.status, response.body.len()), (200, 3), "{href}");
    }
}

#[tokio::test]
async fn a_tree_of_a_hundred_thousand_files() {
    let gateway = Gateway::with_files()
        .site("files = { listing = true }")
        .prepare(|root| {
            for folder in 0..10 {
                let folder = root.join(format!("{folder}"));
                std::fs::create_dir(&folder).unwrap();
                for file in 0..10_000 {
                    std::fs::File::create(folder.join(format!("{file:05}.txt"))).unwrap();
                }
            }
            std::fs::File::create(root.join("9/one-more.txt")).unwrap();
        })
        .start()
        .await;
    let json = |folder: &str| Request::get(folder).field("Accept", "application/json");
    let list = gateway.send(&json("/0/")).await.json();
    assert_eq!(
        (
            list["complete"].as_bool(),
            list["entries"].as_array().unwrap().len()
        ),
        (Some(true), 10_000)
    );
    assert_eq!(list["entries"][9_999]["name"], "09999.txt");
    let list = gateway.send(&json("/9/")).await.json();
    assert_eq!(
        (
            list["complete"].as_bool(),
            list["entries"].as_array().unwrap().len()
        ),
        (Some(false), 10_000)
    );
    let mut connection = Connection::open(gateway.address()).await;
    for at in (0..10_000).step_by(97) {
        let target = format!("/{}/{at:05}.txt", at % 10);
        assert_eq!(
            connection.send(&Request::get(&target)).await.status,
            200,
            "{target}"
        );
    }
    assert_eq!(gateway.get("/0/10000.txt").await.status, 404);
}

#[tokio::test]
async fn what_is_no_file_and_what_cannot_be_read() {
    let gateway = Gateway::with_files()
        .site("files = { symlinks = \"anywhere\" }")
        .prepare(|root| {
            nix::unistd::mkfifo(&root.join("fifo"), Mode::from_bits_truncate(0o644)).unwrap();
            drop(std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap());
            symlink("/dev/zero", root.join("device")).unwrap();
            symlink("loop", root.join("loop")).unwrap();
            write_below(root, "a.txt", "a");
        })
        .start()
        .await;
    let long = format!("/{}", "a".repeat(256));
    for (target, status) in [
        ("/fifo", 403),
        ("/socket", 403),
        ("/device", 403),
        ("/loop", 403),
        ("/a.txt/", 404),
        ("/a.txt/x", 404),
        (long.as_str(), 414),
    ] {
        assert_eq!(gateway.get(target).await.status, status, "{target}");
    }
}

#[tokio::test]
async fn running_out_of_descriptors_passes_and_is_told() {
    let gateway = Gateway::with_files().file("a.txt", "a").start().await;
    let mut connection = Connection::open(gateway.address()).await;
    assert_eq!(connection.send(&Request::get("/a.txt")).await.status, 200);
    let limit = |number: &str| {
        let status = std::process::Command::new("prlimit")
            .args([
                &format!("--pid={}", gateway.server_id()),
                &format!("--nofile={number}:4096"),
            ])
            .status()
            .unwrap();
        assert!(status.success());
    };
    limit("3");
    let response = connection.send(&Request::get("/a.txt")).await;
    assert_eq!(response.status, 503);
    assert!(response.header("retry-after").is_some());
    let line = gateway
        .log
        .wait_for(|line| line.contains("file error"))
        .await;
    assert!(line.contains("DISK"), "{line}");
    limit("1024");
    assert_eq!(connection.send(&Request::get("/a.txt")).await.status, 200);
}

#[tokio::test]
async fn links_are_followed_as_the_site_says() {
    // In the order a.txt, relative, absolute, outside.
    for (policy, expected) in [
        ("within-root", [200, 200, 403, 403]),
        ("never", [200, 403, 403, 403]),
        ("same-owner", [200, 200, 200, 200]),
        ("anywhere", [200, 200, 200, 200]),
    ] {
        let gateway = Gateway::with_files()
            .site(&format!("files = {{ symlinks = \"{policy}\" }}"))
            .prepare(|root| {
                write_below(root, "a.txt", "a");
                write_below(root.parent().unwrap(), "outside.txt", "b");
                symlink("a.txt", root.join("relative")).unwrap();
                symlink(root.join("a.txt"), root.join("absolute")).unwrap();
                symlink("../outside.txt", root.join("outside")).unwrap();
            })
            .start()
            .await;
        for (name, status) in ["a.txt", "relative", "absolute", "outside"]
            .into_iter()
            .zip(expected)
        {
            assert_eq!(
                gateway.get(&format!("/{name}")).await.status,
                status,
                "{policy} {name}"
            );
        }
    }
}

#[tokio::test]
async fn the_methods_of_files_and_folders() {
    let gateway = Gateway::with_files()
        .site("files = { listing = true }")
        .prepare(|root| {
            write_below(root, "a.txt", "a");
            write_below(root, "sub/b.txt", "b");
        })
        .start()
        .await;
    for target in ["/a.txt", "/", "/sub/"] {
        let options = gateway.send(&Request::new("OPTIONS", target)).await;
        assert_eq!(
            (options.status, options.header("allow")),
            (200, Some("GET, HEAD, OPTIONS")),
            "{target}"
        );
        assert_eq!(options.body.len(), 0);
        let post = gateway.send(&Request::post(target).body("x")).await;
        assert_eq!(
            (post.status, post.header("allow")),
            (405, Some("GET, HEAD, OPTIONS")),
            "{target}"
        );
        let head = gateway.send(&Request::new("HEAD", target)).await;
        let get = gateway.get(target).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(
            head.header("content-length"),
            get.header("content-length"),
            "{target}"
        );
    }
}

#[tokio::test]
async fn types_and_cache_rules_are_those_of_the_site() {
    let names = [
        "a.gpx",
        "a.own",
        "a.txt",
        "a.png",
        "app.3f2a1b9c.js",
        "docs/a.html",
        "a.pdf",
    ];
    let gateway = Gateway::with_files()
        .files(&names, "content")
        .beside("mime.types", "# types\ntext/x-own  own other\nimage/x-gpx gpx\n")
        .site(
            "[site.files]\nmime_types = \"{folder}/mime.types\"\ntypes = { \".gpx\" = \"application/gpx+xml\" }\n\
             charset = \"iso-8859-1\"\nimmutable = true\n\
             cache = [{ match = '^/docs/', control = \"no-cache\" }, { types = [\"image/*\"], expires = \"30d\" }, { types = [\"text/plain\"], expires = \"0s\" }]",
        );
    let gateway = gateway.start().await;
    for (name, media_type, cache) in [
        ("/a.gpx", "application/gpx+xml", None),
        ("/a.own", "text/x-own; charset=iso-8859-1", None),
        (
            "/a.txt",
            "text/plain; charset=iso-8859-1",
            Some("max-age=0"),
        ),
        ("/a.png", "image/png", Some("max-age=2592000")),
        (
            "/app.3f2a1b9c.js",
            "text/javascript; charset=iso-8859-1",
            Some("public, max-age=31536000, immutable"),
        ),
        (
            "/docs/a.html",
            "text/html; charset=iso-8859-1",
            Some("no-cache"),
        ),
        ("/a.pdf", "application/pdf", None),
    ] {
        let response = gateway.get(name).await;
        assert_eq!(response.header("content-type"), Some(media_type), "{name}");
        assert_eq!(response.header("cache-control"), cache, "{name}");
        assert_eq!(
            response.header("x-content-type-options"),
            Some("nosniff"),
            "{name}"
        );
        let etag = response.header("etag").unwrap();
        let same = gateway
            .send(&Request::get(name).field("If-None-Match", etag))
            .await;
        assert_eq!(
            (same.status, same.header("cache-control")),
            (304, cache),
            "{name}"
        );
        let none = gateway
            .send(&Request::get(name).field("Range", "bytes=99-"))
            .await;
        assert_eq!(
            (none.status, none.header("cache-control")),
            (416, None),
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_settings_is_told_with_its_line() {
    let gateway = Gateway::with_files().file("a.txt", "a").start().await;
    let root = gateway.directory().join("public");
    for (line, said) in [
        (
            "mime_types = \"/nowhere/mime.types\"",
            "`/nowhere/mime.types` cannot be read",
        ),
        (
            "types = { a = \"nonsense\" }",
            "`nonsense` is not a media type",
        ),
        (
            "cache = [{ types = [\"a/b\"] }]",
            "needs `expires` or `control`",
        ),
        (
            "cache = [{ match = '(', expires = \"1s\" }]",
            "regex parse error",
        ),
        ("symlinks = \"some\"", "within-root"),
    ] {
        let config = format!(
            "[[site]]\nroot = \"{}\"\n[site.files]\n{line}\n",
            root.display()
        );
        let file = gateway.directory().join("wrong.toml");
        std::fs::write(&file, config).unwrap();
        let output = crate::harness::gateway::check(&file);
        let text = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert!(
            !output.status.success() && text.contains(said),
            "{line}: {text}"
        );
    }
}

/// A tree with what is shown and what is not.
fn with_a_list() -> GatewaySetup<Files> {
    Gateway::with_files()
        .site("files = { listing = true }")
        .prepare(|root| {
            for name in [
                "B.txt",
                "a b.txt",
                "ä.txt",
                "<b>.txt",
                "sub/x",
                ".env",
                "config.php",
                "a.txt~",
                "c.bak",
            ] {
                write_below(root, name, "0123456789");
            }
            write_below(root, "index/index.html", "an index");
            std::fs::set_permissions(root.join("sub"), std::fs::Permissions::from_mode(0o755))
                .unwrap();
            symlink("../..", root.join("out")).unwrap();
            write_below(root, ".well-known/token", "x");
        })
}

#[tokio::test]
async fn a_list_shows_what_can_be_had_and_nothing_else() {
    let gateway = with_a_list().start().await;
    let names = async |target: &str| {
        let list = gateway
            .send(&Request::get(target).field("Accept", "application/json"))
            .await;
        assert_eq!(list.header("content-type"), Some("application/json"));
        let list = list.json();
        let names = list["entries"].as_array().unwrap().iter();
        names
            .map(|entry| entry["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join("|")
    };
    assert_eq!(names("/").await, "index|sub|<b>.txt|a b.txt|B.txt|ä.txt");
    assert_eq!(
        names("/?C=N;O=D").await,
        "sub|index|ä.txt|B.txt|a b.txt|<b>.txt"
    );
    assert_eq!(names("/.well-known/").await, "token");
}

#[tokio::test]
async fn a_list_is_a_page_where_nothing_else_is_preferred() {
    let gateway = with_a_list().start().await;
    assert_eq!(gateway.get("/index/").await.text(), "an index");
    for accept in [
        "text/html,application/xhtml+xml,*/*;q=0.8",
        "*/*",
        "text/html, application/json;q=0.9",
    ] {
        let page = gateway
            .send(&Request::get("/").field("Accept", accept))
            .await;
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8"),
            "{accept}"
        );
        assert_eq!(page.header("vary"), Some("Accept"));
        assert!(
            page.text().contains("ä.txt") && page.text().contains("10 B"),
            "{}",
            page.text()
        );
        assert!(!page.text().contains("<b>") && !page.text().contains(".env"));
    }
    assert_eq!(gateway.get("/nothing/").await.status, 404);
    assert_eq!(gateway.get("/.git/").await.status, 404);
}

/// Names and lengths of what the list shows.
const LISTED: [(&str, usize); 5] = [
    ("a.txt", 100),
    ("photo (1).jpg", 2_500_000),
    ("ümläut & co.pdf", 70_000),
    ("sub/inside.txt", 1),
    (
        "a-name-that-is-long-and-has-no-place-to-break-0123456789012345678901234567890.tar.gz",
        5,
    ),
];

#[tokio::test]
async fn a_list_in_a_browser_light_and_dark() {
    let gateway = Gateway::with_files().site("files = { listing = true }");
    let gateway = LISTED.iter().fold(gateway, |gateway, (name, length)| {
        gateway.file(name, vec![b'x'; *length])
    });
    let gateway = gateway.start().await;
    let browser = Browser::start().await;
    browser.go(&format!("http://{}/", gateway.address())).await;
    let mut shots = Vec::new();
    for scheme in ["light", "dark"] {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        browser
            .emulate("setEmulatedMedia", json!({ "features": [feature] }))
            .await;
        let seen = browser
            .run("return matchMedia('(prefers-color-scheme: dark)').matches")
            .await;
        assert_eq!(seen, scheme == "dark");
        shots.push(browser.screenshot().await);
    }
    assert!(shots.iter().all(|shot| shot.len() > 1000) && shots[0] != shots[1]);
    let phone = json!({ "width": 360, "height": 640, "deviceScaleFactor": 2, "mobile": true });
    browser.emulate("setDeviceMetricsOverride", phone).await;
    let fits = "return innerWidth === 360 && document.documentElement.scrollWidth <= 360";
    assert_eq!(browser.run(fits).await, true, "nothing sticks out");
    shots.push(browser.screenshot().await);
    // For whoever wants to look at them: PNG in base64.
    if let Ok(folder) = std::env::var("FCGATE_SCREENSHOTS") {
        std::fs::write(Path::new(&folder).join("light.b64"), &shots[0]).unwrap();
        std::fs::write(Path::new(&folder).join("dark.b64"), &shots[1]).unwrap();
        std::fs::write(Path::new(&folder).join("phone.b64"), &shots[2]).unwrap();
    }
    browser.click("th:nth-child(2) a").await;
    browser
        .click("th[aria-sort=ascending]:nth-child(2) a")
        .await;
    assert_eq!(browser.text("th[aria-sort=descending]").await, "Size ↓");
    assert_eq!(
        browser.text("tbody tr:nth-child(2) td").await,
        "photo (1).jpg"
    );
    browser.click("tbody tr:nth-child(1) a").await;
    // Only the page of `sub` has a trail to it: this waits for that page.
    assert_eq!(browser.text("h1 a[href='/sub/']").await, "sub/");
    assert_eq!(browser.text("tbody tr:nth-child(2) td").await, "inside.txt");
}
