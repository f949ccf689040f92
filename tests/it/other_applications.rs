//! Applications that are not PHP-FPM: php-cgi, and a program in Perl with libfcgi. The base set works with each.

use std::path::Path;

use crate::harness::application::{self, Application};
use crate::harness::php_fpm::free_port;
use crate::harness::{Address, Connection, Gateway, Request, Response, http2};

/// Where the two programs are, which answer alike.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/other_applications");

/// A gateway whose `/app` is `script` on this server, the upstream having further `lines`.
async fn gateway(address: &Address, script: &str, lines: &str) -> Gateway {
    let config = format!(
        "[server]\nlog = \"debug\"\nlimits = {{ body = \"64MiB\" }}\n[upstream.app]\nservers = \"{address}\"\n{lines}\n\
         [[site]]\nroot = \"{FOLDER}\"\n[[site.rule]]\nmatch = '^/app(/.*)?$'\n\
         fastcgi = {{ upstream = \"app\", script = \"{FOLDER}/{script}\", path_info = \"$1\" }}\n"
    );
    Gateway::start(&config).await
}

async fn both(gateway: &Gateway, request: &Request) -> [Response; 2] {
    [
        gateway.send(request).await,
        http2::send(gateway.address(), request).await,
    ]
}

/// Fails unless the program saw exactly this.
async fn check_seen(gateway: &Gateway, request: Request, seen: &str) {
    for response in both(gateway, &request.field("X-Field", "a, b")).await {
        assert_eq!(
            (response.status, response.text().as_str(), response.whole),
            (200, seen, true)
        );
    }
}

async fn requests_arrive(gateway: &Gateway) {
    check_seen(
        gateway,
        Request::get("/app/a%20b/%C3%A9?x=1&y=%20"),
        "REQUEST_METHOD=GET\nQUERY_STRING=x=1&y=%20\nPATH_INFO=/a b/é\nCONTENT_LENGTH=\nHTTP_X_FIELD=a, b\ncontent=0 \n",
    )
    .await;
    let post = Request::post("/app").body("12345678");
    for request in [post.clone(), post.chunked()] {
        check_seen(
            gateway,
            request,
            "REQUEST_METHOD=POST\nQUERY_STRING=\nPATH_INFO=\nCONTENT_LENGTH=8\nHTTP_X_FIELD=a, b\ncontent=8 12345\n",
        )
        .await;
    }
    let large = Request::new("PUT", "/app?large").body(vec![b'x'; 3 << 20]);
    for request in [large.clone(), large.chunked()] {
        check_seen(
            gateway,
            request,
            "REQUEST_METHOD=PUT\nQUERY_STRING=large\nPATH_INFO=\nCONTENT_LENGTH=3145728\nHTTP_X_FIELD=a, b\ncontent=3145728 xxxxx\n",
        )
        .await;
    }
}

async fn answers_arrive(gateway: &Gateway) {
    for response in both(gateway, &Request::get("/app?big")).await {
        let expected = "0123456789abcdef".repeat(65_536);
        assert!(response.status == 200 && response.whole && response.text() == expected);
    }
    for response in both(gateway, &Request::get("/app?status")).await {
        assert_eq!((response.status, response.text().as_str()), (418, "tea"));
        assert_eq!(response.headers("x-a"), ["1", "2"]);
    }
    for response in both(gateway, &Request::get("/app?location")).await {
        assert_eq!(
            (response.status, response.header("location"), response.whole),
            (302, Some("/elsewhere"), true)
        );
    }
    for response in both(gateway, &Request::get("/app?stderr")).await {
        assert_eq!((response.status, response.text().as_str()), (200, "noted"));
    }
    let noted =
        |line: &str| line.contains("a note of the application") && line.contains("request_id");
    gateway.log.wait_many(0, 2, noted).await;
    for target in ["/app", "/app?big"] {
        for response in both(gateway, &Request::new("HEAD", target)).await {
            assert_eq!(
                (response.status, response.body.len(), response.whole),
                (200, 0, true)
            );
        }
    }
}

/// Fifty clients at once, over both versions, each with answers of its own.
async fn fifty_clients_are_served(gateway: &Gateway) {
    let address = gateway.address();
    let clients = (0..50).map(|number| async move {
        let mut http1 = Connection::open(address).await;
        let mut http2 = http2::Connection::open(address).await;
        for turn in 0..4 {
            let request = Request::post(&format!("/app?{number}-{turn}")).body("abc");
            let response = match (number + turn) % 2 {
                0 => http1.send(&request).await,
                _ => http2.send(&request).await,
            };
            let own = format!("\nQUERY_STRING={number}-{turn}\n");
            assert!(
                response.status == 200 && response.whole && response.text().contains(&own),
                "{number}-{turn}: {response:?}"
            );
        }
    });
    futures_util::future::join_all(clients).await;
}

async fn check_base_set(gateway: &Gateway) {
    requests_arrive(gateway).await;
    answers_arrive(gateway).await;
    fifty_clients_are_served(gateway).await;
    requests_arrive(gateway).await;
}

#[tokio::test]
async fn php_cgi_passes_the_base_set() {
    let folder = tempfile::tempdir().unwrap();
    let unix = Address::Unix(folder.path().join("php.sock"));
    for (children, address, lines) in [
        (0, unix, ""),
        (4, Address::Tcp(free_port()), ""),
        (4, Address::Tcp(free_port()), "capacity = 4"),
    ] {
        let _php = application::php_cgi(children, &address).await;
        check_base_set(&gateway(&address, "app.php", lines).await).await;
    }
}

/// Two processes, and leave for as many connections or none.
async fn perl(address: Address, lines: &str) -> (Application, Gateway) {
    let program = Path::new(FOLDER).join("app.pl");
    let application = application::perl(&program, 2, &address).await;
    let gateway = gateway(&address, "app.pl", lines).await;
    (application, gateway)
}

#[tokio::test]
async fn a_program_with_libfcgi_passes_the_base_set() {
    let folder = tempfile::tempdir().unwrap();
    for (number, lines) in [
        "",
        "capacity = 2",
        "capacity = 2\nkeep = \"10s\"\nturn = \"10s\"",
    ]
    .iter()
    .enumerate()
    {
        let address = Address::Unix(folder.path().join(format!("{number}.sock")));
        let (_application, gateway) = perl(address, lines).await;
        check_base_set(&gateway).await;
        // libfcgi acknowledges as PHP does: it needs no capacity to be kept.
        gateway
            .log
            .wait_for(|line| line.contains("class=Kept"))
            .await;
    }
}

#[tokio::test]
async fn a_program_with_libfcgi_passes_it_behind_tcp_too() {
    let address = Address::Tcp(free_port());
    let (_application, gateway) = perl(address, "capacity = 2").await;
    check_base_set(&gateway).await;
}
