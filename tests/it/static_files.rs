//! Files: what is sent with them, parts of them, and what is never sent.

use crate::harness::gateway::run;
use crate::harness::php_fpm::write_below;
use crate::harness::{Files, Gateway, GatewaySetup, PhpFpm, Request};

#[tokio::test]
async fn a_file_is_sent_with_what_is_known_of_it() {
    let files = [
        ("a.html", "text/html; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.svg", "image/svg+xml"),
        ("a.png", "image/png"),
        ("a.woff2", "font/woff2"),
        ("a.PDF", "application/pdf"),
        ("unknown", "application/octet-stream"),
    ];
    let gateway = Gateway::with_files()
        .prepare(|root| {
            files
                .iter()
                .for_each(|(name, _)| write_below(root, name, name))
        })
        .start()
        .await;
    for (name, media_type) in files {
        let response = gateway.get(&format!("/{name}")).await;
        assert_eq!((response.status, response.text().as_str()), (200, name));
        assert_eq!(response.header("content-type"), Some(media_type), "{name}");
        assert_eq!(
            response.header("content-length"),
            Some(name.len().to_string().as_str()),
            "{name}"
        );
        assert!(
            response
                .header("etag")
                .is_some_and(|etag| etag.starts_with('"')),
            "{response:?}"
        );
        assert!(httpdate::parse_http_date(response.header("last-modified").unwrap()).is_ok());
        assert!(response.header("date").is_some());
    }
}

#[tokio::test]
async fn head_sends_the_fields_alone() {
    let gateway = Gateway::with_files()
        .file("a.txt", "0123456789")
        .start()
        .await;
    let get = gateway.get("/a.txt").await;
    let head = gateway.send(&Request::new("HEAD", "/a.txt")).await;
    assert_eq!(head.status, 200);
    for name in ["content-length", "content-type", "etag", "last-modified"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let gateway = Gateway::with_files()
        .file("a.txt", "0123456789")
        .start()
        .await;
    let first = gateway.get("/a.txt").await;
    let (etag, date) = (
        first.header("etag").unwrap(),
        first.header("last-modified").unwrap(),
    );
    let conditions = [
        (("If-None-Match", etag), 304),
        (("If-None-Match", "\"other\""), 200),
        (("If-Modified-Since", date), 304),
        (("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"), 200),
        (("If-Match", "\"other\""), 412),
        (
            ("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"),
            412,
        ),
    ];
    for ((name, value), status) in conditions {
        let response = gateway
            .send(&Request::get("/a.txt").field(name, value))
            .await;
        assert_eq!(response.status, status, "{name}: {value}");
        if status == 304 {
            assert_eq!(response.header("etag"), Some(etag));
            assert_eq!(response.header("content-length"), None);
        }
    }
    // RFC 9110 §13.2.2: the tag decides and the date is not looked at.
    let both = Request::get("/a.txt")
        .field("If-None-Match", "\"other\"")
        .field("If-Modified-Since", date);
    assert_eq!(gateway.send(&both).await.status, 200);
}

#[tokio::test]
async fn one_range_is_sent_by_itself() {
    let gateway = Gateway::with_files()
        .file("a.txt", "0123456789")
        .start()
        .await;
    let ranges = [
        ("bytes=2-4", 206, "234", Some("bytes 2-4/10")),
        ("bytes=7-", 206, "789", Some("bytes 7-9/10")),
        ("bytes=-3", 206, "789", Some("bytes 7-9/10")),
        ("bytes=8-99", 206, "89", Some("bytes 8-9/10")),
        ("Bytes=0-0", 206, "0", Some("bytes 0-0/10")),
        ("bytes=10-", 416, "", Some("bytes */10")),
        ("bytes=4-2", 200, "0123456789", None),
        ("lines=1-2", 200, "0123456789", None),
    ];
    for (range, status, body, content_range) in ranges {
        let response = gateway
            .send(&Request::get("/a.txt").field("Range", range))
            .await;
        assert_eq!(response.status, status, "{range}");
        assert_eq!(response.header("content-range"), content_range, "{range}");
        assert!(
            status == 416 || response.text() == body,
            "{range}: {response:?}"
        );
    }
    let etag = gateway
        .get("/a.txt")
        .await
        .header("etag")
        .unwrap()
        .to_owned();
    for (validator, status) in [(etag.as_str(), 206), ("\"other\"", 200)] {
        let request = Request::get("/a.txt")
            .field("Range", "bytes=2-4")
            .field("If-Range", validator);
        assert_eq!(gateway.send(&request).await.status, status, "{validator}");
    }
}

#[tokio::test]
async fn several_ranges_are_sent_as_parts() {
    let content: Vec<u8> = (0..=250).cycle().take(1_000_000).collect();
    let gateway = Gateway::with_files().file("a.css", &content).start().await;
    let request = Request::get("/a.css").field("Range", "bytes=500-600,-3,0-299999,2000000-");
    let response = gateway.send(&request).await;
    assert_eq!(
        (response.status, response.header("content-range")),
        (206, None)
    );
    let media_type = response.header("content-type").unwrap();
    let boundary = media_type
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap();
    let part = |first: usize, last: usize| {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: text/css; charset=utf-8\r\nContent-Range: bytes {first}-{last}/1000000\r\n\r\n"
        );
        [head.as_bytes(), &content[first..=last]].concat()
    };
    let end = format!("\r\n--{boundary}--\r\n");
    let expected = [part(0, 299_999), part(999_997, 999_999), end.into_bytes()].concat();
    assert_eq!(
        response.header("content-length"),
        Some(expected.len().to_string().as_str())
    );
    assert!(response.whole && response.body == expected);
    let all = gateway
        .send(&Request::get("/a.css").field("Range", "bytes=0-499999,500000-"))
        .await;
    assert!(all.status == 200 && all.body == content);
}

#[tokio::test]
async fn a_folder_has_an_index_and_a_slash() {
    let gateway = Gateway::with_files()
        .prepare(|root| {
            write_below(root, "index.html", "front");
            write_below(root, "docs/index.html", "docs");
            write_below(root, "a b/index.html", "space");
            write_below(root, "empty/x.txt", "x");
        })
        .start()
        .await;
    for (target, body) in [("/", "front"), ("/docs/?x", "docs"), ("/a%20b/", "space")] {
        assert_eq!(gateway.get(target).await.text(), body, "{target}");
    }
    for (target, location) in [
        ("/docs?a=b", "/docs/?a=b"),
        ("/a%20b", "/a%20b/"),
        ("//docs", "/docs/"),
    ] {
        let response = gateway.get(target).await;
        assert_eq!(
            (response.status, response.header("location")),
            (301, Some(location)),
            "{target}"
        );
    }
    assert_eq!(gateway.get("/empty/").await.status, 404);
}

#[tokio::test]
async fn files_know_no_other_methods() {
    let gateway = Gateway::with_files().file("a.txt", "a").start().await;
    for method in ["POST", "PUT", "DELETE"] {
        let response = gateway
            .send(&Request::new(method, "/a.txt").body("x"))
            .await;
        assert_eq!(response.status, 405, "{method}");
        let allow = response.header("allow").unwrap();
        assert!(allow.contains("GET") && allow.contains("HEAD"), "{allow}");
    }
}

const NOT_PUBLIC: [&str; 18] = [
    ".env",
    ".git/config",
    "index.php",
    "a.PHP",
    "lib/b.phtml",
    "c.php.bak",
    "d.php~",
    "d.php_",
    "d.php-bak",
    "d.php,v",
    "e.orig",
    "server.key",
    "cert.pem",
    "dump.sql",
    "dump.sql.gz",
    "data.sqlite3",
    ".f.php.swp",
    "a/.htaccess",
];

#[tokio::test]
async fn what_is_not_public_is_never_sent() {
    let gateway = Gateway::with_files()
        .prepare(|root| {
            NOT_PUBLIC
                .iter()
                .for_each(|name| write_below(root, name, "secret"));
            write_below(root, ".well-known/acme-challenge/token", "public");
            write_below(root.parent().unwrap(), "outside.txt", "secret");
            std::os::unix::fs::symlink("../outside.txt", root.join("link.txt")).unwrap();
            std::os::unix::fs::symlink("..", root.join("up")).unwrap();
            write_below(root, "plain.txt", "plain");
        })
        .start()
        .await;
    let elsewhere = [
        "link.txt",
        "up/outside.txt",
        "%2e%2e/outside.txt",
        "x/../../outside.txt",
        "index.php/",
        "index.php%20",
        "index%2ephp",
        "INDEX.PHP",
        "plain.txt/",
        "plain.txt/x",
    ];
    for name in NOT_PUBLIC.iter().chain(&elsewhere) {
        let response = gateway.get(&format!("/{name}")).await;
        assert!(
            matches!(response.status, 400 | 403 | 404),
            "{name}: {response:?}"
        );
        assert!(!response.text().contains("secret"), "{name}");
    }
    assert_eq!(
        gateway
            .get("/.well-known/acme-challenge/token")
            .await
            .text(),
        "public"
    );
}

#[tokio::test]
async fn a_large_file_arrives_unchanged() {
    let content: Vec<u8> = (0..=250).cycle().take(9_000_001).collect();
    let gateway = Gateway::with_files()
        .file("large.bin", &content)
        .start()
        .await;
    let response = gateway.get("/large.bin").await;
    assert!(response.whole && response.body == content);
    let part = gateway
        .send(&Request::get("/large.bin").field("Range", "bytes=100000-8999999"))
        .await;
    assert_eq!(part.status, 206);
    assert!(part.whole && part.body == content[100_000..9_000_000]);
}

/// The names of files whose last extension is that of a plain file.
const PLAIN: [&str; 7] = [
    "photo.orig.jpg",
    "report.old.pdf",
    "app.bak.js",
    "site.old/a.css",
    "jquery.inc.js",
    "www.php.net/a.html",
    "v1.old/index.html",
];

/// A site of files with these lines in it, some of which have unusual names.
fn unusual(lines: &str) -> GatewaySetup<Files> {
    let others = [
        "e.orig",
        "a.php.orig",
        "composer.phar",
        ".nojekyll",
        "x.old",
    ];
    let names = PLAIN.iter().chain(&others);
    Gateway::with_files()
        .server("access_log = { format = '%s %U %{cause}x' }")
        .site(lines)
        .prepare(|root| names.for_each(|name| write_below(root, name, name)))
}

#[tokio::test]
async fn the_last_extension_of_a_name_decides() {
    let gateway = unusual("files = { listing = true }").start().await;
    for name in PLAIN {
        let response = gateway.get(&format!("/{name}")).await;
        assert_eq!((response.status, response.text().as_str()), (200, name));
    }
    let folder = gateway.get("/v1.old").await;
    assert_eq!(
        (folder.status, folder.header("location")),
        (301, Some("/v1.old/"))
    );
    assert_eq!(gateway.get("/v1.old/").await.text(), "v1.old/index.html");
    let list = Request::get("/").field("Accept", "application/json");
    let list = gateway.send(&list).await.text();
    for shown in ["photo.orig.jpg", "site.old", "www.php.net", "v1.old"] {
        assert!(list.contains(&format!("\"{shown}\"")), "{shown}: {list}");
    }
    for hidden in [
        "e.orig",
        "a.php.orig",
        "composer.phar",
        ".nojekyll",
        "x.old",
    ] {
        assert!(!list.contains(&format!("\"{hidden}\"")), "{hidden}: {list}");
        assert_eq!(gateway.get(&format!("/{hidden}")).await.status, 404);
        let line = format!("404 /{hidden} NAME_WITHHELD");
        gateway.access.wait_for(|found| found == line).await;
    }
    // What is not there at all has another cause.
    assert_eq!(gateway.get("/none.txt").await.status, 404);
    gateway
        .access
        .wait_for(|line| line == "404 /none.txt NOT_FOUND")
        .await;
}

#[tokio::test]
async fn a_key_allows_more_names_and_no_scripts() {
    let names = "allowed_names = [\"*.orig\", \"composer.phar\", \".nojekyll\"]";
    let gateway = unusual(&format!("files = {{ listing = true, {names} }}"))
        .start()
        .await;
    for name in ["e.orig", "composer.phar", ".nojekyll"] {
        assert_eq!(gateway.get(&format!("/{name}")).await.text(), name);
    }
    for name in ["a.php.orig", "x.old"] {
        assert_eq!(gateway.get(&format!("/{name}")).await.status, 404, "{name}");
    }
    let list = Request::get("/").field("Accept", "application/json");
    let list = gateway.send(&list).await.text();
    assert!(
        list.contains("e.orig") && list.contains(".nojekyll"),
        "{list}"
    );
    assert!(
        !list.contains("a.php.orig") && !list.contains("x.old"),
        "{list}"
    );
}

/// A list of one's own takes the place of the default, for the site or for a rule; single names are let out by the
/// other key.
#[tokio::test]
async fn a_list_says_which_extensions_are_withheld() {
    const NAMES: [&str; 3] = ["a.key", "a.sql", "a.gpx"];
    for (lines, sent) in [
        ("", &["a.gpx"] as &[&str]),
        ("files = { withheld_extensions = [] }", &NAMES),
        (
            "files = { withheld_extensions = [\".GPX\"] }",
            &["a.key", "a.sql"],
        ),
        (
            "files = { allowed_names = [\"a.key\"] }",
            &["a.key", "a.gpx"],
        ),
        (
            "files = { withheld_extensions = [] }\nrule = [{ static_files = { withheld_extensions = \"sql\" } }]",
            &["a.key", "a.gpx"],
        ),
        (
            "files = { withheld_extensions = [] }\nrule = [{ static_files = {} }]",
            &NAMES,
        ),
    ] {
        let gateway = Gateway::with_files().site(lines).files(&NAMES, "content");
        let gateway = gateway.start().await;
        for name in NAMES {
            let status = gateway.get(&format!("/{name}")).await.status;
            let expected = if sent.contains(&name) { 200 } else { 404 };
            assert_eq!(status, expected, "{name}: {lines}");
        }
    }
}

#[tokio::test]
async fn what_a_script_answers_instead_of_a_withheld_file_has_the_cause() {
    let php = PhpFpm::start(1).await;
    php.write(
        "index.php",
        "<?php http_response_code(404); echo 'no page';",
    );
    php.write("photo.bak", "secret");
    let log = "[server]\naccess_log = { format = '%s %U %{cause}x' }\n";
    let gateway = Gateway::start(&format!("{log}{}", php.site())).await;
    let response = gateway.get("/photo.bak").await;
    assert_eq!(
        (response.status, response.text().as_str()),
        (404, "no page")
    );
    gateway
        .access
        .wait_for(|line| line == "404 /photo.bak NAME_WITHHELD")
        .await;
    let file = gateway.directory().join("fcgate.toml");
    let story = run(&[
        "explain",
        "-c",
        file.to_str().unwrap(),
        "http://a.test/photo.bak",
    ]);
    let story = String::from_utf8(story.stdout).unwrap();
    assert!(
        story.contains(
            "the name is that of a backup, which is sent only if `allowed_names` permits it"
        ),
        "{story}"
    );
}
