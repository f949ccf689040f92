//! A real PHP-FPM behind a site of three lines.

use serde_json::Value;

use crate::harness::php_fpm::Setup;
use crate::harness::{Connection, Gateway, Request, http2};

const SERVER: &str = "<?php header('Content-Type: application/json'); echo json_encode($_SERVER);";

/// `$_SERVER[name]`; `Null` when it is not there.
#[track_caller]
fn check(server: &Value, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(server[name], *value, "{name}");
    }
}

#[tokio::test]
async fn php_sees_the_request_as_behind_apache() {
    let (php, gateway) = Gateway::with_php(1).start().await;
    php.write("info.php", SERVER);
    let root = php.root().display().to_string();
    let port = gateway.address().port().to_string();
    let host = format!("example.org:{port}");
    let request = Request::get("/info.php?a=1&b=%20")
        .field("Host", &host)
        .field("User-Agent", "it");
    let server = gateway.send(&request).await.json();
    let file = format!("{root}/info.php");
    check(
        &server,
        &[
            ("GATEWAY_INTERFACE", "CGI/1.1"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("REQUEST_METHOD", "GET"),
            ("REQUEST_URI", "/info.php?a=1&b=%20"),
            ("QUERY_STRING", "a=1&b=%20"),
            ("SCRIPT_NAME", "/info.php"),
            ("SCRIPT_FILENAME", &file),
            ("PHP_SELF", "/info.php"),
            ("DOCUMENT_ROOT", &root),
            ("SERVER_NAME", "example.org"),
            ("SERVER_ADDR", "127.0.0.1"),
            ("SERVER_PORT", &port),
            ("REMOTE_ADDR", "127.0.0.1"),
            ("REQUEST_SCHEME", "http"),
            ("HTTP_HOST", &host),
            ("HTTP_USER_AGENT", "it"),
        ],
    );
    for absent in ["PATH_INFO", "PATH_TRANSLATED", "HTTPS", "HTTP_PROXY"] {
        assert_eq!(server[absent], Value::Null, "{absent}");
    }
    assert!(
        server["REMOTE_PORT"]
            .as_str()
            .unwrap()
            .parse::<u16>()
            .is_ok()
    );
    assert!(
        server["SERVER_SOFTWARE"]
            .as_str()
            .unwrap()
            .starts_with("fcgate")
    );
}

#[tokio::test]
async fn scripts_path_info_and_the_front_controller() {
    let (php, gateway) = Gateway::with_php(1).start().await;
    for script in ["index.php", "info.php", "sub/index.php"] {
        php.write(script, SERVER);
    }
    php.write("style.css", "css");
    let expected = [
        (
            "/info.php/a%20b//c?q",
            "/info.php",
            "/a b/c",
            "/info.php/a b/c",
        ),
        ("/info.php/", "/info.php", "/", "/info.php/"),
        ("/", "/index.php", "", "/index.php"),
        ("/some/where?q", "/index.php", "", "/index.php"),
        ("/missing.php", "/index.php", "", "/index.php"),
        ("/sub/", "/sub/index.php", "", "/sub/index.php"),
    ];
    for (target, script_name, path_info, php_self) in expected {
        let server = gateway.get(target).await.json();
        check(
            &server,
            &[
                ("SCRIPT_NAME", script_name),
                ("REQUEST_URI", target),
                ("PHP_SELF", php_self),
            ],
        );
        assert_eq!(
            server["PATH_INFO"].as_str().unwrap_or_default(),
            path_info,
            "{target}"
        );
        assert_eq!(
            server["SCRIPT_FILENAME"],
            format!("{}{script_name}", php.root().display()),
            "{target}"
        );
    }
    assert_eq!(gateway.get("/style.css").await.text(), "css");
    let folder = gateway.get("/sub?a=b").await;
    assert_eq!(
        (folder.status, folder.header("location")),
        (301, Some("/sub/?a=b"))
    );
}

#[tokio::test]
async fn forms_files_and_bodies_arrive() {
    let (php, gateway) = Gateway::with_php(1).start().await;
    php.write(
        "post.php",
        "<?php $f = $_FILES['f'] ?? null; echo json_encode(['post' => $_POST, 'input' => file_get_contents('php://input'),
            'length' => $_SERVER['CONTENT_LENGTH'] ?? null, 'file' => $f ? [$f['name'], file_get_contents($f['tmp_name'])] : null]);",
    );
    let form = Request::post("/post.php")
        .field("Content-Type", "application/x-www-form-urlencoded")
        .body("a=1&b%5B%5D=x%20y");
    for request in [form.clone(), form.chunked()] {
        let seen = gateway.send(&request).await.json();
        assert_eq!(seen["post"], serde_json::json!({ "a": "1", "b": ["x y"] }));
        assert_eq!(seen["length"], "17");
    }
    let parts = "--B\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\ncontent\r\n--B--\r\n";
    let upload = Request::post("/post.php")
        .field("Content-Type", "multipart/form-data; boundary=B")
        .body(parts);
    let seen = gateway.send(&upload).await.json();
    assert_eq!(seen["file"], serde_json::json!(["a.txt", "content"]));
    for method in ["PUT", "DELETE", "PATCH", "GET"] {
        let request = Request::new(method, "/post.php").body("raw").chunked();
        for response in [
            gateway.send(&request).await,
            http2::send(gateway.address(), &request).await,
        ] {
            let seen = response.json();
            assert_eq!(
                (&seen["input"], &seen["length"]),
                (&"raw".into(), &"3".into()),
                "{method}"
            );
        }
    }
}

#[tokio::test]
async fn php_that_does_not_read_its_body_answers_all_the_same() {
    let setups = [
        Setup::new(1).line("php_admin_flag[enable_post_data_reading] = off"),
        Setup::new(1).line("php_admin_value[post_max_size] = 1K"),
    ];
    for setup in setups {
        let php = setup.start().await;
        php.write("early.php", "<?php echo 'early';");
        let gateway = Gateway::start(&php.site()).await;
        let form =
            Request::post("/early.php").field("Content-Type", "application/x-www-form-urlencoded");
        for _ in 0..2 {
            let response = gateway.send(&form.clone().body(vec![b'x'; 5 << 20])).await;
            assert_eq!(response.status, 200);
            assert!(response.text().ends_with("early"), "{}", response.text());
        }
        assert_eq!(gateway.get("/early.php").await.text(), "early");
    }
}

#[tokio::test]
async fn what_php_flushes_arrives_at_once() {
    let (php, gateway) = Gateway::with_php(1).start().await;
    php.write(
        "stream.php",
        "<?php echo 'first'; flush(); while (!file_exists(__DIR__ . '/go')) { usleep(1000); clearstatcache(); } echo 'second';",
    );
    let mut connection = Connection::open(gateway.address()).await;
    connection.start(&Request::get("/stream.php")).await;
    assert_eq!(connection.head().await.status, 200);
    assert_eq!(connection.piece().await.unwrap().unwrap(), b"first");
    php.write("go", "");
    assert_eq!(connection.piece().await.unwrap().unwrap(), b"second");
    assert_eq!(connection.piece().await.unwrap(), None);
}

#[tokio::test]
async fn requests_wait_for_a_php_that_is_not_there_yet() {
    let mut php = Setup::new(1).prepare();
    php.write("index.php", "<?php echo 'hello';");
    let gateway = Gateway::start(&php.site()).await;
    let (response, ()) = tokio::join!(gateway.get("/"), php.start_again());
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
    php.restart().await;
    assert_eq!(gateway.get("/").await.text(), "hello");
    php.stop();
    let post = Request::post("/").body("x");
    let (response, ()) = tokio::join!(gateway.send(&post), php.start_again());
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));
}

#[tokio::test]
async fn a_php_that_never_comes_is_named() {
    let php = Setup::new(1).tcp().prepare();
    php.write("index.php", "");
    let config = format!(
        "[upstream.php]\nservers = \"{}\"\ntimeouts = {{ queue = \"300ms\" }}\n[[site]]\nroot = \"{}\"\nphp = \"php\"\n",
        php.address(),
        php.root().display()
    );
    let gateway = Gateway::start(&config).await;
    let response = gateway.get("/").await;
    assert_eq!(response.status, 503);
    assert!(response.header("retry-after").is_some());
    let address = php.address().to_string();
    gateway
        .log
        .wait_for(|line| line.contains("UPSTREAM_DOWN") && line.contains(&address))
        .await;
}

#[tokio::test]
async fn a_fatal_error_is_in_the_log_and_not_on_the_page() {
    let php = Setup::new(1).tcp().start().await;
    php.write("fatal.php", "<?php throw new Exception('what went wrong');");
    php.write("index.php", "<?php echo 'hello';");
    let gateway = Gateway::start(&php.site()).await;
    let response = gateway.get("/fatal.php").await;
    assert_eq!(response.status, 500);
    assert!(!response.text().contains("what went wrong"));
    gateway
        .log
        .wait_for(|line| {
            line.contains("what went wrong")
                && line.contains("request_id")
                && line.contains("/fatal.php")
        })
        .await;
    assert_eq!(gateway.get("/").await.text(), "hello");
}

#[tokio::test]
async fn more_clients_than_workers_are_all_served() {
    let (php, gateway) = Gateway::with_php(2).start().await;
    php.write("slow.php", "<?php usleep(5000); echo $_GET['n'];");
    let address = gateway.address().clone();
    let clients = (0..40).map(|number| {
        let address = address.clone();
        tokio::spawn(async move {
            let mut connection = Connection::open(&address).await;
            for turn in 0..5 {
                let text = format!("{number}-{turn}");
                let response = connection
                    .send(&Request::get(&format!("/slow.php?n={text}")))
                    .await;
                assert_eq!((response.status, response.text()), (200, text));
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn head_has_no_content_and_leaves_the_connection_usable() {
    let (php, gateway) = Gateway::with_php(1).start().await;
    php.write(
        "index.php",
        "<?php header('X-A: 1'); echo str_repeat('x', 100000);",
    );
    let mut connection = Connection::open(gateway.address()).await;
    for _ in 0..3 {
        let head = connection.send(&Request::new("HEAD", "/")).await;
        assert_eq!(
            (head.status, head.header("x-a"), head.whole),
            (200, Some("1"), true)
        );
    }
    assert_eq!(
        connection.send(&Request::get("/")).await.body.len(),
        100_000
    );
    let head = http2::send(gateway.address(), &Request::new("HEAD", "/")).await;
    assert_eq!((head.status, head.body.len(), head.whole), (200, 0, true));
}
