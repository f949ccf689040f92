//! Large uploads to a real PHP: nothing is lost, and the gateway does not hold them in memory.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::harness::{Content, Gateway, PhpFpm, Request, http1, http2};

/// The digest that another program finds.
fn sha256(content: &Content) -> String {
    let mut command = Command::new("sha256sum");
    let mut program = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = program.stdin.take().unwrap();
    for piece in content.pieces() {
        input.write_all(piece).unwrap();
    }
    drop(input);
    let output = String::from_utf8(program.wait_with_output().unwrap().stdout).unwrap();
    output.split(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_hundred_mebibytes_arrive_in_every_way() {
    let php = PhpFpm::start(2).await;
    php.write("hash.php", "<?php $h = hash_init('sha256'); $n = hash_update_stream($h, fopen('php://input', 'r')); echo $n, ' ', hash_final($h);");
    let config = format!(
        "[server]\nspool_directory = \"{}\"\nlimits = {{ body = \"128MiB\" }}\n{}",
        php.root().display(),
        php.site()
    );
    let gateway = Gateway::start(&config).await;
    let content = Content::mebibytes(100);
    let expected = format!("{} {}", 100 << 20, sha256(&content));
    let upload = Request::post("/hash.php")
        .field("Content-Type", "application/octet-stream")
        .content(content);
    for (how, request) in [("announced", upload.clone()), ("chunked", upload.chunked())] {
        let response = http1::send(gateway.address(), &request).await;
        assert_eq!(
            (response.status, response.text()),
            (200, expected.clone()),
            "HTTP/1.1, {how}"
        );
        let response = http2::send(gateway.address(), &request).await;
        assert_eq!(
            (response.status, response.text()),
            (200, expected.clone()),
            "HTTP/2, {how}"
        );
    }
    assert!(
        gateway.peak_rss_kib() < 64 * 1024,
        "{} KiB",
        gateway.peak_rss_kib()
    );
    let left: Vec<_> = std::fs::read_dir(php.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["hash.php"], "no spooled body is left behind");
}
