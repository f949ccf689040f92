//! Files that a script names and the gateway sends.

use std::path::PathBuf;

use serde_json::Value;

use crate::harness::php_fpm::write_below;
use crate::harness::{
    Connection, Gateway, GatewaySetup, PhpFpm, Request, Response, http2, php_fpm,
};

/// Says what it is asked to say.
const SEND: &str = "<?php foreach ($_GET['say'] as $line) header($line); echo 'its own content';";

const SERVER: &str = "<?php echo json_encode($_SERVER);";

/// The folder of the files, beside the document root.
fn files(php: &PhpFpm) -> PathBuf {
    php.root().with_file_name("files")
}

/// A PHP with one worker and some files.
async fn php() -> PhpFpm {
    let php = php_fpm::Setup::new(1)
        .file("send.php", SEND)
        .file("server.php", SERVER);
    let php = php.start().await;
    let files = files(&php);
    write_below(&files, "a.txt", "0123456789");
    write_below(&files, "code.php", "<?php secret();");
    write_below(&files, "ä b.txt", "umlaut");
    std::os::unix::fs::symlink(php.root().join("send.php"), files.join("leak.txt")).unwrap();
    php
}

/// A gateway with these lines in its site, in which `FILES` stands for the folder.
fn sending<'a>(php: &'a PhpFpm, lines: &str) -> GatewaySetup<&'a PhpFpm> {
    let files = files(php).display().to_string();
    Gateway::before(php).site(&lines.replace("FILES", &files))
}

const ROOTS: &str = "send_file = { roots = [\"FILES\"] }";
const INTERNAL: &str = "send_file = { internal = { \"/protected/\" = \"FILES\" } }";

/// A GET of the script that says these lines.
fn saying(lines: &[&str]) -> Request {
    let encode = |line: &&str| -> String {
        let bytes = line.bytes().map(|byte| format!("%{byte:02x}"));
        format!("say[]={}", bytes.collect::<String>())
    };
    let query: Vec<_> = lines.iter().map(encode).collect();
    Request::get(&format!("/send.php?{}", query.join("&")))
}

/// Status, content, and that no order got out.
#[track_caller]
fn check(response: &Response, status: u16, body: &str) {
    // The last line of a page of ours is the request's own name.
    let text = response.text();
    let seen = match status {
        404 => text.split("request ").next().unwrap_or_default(),
        _ => &text,
    };
    assert_eq!(
        (response.status, seen, response.whole),
        (status, body, true)
    );
    for name in ["x-sendfile", "x-accel-redirect", "x-accel-buffering"] {
        assert_eq!(response.header(name), None, "{response:?}");
    }
}

#[tokio::test]
async fn the_file_is_sent_with_what_the_script_said() {
    let said = [
        "Content-Type: application/pdf",
        "Content-Disposition: attachment; filename=\"a b.pdf\"",
        "Set-Cookie: a=1",
        "Cache-Control: private, max-age=60",
        "Expires: Thu, 01 Jan 2099 00:00:00 GMT",
        "X-Own: yes",
        "Content-Length: 3",
        "Content-Encoding: gzip",
    ];
    for lines in [ROOTS, INTERNAL] {
        let php = php().await;
        let gateway = sending(&php, lines).start().await;
        let order = match lines {
            ROOTS => format!("X-Sendfile: {}/a.txt", files(&php).display()),
            _ => "X-Accel-Redirect: /protected/a.txt".to_owned(),
        };
        let request = saying(&[&[order.as_str()], said.as_slice()].concat());
        let h2 = http2::send(gateway.address(), &request).await;
        let post = Request {
            method: "POST".to_owned(),
            ..request.clone()
        };
        for response in [
            gateway.send(&request).await,
            h2,
            gateway.send(&post.body("x")).await,
        ] {
            check(&response, 200, "0123456789");
            for line in said.iter().take(6) {
                let (name, value) = line.split_once(": ").unwrap();
                assert_eq!(response.header(name), Some(value), "{name}");
            }
            assert_eq!(response.header("content-length"), Some("10"));
            assert_eq!(response.header("content-encoding"), None);
            assert_eq!(response.header("accept-ranges"), Some("bytes"));
            assert!(response.header("etag").is_some());
            assert!(response.header("last-modified").is_some());
        }
    }
}

#[tokio::test]
async fn parts_conditions_and_head_work_as_for_any_file() {
    let php = php().await;
    let gateway = sending(&php, ROOTS).start().await;
    let order = format!("X-Sendfile: {}/a.txt", files(&php).display());
    let request = saying(&[&order, "ETag: \"v1\"", "Vary: Cookie"]);
    let with = |name, value| request.clone().field(name, value);
    let date = gateway.send(&request).await;
    let date = date.header("last-modified").unwrap();
    for (name, value, status, body, range) in [
        ("Range", "bytes=2-4", 206, "234", Some("bytes 2-4/10")),
        ("Range", "bytes=10-", 416, "", Some("bytes */10")),
        ("Range", "bytes=9-1,5-", 200, "0123456789", None),
        ("If-None-Match", "\"v1\"", 304, "", None),
        ("If-None-Match", "\"v2\"", 200, "0123456789", None),
        ("If-Match", "\"v2\"", 412, "", None),
        ("If-Modified-Since", date, 304, "", None),
    ] {
        let response = gateway.send(&with(name, value)).await;
        check(&response, status, body);
        assert_eq!(response.header("content-range"), range, "{name}: {value}");
        assert_eq!(response.header("etag"), Some("\"v1\""));
        assert_eq!(response.header("vary"), Some("Cookie"));
    }
    for (if_range, status) in [("\"v1\"", 206), ("\"v2\"", 200), (date, 206)] {
        let request = with("Range", "bytes=2-4").field("If-Range", if_range);
        assert_eq!(gateway.send(&request).await.status, status, "{if_range}");
    }
    let head = Request {
        method: "HEAD".to_owned(),
        ..with("Range", "bytes=2-4")
    };
    for response in [
        gateway.send(&head).await,
        http2::send(gateway.address(), &head).await,
    ] {
        check(&response, 200, "");
        assert_eq!(response.header("content-length"), Some("10"));
    }
}

#[tokio::test]
async fn the_scripts_own_status_and_date_win() {
    let php = php().await;
    let gateway = sending(&php, ROOTS).start().await;
    let order = format!("X-Sendfile: {}/a.txt", files(&php).display());
    // Nothing but 200 has parts or conditions.
    let refused = saying(&["HTTP/1.1 403 Forbidden", &order])
        .field("Range", "bytes=2-4")
        .field("If-None-Match", "*");
    check(&gateway.send(&refused).await, 403, "0123456789");
    let not_modified = saying(&["HTTP/1.1 304 Not Modified", &order]);
    check(&gateway.send(&not_modified).await, 304, "");
    let old = "Thu, 01 Jan 1970 00:00:10 GMT";
    let dated = saying(&[&order, &format!("Last-Modified: {old}")]);
    let unchanged = dated.clone().field("If-Modified-Since", old);
    check(&gateway.send(&unchanged).await, 304, "");
    let response = gateway.send(&dated.field("Range", "bytes=0-0")).await;
    check(&response, 206, "0");
    assert_eq!(response.header("last-modified"), Some(old));
    let unaccepted = saying(&[&order, "Accept-Ranges: none"]).field("Range", "bytes=0-0");
    check(&gateway.send(&unaccepted).await, 200, "0123456789");
}

#[tokio::test]
async fn nothing_else_is_sent() {
    let php = php().await;
    let gateway = sending(&php, ROOTS).start().await;
    let files = files(&php).display().to_string();
    for (path, why) in [
        ("/etc/passwd".to_owned(), "outside"),
        (format!("{files}/../public/send.php"), "outside"),
        (format!("{files}/missing"), "does not exist"),
        (format!("{files}/"), "a folder"),
        (format!("{files}/leak.txt"), "symbolic link"),
        (format!("{files}/code.php"), "all_names"),
        ("a.txt".to_owned(), "not absolute"),
    ] {
        let seen = gateway.log.count();
        let request = saying(&[&format!("X-Sendfile: {path}")]);
        check(&gateway.send(&request).await, 404, "404 Not Found\n");
        let told = |line: &str| line.contains("ERROR") && line.contains(&path);
        let line = gateway.log.wait_after(seen, told).await;
        assert!(line.contains(why) && line.contains("request_id"), "{line}");
    }
    // The next request finds the worker free.
    check(
        &gateway.send(&saying(&["X-A: 1"])).await,
        200,
        "its own content",
    );
    let direct = gateway.get("/protected/a.txt").await;
    assert_eq!(direct.status, 404);
}

#[tokio::test]
async fn internal_uris_are_decoded_and_nobody_can_ask_for_them() {
    let php = php().await;
    let gateway = sending(&php, INTERNAL).start().await;
    for (uri, status, body) in [
        ("/protected/%C3%A4%20b.txt", 200, "umlaut"),
        ("%2Fprotected%2Fa.txt?download=1", 200, "0123456789"),
        ("/protected/../protected/a.txt", 200, "0123456789"),
        ("/protected/%2e%2e/public/send.php", 404, "404 Not Found\n"),
        ("/other/a.txt", 404, "404 Not Found\n"),
    ] {
        let request = saying(&[&format!("X-Accel-Redirect: {uri}")]);
        check(&gateway.send(&request).await, status, body);
    }
    assert_eq!(gateway.get("/protected/a.txt").await.status, 404);
    // Only the field that is configured means anything.
    let response = gateway.send(&saying(&["X-Sendfile: /etc/passwd"])).await;
    check(&response, 200, "its own content");
}

#[tokio::test]
async fn without_configuration_the_script_answers_itself() {
    let php = php().await;
    let gateway = sending(&php, "").start().await;
    for _ in 0..2 {
        let response = gateway.send(&saying(&["X-Sendfile: /etc/passwd"])).await;
        check(&response, 200, "its own content");
    }
    let told = |line: &str| line.contains("site.send_file.roots");
    gateway.log.wait_for(told).await;
    assert_eq!(
        gateway.log.all().iter().filter(|line| told(line)).count(),
        1
    );
}

#[tokio::test]
async fn scripts_are_told_and_clients_cannot_lie() {
    let spoofed = Request::get("/server.php")
        .field("X-Sendfile-Type", "X-Sendfile-Spoofed")
        .field("X-Accel-Mapping", "/etc/=/protected/")
        .field("X-Other", "seen");
    for lines in ["", ROOTS, INTERNAL] {
        let php = php().await;
        let gateway = sending(&php, lines).start().await;
        let (kind, mapping) = match lines {
            "" => (Value::Null, Value::Null),
            ROOTS => ("X-Sendfile".into(), Value::Null),
            _ => {
                let mapping = format!("{}/=/protected/", files(&php).display());
                ("X-Accel-Redirect".into(), mapping.into())
            }
        };
        for request in [Request::get("/server.php"), spoofed.clone()] {
            let server = gateway.send(&request).await.json();
            assert_eq!(server["HTTP_X_SENDFILE_TYPE"], kind);
            assert_eq!(server["HTTP_X_ACCEL_MAPPING"], mapping);
        }
        let server = gateway.send(&spoofed).await.json();
        assert_eq!(server["HTTP_X_OTHER"], "seen");
    }
}

#[tokio::test]
async fn a_large_file_arrives_unchanged_and_holds_no_worker() {
    let php = php().await;
    let gateway = sending(&php, ROOTS).start().await;
    let content: Vec<u8> = (0..=250).cycle().take(20 << 20).collect();
    write_below(&files(&php), "large", &content);
    // It goes on printing what nobody gets.
    php.write(
        "large.php",
        format!(
            "<?php header('X-Sendfile: {}/large'); for ($i = 0; $i < 100; $i++) {{ echo str_repeat('x', 65536); flush(); }} error_log('behind the head');",
            files(&php).display()
        ),
    );
    let request = Request::get("/large.php");
    let mut slow = Connection::open(gateway.address()).await;
    slow.start(&request).await;
    let head = slow.head().await;
    assert_eq!(head.header("content-length"), Some("20971520"));
    // The only worker has time for others while that client does not read.
    check(
        &gateway.send(&saying(&["X-A: 1"])).await,
        200,
        "its own content",
    );
    let logged = |line: &str| line.contains("behind the head");
    gateway.log.wait_for(logged).await;
    let mut slowly = Vec::new();
    while let Some(piece) = slow.piece().await.unwrap() {
        slowly.extend(piece);
    }
    assert!(slowly == content);
    for response in [
        gateway.send(&request).await,
        http2::send(gateway.address(), &request).await,
    ] {
        assert!(response.whole && response.body == content);
    }
}
