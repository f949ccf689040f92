//! Content codings: what is coded, that it is what it was, that it comes in time, and that a client that has it is told
//! so.

use std::fs::File;
use std::time::{Duration, SystemTime};

use compression_codecs::core::util::{PartialBuffer, WriteBuffer};
use compression_codecs::{BrotliDecoder, DecodeV2, GzipDecoder, ZstdDecoder};
use http_body_util::BodyExt;

use crate::harness::php_fpm::write_below;
use crate::harness::{
    Connection, Files, Gate, Gateway, GatewaySetup, PhpFpm, Request, Response, Script, http2,
    patiently, scripted_responder,
};

const CODINGS: [&str; 3] = ["br", "zstd", "gzip"];

/// What a client makes of the bytes so far, and whether it has seen the end.
pub(crate) fn decode(coding: &str, coded: &[u8]) -> (Vec<u8>, bool) {
    let mut decoder: Box<dyn DecodeV2> = match coding {
        "br" => Box::new(BrotliDecoder::new()),
        "zstd" => Box::new(ZstdDecoder::new()),
        _ => Box::new(GzipDecoder::new()),
    };
    let mut input = PartialBuffer::new(coded);
    let mut plain = Vec::new();
    loop {
        let mut scratch = [0; 65_536];
        let mut output = WriteBuffer::new_initialized(&mut scratch);
        let ended = decoder.decode(&mut input, &mut output).unwrap();
        plain.extend_from_slice(output.written());
        if ended || (input.unwritten().is_empty() && !output.has_no_spare_space()) {
            return (plain, ended);
        }
    }
}

/// Lines of text, none like another.
fn text(length: usize) -> Vec<u8> {
    let lines = (0_u64..).map(|line| {
        let number = line.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("line {line} says {number:x}\n")
    });
    let mut text: Vec<u8> = lines
        .take(length / 12)
        .flat_map(String::into_bytes)
        .collect();
    text.truncate(length);
    text
}

fn accepting(target: &str, coding: &str) -> Request {
    Request::get(target).field("Accept-Encoding", coding)
}

/// The same request in both versions.
async fn both(gateway: &Gateway, request: &Request) -> [Response; 2] {
    let h1 = gateway.send(request).await;
    let h2 = http2::send(gateway.address(), request).await;
    [h1, h2]
}

/// It has this coding and, decoded, this content.
#[track_caller]
fn assert_coded(response: &Response, coding: &str, content: &[u8]) {
    assert_eq!(response.status, 200, "{coding}");
    assert_eq!(response.header("content-encoding"), Some(coding));
    assert_eq!(response.header("vary"), Some("Accept-Encoding"));
    assert_eq!(response.header("accept-ranges"), None);
    assert!(response.whole, "{coding}");
    let (plain, ended) = decode(coding, &response.body);
    assert!(ended && plain == content, "{coding}: {} bytes", plain.len());
    if let Some(length) = response.header("content-length") {
        assert_eq!(length, response.body.len().to_string());
    }
}

/// A gateway that serves files only.
fn files(compress: &str, files: &[(&str, &[u8])]) -> GatewaySetup<Files> {
    let gateway = Gateway::with_files().site(&format!("compress = {compress}"));
    files.iter().fold(gateway, |gateway, (name, content)| {
        gateway.file(name, content)
    })
}

fn scripted(scripts: impl IntoIterator<Item = Script>) -> GatewaySetup<scripted_responder::Setup> {
    Gateway::with_app(scripts).site("compress = true")
}

#[tokio::test]
async fn files_arrive_as_they_are_in_every_coding() {
    let (small, large, huge) = (text(20_000), text(300_000), text(5_000_000));
    let tree: [(&str, &[u8]); 4] = [
        ("small.css", &small),
        ("large.js", &large),
        ("huge.txt", &huge),
        ("tiny.txt", b"tiny"),
    ];
    let gateway = files("true", &tree).start().await;
    for coding in CODINGS {
        // The second time from the cache, but for the one that is too large for it.
        for (name, content) in tree.iter().take(3).chain(&tree[..3]) {
            for response in both(&gateway, &accepting(&format!("/{name}"), coding)).await {
                assert_coded(&response, coding, content);
                assert!(response.body.len() < content.len());
            }
        }
        let tiny = gateway.send(&accepting("/tiny.txt", coding)).await;
        assert_eq!(
            (tiny.header("content-encoding"), tiny.text().as_str()),
            (None, "tiny")
        );
        // A result that is kept has its length.
        let kept = gateway.send(&accepting("/large.js", coding)).await;
        assert!(kept.header("content-length").is_some());
    }
    let old = accepting("/huge.txt", "gzip").http10();
    assert_coded(&gateway.send(&old).await, "gzip", &huge);
}

#[tokio::test]
async fn what_an_http2_stream_leaves_in_the_cache_is_whole() {
    let large = text(300_000);
    let gateway = files("true", &[("large.js", &large)]).start().await;
    for coding in CODINGS {
        let request = accepting("/large.js", coding);
        let made = http2::send(gateway.address(), &request).await;
        assert_coded(&made, coding, &large);
        for kept in both(&gateway, &request).await {
            assert_coded(&kept, coding, &large);
            assert!(kept.header("content-length").is_some());
            assert!(kept.body == made.body, "{coding}");
        }
    }
}

#[tokio::test]
async fn a_changed_file_is_not_answered_from_the_cache() {
    let gateway = files("true", &[("a.js", &text(300_000)), ("b.js", &text(9000))])
        .start()
        .await;
    let root = gateway.directory().join("public");
    for round in 0..4 {
        let (large, small) = (text(200_000 + round * 10_000), text(8000 - round));
        write_below(&root, "a.js", &large);
        write_below(&root, "b.js", &small);
        for _ in 0..2 {
            assert_coded(&gateway.send(&accepting("/a.js", "br")).await, "br", &large);
            assert_coded(&gateway.send(&accepting("/b.js", "br")).await, "br", &small);
        }
    }
}

#[tokio::test]
async fn what_php_prints_arrives_as_it_is_in_every_coding() {
    let php = PhpFpm::start(2).await;
    php.write(
        "print.php",
        "<?php if (isset($_GET['length'])) header('Content-Length: ' . $_GET['n'] * 30);
         for ($i = 0; $i < $_GET['n']; $i++) { printf('%029d', $i * 7919 % 100003); echo \"\\n\"; if ($i % 1000 == 0) flush(); }",
    );
    let gateway = Gateway::start(&format!("{}compress = true\n", php.site())).await;
    let lines = |count: usize| -> Vec<u8> {
        let lines = (0..count).flat_map(|i| format!("{:029}\n", i * 7919 % 100_003).into_bytes());
        lines.collect()
    };
    for coding in CODINGS {
        for (query, count) in [
            ("n=100", 100),
            ("n=50000", 50_000),
            ("n=50000&length", 50_000),
        ] {
            let request = accepting(&format!("/print.php?{query}"), coding);
            for response in both(&gateway, &request).await {
                assert_coded(&response, coding, &lines(count));
            }
        }
        let personal = accepting("/print.php?n=100", coding).field("Cookie", "a=b");
        let plain = gateway.send(&personal).await;
        assert!(plain.header("content-encoding").is_none() && plain.body == lines(100));
        let own = personal.field("Sec-Fetch-Site", "same-origin");
        assert_coded(&gateway.send(&own).await, coding, &lines(100));
    }
}

/// Reads until what has come is `wanted`; the stream is still open then.
async fn read_until(client: &mut Reading, coding: &str, wanted: &[u8]) {
    while decode(coding, &client.coded).0 != wanted {
        let piece = client.piece().await;
        let piece = piece.unwrap_or_else(|| panic!("{coding}: the end came before {wanted:?}"));
        client.coded.extend(piece);
    }
}

struct Reading {
    coded: Vec<u8>,
    from: From,
}

enum From {
    Http1(Connection),
    Http2(hyper::body::Incoming),
}

impl Reading {
    async fn piece(&mut self) -> Option<Vec<u8>> {
        match &mut self.from {
            From::Http1(client) => client.piece().await.unwrap(),
            From::Http2(body) => {
                let frame = patiently("a frame", body.frame()).await?;
                Some(frame.unwrap().into_data().unwrap_or_default().to_vec())
            }
        }
    }

    async fn open(gateway: &Gateway, version: &str, request: &Request) -> Self {
        let from = match version {
            "h1" => {
                let mut client = Connection::open(gateway.address()).await;
                client.start(request).await;
                assert_eq!(client.head().await.status, 200);
                From::Http1(client)
            }
            _ => {
                let mut client = http2::Connection::open(gateway.address()).await;
                From::Http2(client.start(request).await.into_body())
            }
        };
        Self {
            coded: Vec::new(),
            from,
        }
    }
}

#[tokio::test]
async fn each_piece_is_with_the_client_before_the_next_is_printed() {
    let gate = Gate::new();
    let script = Script::new()
        .read_request()
        .stdout("Content-Type: text/html\n\n<p>one")
        .wait(&gate)
        .stdout("<p>two")
        .wait(&gate)
        .stdout("<p>three")
        .end_request();
    let (_responder, gateway) = scripted([script]).start().await;
    for coding in CODINGS {
        for version in ["h1", "h2"] {
            let mut client = Reading::open(&gateway, version, &accepting("/", coding)).await;
            read_until(&mut client, coding, b"<p>one").await;
            gate.pass(1);
            read_until(&mut client, coding, b"<p>one<p>two").await;
            gate.pass(1);
            while let Some(piece) = client.piece().await {
                client.coded.extend(piece);
            }
            let whole = decode(coding, &client.coded);
            assert_eq!(whole, (b"<p>one<p>two<p>three".to_vec(), true), "{version}");
        }
    }
}

#[tokio::test]
async fn what_must_stay_as_it_is_stays() {
    let long = "x".repeat(4000);
    for head in [
        "Content-Type: text/event-stream",
        "Content-Type: text/plain\nCache-Control: no-transform",
        "Content-Type: text/plain\nContent-Encoding: x-own",
        "Content-Type: image/png",
        "Content-Type: text/plain\nStatus: 206\nContent-Range: bytes 0-3999/5000",
        "Content-Type: text/plain\nSet-Cookie: a=b",
    ] {
        let script = Script::answer(format!("{head}\n\n{long}"));
        let (_responder, gateway) = scripted([script]).start().await;
        for response in both(&gateway, &accepting("/", "br, gzip, zstd")).await {
            let own = response.header("content-encoding");
            assert_eq!(own, head.contains("x-own").then_some("x-own"), "{head}");
            assert_eq!(response.text(), long, "{head}");
        }
    }
    for status in [204, 304] {
        let script = Script::answer(format!("Status: {status}\nContent-Type: text/html\n\n"));
        let (_responder, gateway) = scripted([script]).start().await;
        let response = gateway.send(&accepting("/", "gzip")).await;
        assert_eq!(
            (response.status, response.header("content-encoding")),
            (status, None)
        );
        assert!(response.body.is_empty());
    }
}

#[tokio::test]
async fn a_cut_answer_is_visibly_cut_in_every_coding() {
    let part = String::from_utf8(text(30_000)).unwrap();
    for (name, head) in [("no length", ""), ("a length", "Content-Length: 60000\n")] {
        let gate = Gate::new();
        let script = Script::new()
            .read_request()
            .stdout(format!("Content-Type: text/plain\n{head}\n{part}"))
            .wait(&gate)
            .close();
        let (_responder, gateway) = scripted([script]).start().await;
        for coding in CODINGS {
            for version in ["h1", "h2"] {
                let mut client = Reading::open(&gateway, version, &accepting("/", coding)).await;
                read_until(&mut client, coding, part.as_bytes()).await;
                gate.pass(1);
                let broken = match &mut client.from {
                    From::Http1(client) => loop {
                        match client.piece().await {
                            Ok(Some(_)) => {}
                            Ok(None) => break false,
                            Err(_) => break true,
                        }
                    },
                    From::Http2(body) => loop {
                        match patiently("a frame", body.frame()).await {
                            Some(Ok(_)) => {}
                            None => break false,
                            Some(Err(_)) => break true,
                        }
                    },
                };
                assert!(broken, "{name}, {coding}, {version}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_has_it_in_a_coding_is_told_so() {
    let php = PhpFpm::start(2).await;
    php.write(
        "tag.php",
        "<?php header('ETag: \"v1\"'); header('X-Seen: ' . ($_SERVER['HTTP_IF_NONE_MATCH'] ?? '-')
         . ' ' . ($_SERVER['HTTP_IF_MATCH'] ?? '-')); echo str_repeat('page ', 1000);",
    );
    php.write("a.css", text(9000));
    php.write("large.css", text(200_000));
    let gateway = Gateway::start(&format!("{}compress = true\n", php.site())).await;
    for target in ["/tag.php", "/a.css", "/large.css"] {
        let plain = gateway.get(target).await.header("etag").unwrap().to_owned();
        for coding in CODINGS {
            let first = gateway.send(&accepting(target, coding)).await;
            let tag = first.header("etag").unwrap().to_owned();
            assert_eq!(tag, format!("{}~{coding}\"", plain.trim_end_matches('"')));
            let again = accepting(target, coding).field("If-None-Match", &tag);
            for response in both(&gateway, &again).await {
                assert_eq!(response.status, 304, "{target} {coding}");
                assert_eq!(response.header("etag"), Some(tag.as_str()));
                assert_eq!(response.header("vary"), Some("Accept-Encoding"));
                assert_eq!(response.header("content-encoding"), None);
            }
            // Another coding is another representation, and so is none.
            let other = Request::get(target).field("If-None-Match", &tag);
            assert_eq!(gateway.send(&other).await.status, 200);
            let head = Request {
                method: "HEAD".to_owned(),
                ..again.clone()
            };
            assert_eq!(gateway.send(&head).await.status, 304, "{target}");
        }
    }
    let request = accepting("/tag.php", "br").field("If-Match", "\"v1~br\"");
    let seen = gateway.send(&request).await;
    assert_eq!(
        (seen.status, seen.header("x-seen")),
        (200, Some("- \"v1\""))
    );
}

#[tokio::test]
async fn head_says_what_get_says() {
    let gateway = files(
        "true",
        &[("a.css", &text(9000)), ("large.css", &text(200_000))],
    )
    .start()
    .await;
    for target in ["/a.css", "/large.css"] {
        for coding in ["br", "identity"] {
            let get = gateway.send(&accepting(target, coding)).await;
            let head = Request {
                method: "HEAD".to_owned(),
                ..accepting(target, coding)
            };
            for head in both(&gateway, &head).await {
                for name in [
                    "content-encoding",
                    "etag",
                    "vary",
                    "content-type",
                    "accept-ranges",
                ] {
                    assert_eq!(
                        head.header(name),
                        get.header(name),
                        "{target} {coding} {name}"
                    );
                }
                assert!(head.body.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn parts_are_of_the_file_as_it_is() {
    let content = text(9000);
    let gateway = files("true", &[("a.css", &content)]).start().await;
    let coded = gateway.send(&accepting("/a.css", "gzip")).await;
    let coded = coded.header("etag").unwrap();
    let plain = gateway.get("/a.css").await;
    let plain = plain.header("etag").unwrap();
    let part = accepting("/a.css", "gzip").field("Range", "bytes=10-19");
    for (condition, expected) in [(None, 206), (Some(plain), 206), (Some(coded), 200)] {
        let request = match condition {
            Some(tag) => part.clone().field("If-Range", tag),
            None => part.clone(),
        };
        let response = gateway.send(&request).await;
        assert_eq!(response.status, expected, "{condition:?}");
        if expected == 206 {
            assert_eq!(response.header("content-encoding"), None);
            assert_eq!(response.header("etag"), Some(plain));
            assert_eq!(response.body, content[10..20]);
        } else {
            assert_coded(&response, "gzip", &content);
        }
    }
}

/// Files with variants, of which `app.js` has good ones.
async fn precompressed(plain: &[u8]) -> Gateway {
    let tree: [(&str, &[u8]); 9] = [
        ("app.js", plain),
        ("app.js.br", b"as brotli"),
        ("app.js.gz", b"as gzip"),
        ("old.js", plain),
        ("old.js.br", b"old"),
        ("a.bin", plain),
        ("a.bin.br", b"never"),
        ("dir.js", plain),
        ("dir.js.br/x", b"a folder is no variant"),
    ];
    let gateway = files("{ precompressed = true }", &tree).start().await;
    let root = gateway.directory().join("public");
    let long_ago = SystemTime::now() - Duration::from_secs(3600);
    let old = File::options().write(true).open(root.join("old.js.br"));
    old.unwrap().set_modified(long_ago).unwrap();
    gateway
}

#[tokio::test]
async fn files_that_were_compressed_before_are_sent() {
    let plain = text(9000);
    let gateway = precompressed(&plain).await;
    let whole = gateway.get("/app.js").await;
    assert!(whole.body == plain && whole.header("vary") == Some("Accept-Encoding"));
    let tag = whole.header("etag").unwrap().trim_end_matches('"');
    for (accepts, coding, body) in [
        ("br, gzip", "br", "as brotli"),
        ("gzip", "gzip", "as gzip"),
        ("gzip, br;q=0.5", "gzip", "as gzip"),
        // There is none for zstd, and what is there comes before what would have to be made.
        ("zstd, gzip;q=0.5", "gzip", "as gzip"),
    ] {
        for response in both(&gateway, &accepting("/app.js", accepts)).await {
            let own = format!("{tag}~{coding}\"");
            let length = body.len().to_string();
            assert_eq!(response.text(), body, "{accepts}");
            for (name, expected) in [
                ("content-encoding", Some(coding)),
                ("content-type", whole.header("content-type")),
                ("content-length", Some(length.as_str())),
                ("vary", Some("Accept-Encoding")),
                ("accept-ranges", None),
                ("etag", Some(own.as_str())),
            ] {
                assert_eq!(response.header(name), expected, "{accepts} {name}");
            }
            let again = accepting("/app.js", accepts).field("If-None-Match", &own);
            let again = gateway.send(&again).await;
            assert_eq!(
                (again.status, again.header("etag")),
                (304, Some(own.as_str()))
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_variant_is_not_sent_as_one() {
    let plain = text(9000);
    let gateway = precompressed(&plain).await;
    for (target, coding) in [("/app.js", "zstd"), ("/old.js", "br"), ("/dir.js", "br")] {
        let made = gateway.send(&accepting(target, coding)).await;
        assert_coded(&made, coding, &plain);
    }
    let other = gateway.send(&accepting("/a.bin", "br")).await;
    assert!(other.body == plain && other.header("content-encoding").is_none());
    let part = accepting("/app.js", "br").field("Range", "bytes=0-9");
    let part = gateway.send(&part).await;
    assert!(part.status == 206 && part.body == plain[..10]);
    assert_eq!(part.header("content-encoding"), None);
}

#[tokio::test]
async fn without_the_key_nothing_changes() {
    let gateway = files("false", &[("a.css", &text(9000)), ("a.css.br", b"no")])
        .start()
        .await;
    let response = gateway.send(&accepting("/a.css", "br, gzip")).await;
    assert!(response.body == text(9000));
    assert_eq!(
        (response.header("content-encoding"), response.header("vary")),
        (None, None)
    );
    assert_eq!(response.header("accept-ranges"), Some("bytes"));
}

#[tokio::test]
async fn rules_have_the_last_word() {
    let gateway_of = |rules: &str| {
        let rules = rules.to_owned();
        async move {
            let content = text(9000);
            files(&format!("true\n{rules}"), &[("a.css", &content)])
                .start()
                .await
        }
    };
    let kept = gateway_of("[[site.rule]]\nprefix = \"/\"\nresponse_headers = { append = { Cache-Control = \"no-transform\" } }").await;
    let response = kept.send(&accepting("/a.css", "gzip")).await;
    assert!(response.header("content-encoding").is_none() && response.body == text(9000));
    let varied = gateway_of(
        "[[site.rule]]\nprefix = \"/\"\nresponse_headers = { set = { Vary = \"Origin\" } }",
    )
    .await;
    let response = varied.send(&accepting("/a.css", "gzip")).await;
    assert_eq!(response.header("vary"), Some("Origin, Accept-Encoding"));
    assert_eq!(response.header("content-encoding"), Some("gzip"));
}
