//! Vary (RFC 9110 §12.5.5): what stands on the whole of an answer stands on its parts, and on the word that it is unchanged.

use crate::harness::{Files, Gateway, GatewaySetup, PhpFpm, Request, http2};

fn text() -> Vec<u8> {
    b"a line of text\n".repeat(600)
}

fn compressing(files: &[(&str, &[u8])]) -> GatewaySetup<Files> {
    let gateway = Gateway::with_files().site("compress = true");
    files.iter().fold(gateway, |gateway, (name, content)| {
        gateway.file(name, content)
    })
}

/// RFC 9110 §15.3.7 and §15.4.5: a part of a file, and the word that it is unchanged, have the Vary of the whole.
#[tokio::test]
async fn parts_and_304_have_the_vary_of_the_whole() {
    let (style, image) = (text(), vec![7; 9000]);
    let gateway = compressing(&[("a.css", &style), ("a.png", &image)])
        .start()
        .await;
    for target in ["/a.css", "/a.png"] {
        let whole = gateway.get(target).await;
        let tag = whole.header("etag").unwrap();
        let vary = whole.header("vary");
        assert_eq!(vary.is_some(), target == "/a.css");
        for (name, value, status) in [
            ("Range", "bytes=0-9", 206),
            ("Range", "bytes=0-9,100-109", 206),
            ("If-None-Match", tag, 304),
        ] {
            for coding in ["gzip", "identity"] {
                let request = Request::get(target)
                    .field("Accept-Encoding", coding)
                    .field(name, value);
                let one = gateway.send(&request).await;
                let two = http2::send(gateway.address(), &request).await;
                for response in [one, two] {
                    let what = format!("{target} {name}: {value} {coding}");
                    assert_eq!(response.status, status, "{what}");
                    assert_eq!(response.header("vary"), vary, "{what}");
                    let has_type = response.header("content-type").is_some();
                    assert_eq!(has_type, status == 206, "{what}");
                }
            }
        }
    }
}

/// The same of what a script says, and of a file that a script names.
#[tokio::test]
async fn what_scripts_answer_has_the_vary_of_the_whole() {
    let php = PhpFpm::start(1).await;
    php.write(
        "index.php",
        "<?php
        header('Content-Type: ' . $_GET['type']);
        header('ETag: \"v1\"');
        if (isset($_GET['part'])) { http_response_code(206); header('Content-Range: bytes 0-1/9'); echo 'ab'; exit; }
        if (isset($_GET['file'])) { header('X-Sendfile: ' . __DIR__ . '/a.bin'); exit; }
        echo str_repeat('text ', 900);",
    );
    php.write("a.bin", text());
    let gateway = Gateway::before(&php)
        .site("compress = true")
        .site("send_file = { roots = [\"{root}\"] }");
    let gateway = gateway.start().await;
    for media_type in ["text/css", "image/png"] {
        for file in ["", "&file"] {
            let target = format!("/?type={media_type}{file}");
            let whole = gateway.get(&target).await;
            let vary = whole.header("vary");
            assert_eq!(
                (whole.status, vary.is_some()),
                (200, media_type == "text/css")
            );
            let unchanged = Request::get(&target).field("If-None-Match", "\"v1\"");
            let unchanged = gateway.send(&unchanged).await;
            assert_eq!(
                (unchanged.status, unchanged.header("vary")),
                (304, vary),
                "{target}"
            );
            assert_eq!(unchanged.header("content-type"), None);
            let part = match file {
                "" => Request::get(&format!("{target}&part")),
                _ => Request::get(&target).field("Range", "bytes=0-1"),
            };
            let part = gateway.send(&part.field("Accept-Encoding", "gzip")).await;
            assert_eq!((part.status, part.header("vary")), (206, vary), "{target}");
            assert_eq!(part.header("content-encoding"), None);
        }
    }
}
