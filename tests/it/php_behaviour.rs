//! What PHP scripts do beside printing: the client sees each as PHP means it.

use http_body_util::BodyExt;
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::harness::php_fpm::Setup;
use crate::harness::{
    Connection, Content, Gateway, GatewaySetup, PATIENCE, PhpFpm, Request, Response, eventually,
    http2, patiently,
};

fn alive(setup: Setup) -> GatewaySetup<Setup> {
    Gateway::before(setup)
        .file("index.php", "<?php echo 'alive';")
        .server("limits = { body = \"64MiB\" }")
}

/// The answers over both versions; then the same PHP still serves.
async fn both(gateway: &Gateway, request: &Request) -> [Response; 2] {
    let responses = [
        gateway.send(request).await,
        http2::send(gateway.address(), request).await,
    ];
    assert_eq!(gateway.get("/").await.text(), "alive", "after {request:?}");
    responses
}

/// Runs each script and compares status and content; the content is whole.
async fn check(php: &PhpFpm, gateway: &Gateway, cases: &[(&str, u16, &str)]) {
    for (script, status, content) in cases {
        php.write("case.php", format!("<?php {script}"));
        for response in both(gateway, &Request::get("/case.php")).await {
            assert_eq!(
                (response.status, response.text().as_str(), response.whole),
                (*status, *content, true),
                "{script}"
            );
        }
    }
}

/// Without a cache PHP sees each new case at once.
fn uncached(children: usize) -> Setup {
    Setup::new(children).line("php_admin_flag[opcache.enable] = off")
}

/// Scripts with what the client gets: status and content.
const HEADERS: &[(&str, u16, &str)] = &[
    ("http_response_code(418); echo 'tea';", 418, "tea"),
    (
        "header('HTTP/1.0 404 Gone Fishing'); echo 'gone';",
        404,
        "gone",
    ),
    ("header('HTTP/1.1 503'); echo 'busy';", 503, "busy"),
    ("header('Status: 402 Pay'); echo 'pay';", 402, "pay"),
    ("header('Location: /x'); echo 'moved';", 302, "moved"),
    ("header('Location: /x', true, 308);", 308, ""),
    (
        "header('Location: /x'); http_response_code(201); echo 'new';",
        201,
        "new",
    ),
    ("header('X: 1', true, 599); echo 'far';", 599, "far"),
    ("http_response_code(204); echo 'nothing';", 204, ""),
    ("http_response_code(304); echo 'nothing';", 304, ""),
    // PHP refuses it with a warning and goes on.
    (
        "@header(\"X-A: 1\\r\\nX-B: 2\"); echo 'one line';",
        200,
        "one line",
    ),
    ("@header(\"X-A: a\\0b\"); echo 'no NUL';", 200, "no NUL"),
    (
        "header('Transfer-Encoding: chunked'); echo 'plain';",
        200,
        "plain",
    ),
    ("header('Connection: close'); echo 'kept';", 200, "kept"),
    (
        "header('Content-Length: 4'); echo 'four and more';",
        200,
        "four",
    ),
    (
        "header_remove('Content-type'); header('Content-Type:'); echo 'untyped';",
        200,
        "untyped",
    ),
    ("echo 'early'; @header('X-A: 1');", 200, "early"),
    (
        "header('X-Long: ' . str_repeat('x', 60000)); echo 'long';",
        200,
        "long",
    ),
    (
        "ob_start(); echo 'inside'; header('X-A: 1'); ob_end_flush();",
        200,
        "inside",
    ),
];

#[tokio::test]
async fn header_calls_of_all_kinds() {
    let (php, gateway) = alive(uncached(1)).start().await;
    check(&php, &gateway, HEADERS).await;

    php.write(
        "fields.php",
        "<?php header('X-A: 1'); header('X-A: 2', false); header('x-b: 1'); header('X-B: 2'); setcookie('a', 'b c');
        setcookie('d', ''); header('Date: never'); header_remove('X-Powered-By'); header('X-Empty:');",
    );
    for response in both(&gateway, &Request::get("/fields.php")).await {
        assert_eq!(response.headers("x-a"), ["1", "2"]);
        assert_eq!(response.headers("x-b"), ["2"]);
        assert_eq!(response.headers("date").len(), 1);
        assert_eq!(response.headers("x-powered-by"), [""; 0]);
        let cookies = response.headers("set-cookie");
        assert_eq!(cookies[0], "a=b%20c");
        assert!(
            cookies.len() == 2 && cookies[1].starts_with("d=deleted;"),
            "{cookies:?}"
        );
    }

    php.write(
        "switch.php",
        "<?php header('HTTP/1.1 101 Switching Protocols');",
    );
    for response in both(&gateway, &Request::get("/switch.php")).await {
        assert_eq!((response.status, response.whole), (502, true));
    }
}

/// The same.
const ENDS: &[(&str, u16, &str)] = &[
    ("echo 'part'; exit;", 200, "part"),
    ("exit('a text');", 200, "a text"),
    ("echo 'code'; exit(255);", 200, "code"),
    ("exit(1);", 200, ""),
    ("throw new Exception('secret');", 500, ""),
    ("missing_function();", 500, ""),
    (
        "echo 'shown'; flush(); throw new Exception('secret');",
        200,
        "shown",
    ),
    ("this is no PHP", 500, ""),
    (
        "ini_set('memory_limit', '4M'); $a = str_repeat('x', 1 << 26);",
        500,
        "",
    ),
    (
        "echo 'some'; flush(); ini_set('memory_limit', '4M'); $a = str_repeat('x', 1 << 26);",
        200,
        "some",
    ),
    (
        "set_error_handler(fn() => exit('handled')); echo $undefined;",
        200,
        "handled",
    ),
    (
        "register_shutdown_function(function () { echo ' last'; }); echo 'first';",
        200,
        "first last",
    ),
    (
        "register_shutdown_function(function () { header('HTTP/1.1 503 Sorry'); echo 'sorry'; }); missing();",
        503,
        "sorry",
    ),
    ("ob_start(); echo 'never closed';", 200, "never closed"),
    (
        "ob_start(fn($text) => strtoupper($text)); echo 'upper';",
        200,
        "UPPER",
    ),
    (
        "error_log('a note'); trigger_error('a warning', E_USER_WARNING); echo 'noted';",
        200,
        "noted",
    ),
    (
        "fwrite(fopen('php://stderr', 'w'), 'to stderr'); echo 'fine';",
        200,
        "fine",
    ),
];

#[tokio::test]
async fn scripts_that_end_otherwise() {
    let (php, gateway) = alive(uncached(1)).start().await;
    check(&php, &gateway, ENDS).await;
    for text in ["secret", "Allowed memory size", "syntax error", "a warning"] {
        gateway
            .log
            .wait_for(|line| line.contains(text) && line.contains("request_id"))
            .await;
    }
}

/// Loops until PHP itself ends it, which is time of the processor and not of the clock.
const FOR_EVER: &str = "set_time_limit(1); while (true) { $a = md5('x'); }";

#[tokio::test]
async fn max_execution_time_ends_a_script() {
    let (php, gateway) = alive(uncached(2)).start().await;
    php.write("silent.php", format!("<?php {FOR_EVER}"));
    php.write(
        "begun.php",
        format!("<?php echo 'part'; flush(); {FOR_EVER}"),
    );
    let (silent, begun) = tokio::join!(gateway.get("/silent.php"), gateway.get("/begun.php"));
    assert_eq!(
        (silent.status, silent.text().as_str(), silent.whole),
        (500, "", true)
    );
    // PHP ends the answer in good order: nobody can tell it from a whole one but by the log.
    assert_eq!(
        (begun.status, begun.text().as_str(), begun.whole),
        (200, "part", true)
    );
    let lines = gateway
        .log
        .wait_many(0, 2, |line| line.contains("Maximum execution time"));
    assert_eq!(lines.await.len(), 2);
}

#[tokio::test]
async fn request_terminate_timeout_is_visible() {
    let setup = uncached(2).line("request_terminate_timeout = 1s");
    let (php, gateway) = alive(setup).start().await;
    php.write("silent.php", "<?php sleep(600);");
    php.write("begun.php", "<?php echo 'part'; flush(); sleep(600);");
    let post = Request::post("/silent.php");
    let (silent, begun) = tokio::join!(gateway.send(&post), gateway.get("/begun.php"));
    assert_eq!((silent.status, silent.whole), (502, true), "{silent:?}");
    // The break may overtake the head, and on a busy machine the script.
    let refused = begun.status == 502 && begun.whole;
    let cut = !begun.whole && "part".starts_with(&begun.text());
    assert!(refused || cut, "{begun:?}");
    assert_eq!(gateway.get("/").await.text(), "alive");
}

#[tokio::test]
async fn what_comes_after_finish_request_is_not_waited_for() {
    let (php, gateway) = alive(Setup::new(2)).start().await;
    php.write(
        "finish.php",
        "<?php header('X-A: 1'); echo 'done'; fastcgi_finish_request(); echo 'stolen'; $n = $_GET['n'];
        while (!file_exists(__DIR__ . \"/go-$n\")) { usleep(1000); clearstatcache(); } touch(__DIR__ . \"/ran-$n\");",
    );
    for number in 0..4 {
        let request = Request::get(&format!("/finish.php?n={number}"));
        let response = match number % 2 {
            0 => gateway.send(&request).await,
            _ => http2::send(gateway.address(), &request).await,
        };
        assert_eq!(
            (
                response.status,
                response.header("x-a"),
                response.text().as_str(),
                response.whole
            ),
            (200, Some("1"), "done", true),
            "{number}"
        );
        php.write(&format!("go-{number}"), "");
        let ran = php.root().join(format!("ran-{number}"));
        eventually("the script runs on", PATIENCE, async || ran.exists()).await;
        assert_eq!(gateway.get("/").await.text(), "alive");
    }
}

#[tokio::test]
async fn sessions_and_cookies_live_on() {
    let setup = Setup::new(3);
    let (php, gateway) = alive(setup).start().await;
    php.write(
        "session.php",
        "<?php session_save_path(__DIR__); session_start(); $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1;
        echo json_encode(['n' => $_SESSION['n'], 'cookies' => $_COOKIE]);",
    );
    let first = gateway.get("/session.php").await;
    assert_eq!(first.json()["n"], 1);
    let cookie = first.header("set-cookie").unwrap();
    let session = cookie.split(';').next().unwrap().to_owned();
    let mut connection = http2::Connection::open(gateway.address()).await;
    for number in 2..6 {
        // RFC 9113 §8.2.3: HTTP/2 may send each cookie in a field of its own.
        let request = Request::get("/session.php")
            .field("Cookie", &session)
            .field("Cookie", "a=%20; b=2");
        let response = match number % 2 {
            0 => gateway.send(&request).await,
            _ => connection.send(&request).await,
        };
        let seen = response.json();
        assert_eq!(seen["n"], number);
        assert_eq!(
            (&seen["cookies"]["a"], &seen["cookies"]["b"]),
            (&" ".into(), &"2".into())
        );
        assert_eq!(response.header("set-cookie"), None);
    }
}

/// A form with a field and the files `(name, content)`.
fn form(files: &[(&str, &[u8])]) -> Request {
    let mut body = b"--B\r\nContent-Disposition: form-data; name=\"a[b]\"\r\n\r\nx\r\n".to_vec();
    for (name, content) in files {
        let head = format!(
            "--B\r\nContent-Disposition: form-data; name=\"f[]\"; filename=\"{name}\"\r\nContent-Type: text/x\r\n\r\n"
        );
        body.extend([head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend(b"--B--\r\n");
    Request::post("/files.php")
        .field("Content-Type", "multipart/form-data; boundary=B")
        .body(body)
}

#[tokio::test]
async fn uploaded_files_arrive() {
    let setup = uncached(2)
        .line("php_admin_value[upload_max_filesize] = 10M")
        .line("php_admin_value[post_max_size] = 30M");
    let (php, gateway) = alive(setup).start().await;
    php.write(
        "files.php",
        "<?php $f = $_FILES['f'] ?? null; echo json_encode(['post' => $_POST, 'names' => $f['name'] ?? null, 'errors' => $f['error'] ?? null,
        'types' => $f['type'] ?? null, 'md5' => $f ? array_map(fn($t) => $t ? md5_file($t) : '', $f['tmp_name']) : null]);",
    );
    let large: Vec<u8> = (0..=250).cycle().take(9 << 20).collect();
    let files: [(&str, &[u8]); 3] = [
        ("größe \u{1F600}.txt", b"one"),
        ("empty", b""),
        ("large", &large),
    ];
    let request = form(&files);
    for request in [request.clone(), request.chunked()] {
        for response in both(&gateway, &request).await {
            let seen = response.json();
            assert_eq!(seen["post"]["a"]["b"], "x");
            assert_eq!(
                seen["names"],
                serde_json::json!(["größe \u{1F600}.txt", "empty", "large"])
            );
            assert_eq!(seen["errors"], serde_json::json!([0, 0, 0]));
            assert_eq!(seen["types"][0], "text/x");
            assert_eq!(seen["md5"][0], "f97c5d29941bfb1b2fdab0874906ab82");
            assert_eq!(seen["md5"][2].as_str().unwrap().len(), 32);
        }
    }
    // UPLOAD_ERR_INI_SIZE is PHP's to tell; over post_max_size it sees nothing of the form.
    let too_large = vec![b'x'; 11 << 20];
    for response in both(&gateway, &form(&[("big", &too_large), ("small", b"s")])).await {
        assert_eq!(response.json()["errors"], serde_json::json!([1, 0]));
    }
    let far_too_large = vec![b'x'; 31 << 20];
    for response in both(&gateway, &form(&[("huge", &far_too_large)])).await {
        assert_eq!(response.status, 200);
        assert!(
            response.text().contains("\"names\":null"),
            "{}",
            response.text()
        );
    }
}

/// Content that must be one block again and again.
struct Received<'a> {
    block: &'a [u8],
    length: usize,
}

impl<'a> Received<'a> {
    fn of(block: &'a [u8]) -> Self {
        Self { block, length: 0 }
    }

    #[track_caller]
    fn add(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let rest = &self.block[self.length % self.block.len()..];
            let (now, later) = piece.split_at(piece.len().min(rest.len()));
            assert!(rest.starts_with(now), "changed behind {}", self.length);
            self.length += now.len();
            piece = later;
        }
    }
}

#[tokio::test]
async fn two_hundred_mebibytes_by_readfile() {
    const SIZE: usize = 200 << 20;
    let (php, gateway) = alive(uncached(2)).start().await;
    let content = Content::mebibytes(4);
    let block: Vec<u8> = content.pieces().flat_map(|piece| piece.to_vec()).collect();
    php.write("block", &block);
    php.write(
        "read.php",
        "<?php if (isset($_GET['length'])) { header('Content-Length: ' . (50 * filesize(__DIR__ . '/block'))); }
        for ($i = 0; $i < 50; $i++) { readfile(__DIR__ . '/block'); }",
    );
    let mut received = Received::of(&block);
    let mut connection = Connection::open(gateway.address()).await;
    connection.start(&Request::get("/read.php")).await;
    assert_eq!(connection.head().await.status, 200);
    while let Some(piece) = connection.piece().await.unwrap() {
        received.add(&piece);
    }
    assert_eq!(received.length, SIZE);
    let mut received = Received::of(&block);
    let mut connection = http2::Connection::open(gateway.address()).await;
    let started = connection.start(&Request::get("/read.php?length")).await;
    assert_eq!(started.headers()["content-length"], SIZE.to_string());
    let mut content = started.into_body();
    while let Some(frame) = patiently("a frame", content.frame()).await {
        received.add(&frame.unwrap().into_data().unwrap_or_default());
    }
    assert_eq!(received.length, SIZE);
    assert!(
        gateway.peak_rss_kib() < 64 * 1024,
        "{} KiB",
        gateway.peak_rss_kib()
    );
    assert_eq!(gateway.get("/").await.text(), "alive");
}

#[tokio::test]
async fn each_flush_is_a_piece() {
    let (php, gateway) = alive(Setup::new(1)).start().await;
    php.write(
        "flush.php",
        "<?php header('X-Accel-Buffering: no'); for ($i = 0; $i < 5; $i++) { echo $i; flush();
        while (!file_exists(__DIR__ . '/seen-' . $_GET['v'] . $i)) { usleep(1000); clearstatcache(); } }",
    );
    let mut connection = Connection::open(gateway.address()).await;
    connection.start(&Request::get("/flush.php?v=1")).await;
    assert_eq!(connection.head().await.status, 200);
    for number in 0..5 {
        let piece = connection.piece().await.unwrap().unwrap();
        assert_eq!(piece, number.to_string().as_bytes());
        php.write(&format!("seen-1{number}"), "");
    }
    assert_eq!(connection.piece().await.unwrap(), None);
    let mut connection = http2::Connection::open(gateway.address()).await;
    let mut content = connection
        .start(&Request::get("/flush.php?v=2"))
        .await
        .into_body();
    for number in 0..5 {
        let frame = patiently("a frame", content.frame())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(frame.into_data().unwrap(), number.to_string().as_bytes());
        php.write(&format!("seen-2{number}"), "");
    }
}

/// The client leaves as soon as the script has begun; whether it then ends is PHP's own decision.
#[tokio::test]
async fn a_client_that_leaves_ends_what_does_not_ignore_that() {
    let (php, gateway) = alive(Setup::new(2)).start().await;
    php.write(
        "abort.php",
        "<?php ignore_user_abort($_GET['ignore'] == '1'); register_shutdown_function(function () {
            file_put_contents(__DIR__ . '/ended-' . $_GET['n'], json_encode(['aborted' => connection_aborted(), 'all' => isset($GLOBALS['all'])])); });
        echo 'begun'; flush();
        while (!file_exists(__DIR__ . '/left')) { usleep(1000); clearstatcache(); }
        for ($i = 0; $i < 50; $i++) { echo str_repeat('x', 100000); flush(); } $all = true;",
    );
    let ended = |name: &str| php.root().join(format!("ended-{name}"));
    for (name, ignore) in [("h1-0", 0), ("h1-1", 1)] {
        let mut client = Connection::open(gateway.address()).await;
        let target = format!("/abort.php?n={name}&ignore={ignore}");
        client.start(&Request::get(&target)).await;
        assert_eq!(client.head().await.status, 200);
    }
    // Both clients have left; the log line of a request is written when the gateway knows.
    gateway
        .access
        .wait_many(0, 2, |line| line.contains("/abort.php"))
        .await;
    php.write("left", "");
    for (name, all) in [("h1-0", false), ("h1-1", true)] {
        let file = ended(name);
        eventually("the end of the script", PATIENCE, async || {
            std::fs::read(&file).is_ok_and(|text| !text.is_empty())
        })
        .await;
        let seen: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(
            (&seen["aborted"], &seen["all"]),
            (&1.into(), &all.into()),
            "{name}"
        );
    }
    assert_eq!(gateway.get("/").await.text(), "alive");
}

/// A worker that dies by itself: a crash of PHP.
#[tokio::test]
async fn a_crash_is_never_a_clean_answer() {
    let (php, gateway) = alive(uncached(2)).start().await;
    php.write("pid.php", "<?php echo getmypid();");
    php.write(
        "begun.php",
        "<?php touch(__DIR__ . '/pid-' . getmypid()); echo 'part'; flush(); sleep(600);",
    );
    let mut client = Connection::open(gateway.address()).await;
    client.start(&Request::get("/begun.php")).await;
    assert_eq!(client.head().await.status, 200);
    assert_eq!(client.piece().await.unwrap().unwrap(), b"part");
    let crashed = php
        .workers()
        .into_iter()
        .find(|pid| php.root().join(format!("pid-{pid}")).exists());
    kill(crashed.unwrap(), Signal::SIGSEGV).unwrap();
    assert!(client.piece().await.is_err(), "a cut answer");
    assert_eq!(gateway.get("/").await.text(), "alive");
}
