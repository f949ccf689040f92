//! TLS as clients and applications see it: versions and protocols, client certificates, large content, clear text
//! where TLS is spoken, and sites that are kept to TLS.

use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncReadExt;

use crate::harness::http1::{raw, send};
use crate::harness::php_fpm::write_below;
use crate::harness::tls::{Authority, TlsClient};
use crate::harness::{Content, Files, Gateway, GatewaySetup, Request, Script, ScriptedResponder};

const HELLO: &str = "rule = [{ respond = { body = \"hello\" } }]\n";

/// A listener with this value of `tls`, in which `clients.pem` signs clients, and a site with these lines.
fn secured(authority: &Authority, tls: &str, site: &str) -> GatewaySetup<Files> {
    Gateway::with("")
        .listen(&format!("tls = {tls}"))
        .section(&format!("[[site]]\n{{tls}}\n{site}"))
        .certificate(authority)
        .beside("clients.pem", authority.pem())
}

/// The lines of a site whose every request goes to this application.
fn asking(responder: &ScriptedResponder) -> String {
    let site = responder.site("");
    let (upstream, site) = site.split_once("[[site]]\n").unwrap();
    format!("{site}\n{upstream}")
}

#[tokio::test]
async fn both_protocols_and_both_versions_are_spoken() {
    let authority = Authority::new();
    let gateway = secured(&authority, "true", HELLO).start().await;
    for versions in [&[&TLS12][..], &[&TLS13][..], rustls::ALL_VERSIONS] {
        let client = TlsClient::new(&authority).versions(versions);
        let mut http1 = client.http1(gateway.address(), "localhost").await;
        let mut http2 = client.http2(gateway.address(), "localhost").await;
        for _ in 0..2 {
            assert_eq!(http1.send(&Request::get("/")).await.text(), "hello");
            assert_eq!(http2.send(&Request::get("/")).await.text(), "hello");
        }
    }
}

#[tokio::test]
async fn an_old_version_can_be_refused() {
    let authority = Authority::new();
    let gateway = secured(&authority, "{ minimum_version = \"1.3\" }", HELLO)
        .start()
        .await;
    let old = TlsClient::new(&authority).versions(&[&TLS12]);
    let refused = old.connect(gateway.address(), "localhost", "h2").await;
    assert!(
        refused
            .err()
            .unwrap()
            .to_string()
            .contains("ProtocolVersion")
    );
    let client = TlsClient::new(&authority);
    let mut connection = client.http1(gateway.address(), "localhost").await;
    assert_eq!(connection.send(&Request::get("/")).await.text(), "hello");
}

#[tokio::test]
async fn the_application_knows_of_tls() {
    let authority = Authority::new();
    let responder = ScriptedResponder::start([Script::answer("\n")]).await;
    let gateway = secured(&authority, "true", &asking(&responder))
        .start()
        .await;
    let client = TlsClient::new(&authority);
    let mut new = client.http2(gateway.address(), "localhost").await;
    new.send(&Request::get("/")).await;
    let client = client.versions(&[&TLS12]);
    let mut old = client.http1(gateway.address(), "localhost").await;
    old.send(&Request::get("/")).await;
    let [new, old] = &responder.requests()[..] else {
        panic!("not two requests")
    };
    for (name, value) in [
        ("HTTPS", "on"),
        ("REQUEST_SCHEME", "https"),
        ("SERVER_PORT", "443"),
        ("SSL_PROTOCOL", "TLSv1.3"),
        ("SSL_TLS_SNI", "localhost"),
        ("SSL_CLIENT_VERIFY", "NONE"),
    ] {
        assert_eq!(new.param(name), value, "{name}");
    }
    assert!(new.param("SSL_CIPHER").starts_with("TLS_"));
    assert_eq!(old.param("SSL_PROTOCOL"), "TLSv1.2");
    assert!(old.param("SSL_CIPHER").starts_with("ECDHE-ECDSA-"));
    assert_eq!(new.params.get("SSL_CLIENT_S_DN"), None);
}

#[tokio::test]
async fn large_content_passes_unchanged_both_ways() {
    let authority = Authority::new();
    let content = Content::mebibytes(64);
    let expected: Vec<u8> = content.pieces().flatten().copied().collect();
    let answer = [b"Content-Type: x/y\n\n", &expected[..]].concat();
    let responder = ScriptedResponder::start([Script::answer(answer)]).await;
    let site = format!("limits = {{ body = \"64MiB\" }}\n{}", asking(&responder));
    let gateway = secured(&authority, "true", &site).start().await;
    let client = TlsClient::new(&authority);
    let upload = Request::post("/").content(content);
    let mut http1 = client.http1(gateway.address(), "localhost").await;
    let mut http2 = client.http2(gateway.address(), "localhost").await;
    for response in [http1.send(&upload).await, http2.send(&upload).await] {
        assert_eq!((response.status, response.whole), (200, true));
        assert!(response.body == expected, "the answer differs");
    }
    for request in responder.requests() {
        assert!(request.stdin == expected, "the upload differs");
    }
}

#[tokio::test]
async fn a_file_is_sent() {
    let authority = Authority::new();
    let root = tempfile::tempdir().unwrap();
    let text = "0123456789".repeat(100_000);
    write_below(root.path(), "file.txt", &text);
    let site = format!("root = \"{}\"\n", root.path().display());
    let gateway = secured(&authority, "true", &site).start().await;
    let client = TlsClient::new(&authority);
    let mut http1 = client.http1(gateway.address(), "localhost").await;
    let mut http2 = client.http2(gateway.address(), "localhost").await;
    let get = Request::get("/file.txt");
    for response in [http1.send(&get).await, http2.send(&get).await] {
        assert!(response.status == 200 && response.text() == text);
    }
}

#[tokio::test]
async fn a_required_certificate_is_required_and_told_to_the_application() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let responder = ScriptedResponder::start([Script::answer("\nok")]).await;
    let tls = "{ client_certificates = \"require\", client_ca = \"{folder}/clients.pem\" }";
    let gateway = secured(&authority, tls, &asking(&responder)).start().await;
    let client = TlsClient::new(&authority);
    let unknown = client.clone().identity(&stranger.issue_client("mallory"));
    for client in [&client, &unknown] {
        // In TLS 1.3 the client believes that the handshake is done until it reads.
        if let Ok(mut stream) = client.connect(gateway.address(), "localhost", "h2").await {
            assert!(stream.read_u8().await.is_err());
        }
    }
    assert_eq!(responder.requests(), []);
    let known = client.identity(&authority.issue_client("Lu \"A\""));
    let mut connection = known.http1(gateway.address(), "localhost").await;
    assert_eq!(connection.send(&Request::get("/")).await.text(), "ok");
    let received = responder.requests().remove(0);
    for (name, value) in [
        ("SSL_CLIENT_VERIFY", "SUCCESS"),
        ("SSL_CLIENT_S_DN", "CN=Lu \\\"A\\\",O=Example\\, Inc."),
        ("SSL_CLIENT_S_DN_CN", "Lu \"A\""),
        ("SSL_CLIENT_M_SERIAL", "0A1B"),
    ] {
        assert_eq!(received.param(name), value, "{name}");
    }
    assert!(
        received
            .param("SSL_CLIENT_I_DN")
            .contains("CN=Test Authority")
    );
}

#[tokio::test]
async fn a_requested_certificate_may_be_missing_and_must_be_good() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let tls = "{ client_certificates = \"request\", client_ca = \"{folder}/clients.pem\" }";
    let gateway = secured(&authority, tls, HELLO).start().await;
    let client = TlsClient::new(&authority);
    let known = client.clone().identity(&authority.issue_client("a"));
    for client in [&client, &known] {
        let mut connection = client.http1(gateway.address(), "localhost").await;
        assert_eq!(connection.send(&Request::get("/")).await.text(), "hello");
    }
    let unknown = client.identity(&stranger.issue_client("a"));
    if let Ok(mut stream) = unknown.connect(gateway.address(), "localhost", "h2").await {
        assert!(stream.read_u8().await.is_err());
    }
}

#[tokio::test]
async fn clear_text_where_tls_is_spoken_is_told_so() {
    let authority = Authority::new();
    let gateway = secured(&authority, "true", HELLO).start().await;
    let answer = raw(
        gateway.address(),
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("This port speaks HTTPS"), "{answer}");
    assert_eq!(
        send(gateway.address(), &Request::get("/")).await.status,
        400
    );
}

#[tokio::test]
async fn a_site_can_be_kept_to_tls() {
    let authority = Authority::new();
    let site = format!("https = {{ port = 8443, hsts = \"1h\", subdomains = true }}\n{HELLO}");
    let site = format!("{site}[[listen]]\naddress = \"127.0.0.1:0\"\n");
    let gateway = secured(&authority, "true", &site).start().await;
    let [secured, clear] = gateway.addresses() else {
        panic!("not two listeners")
    };
    let request = Request::post("/a//b?c=%2F").field("Host", "localhost:80");
    let redirect = send(clear, &request.body("x")).await;
    assert_eq!(redirect.status, 308);
    let location = redirect.header("location");
    assert_eq!(location, Some("https://localhost:8443/a//b?c=%2F"));
    assert_eq!(redirect.header("strict-transport-security"), None);
    let client = TlsClient::new(&authority);
    let mut connection = client.http1(secured, "localhost").await;
    for target in ["/", "/%zz"] {
        let response = connection.send(&Request::get(target)).await;
        let policy = response.header("strict-transport-security");
        assert_eq!(policy, Some("max-age=3600; includeSubDomains"), "{target}");
    }
}

#[tokio::test]
async fn one_word_is_a_year_and_the_usual_port() {
    let authority = Authority::new();
    let site = format!("https = true\n{HELLO}[[listen]]\naddress = \"127.0.0.1:0\"\n");
    let gateway = secured(&authority, "true", &site).start().await;
    let redirect = send(&gateway.addresses()[1], &Request::get("/")).await;
    assert_eq!(redirect.header("location"), Some("https://localhost/"));
    let client = TlsClient::new(&authority);
    let mut connection = client.http2(gateway.address(), "localhost").await;
    let response = connection.send(&Request::get("/")).await;
    let policy = response.header("strict-transport-security");
    assert_eq!((response.status, policy), (200, Some("max-age=31536000")));
}
