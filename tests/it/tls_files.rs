//! Certificates: which one is shown, when its file is read again, and what is said of one that cannot be used.

use std::path::Path;

use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use crate::harness::gateway::{self, Gateway};
use crate::harness::tls::{Authority, Identity, TlsClient};
use crate::harness::{Connection, Request};

const LISTEN: &str = "[[listen]]\naddress = \"127.0.0.1:0\"\ntls = true\n";

/// A site for these hosts that answers with the name of its certificate.
fn site(folder: &Path, name: &str, hosts: &str) -> String {
    let tls = Identity::line(folder, name);
    format!(
        "[[site]]\nhosts = [{hosts}]\n{tls}\nrule = [{{ respond = {{ body = \"{name}\" }} }}]\n"
    )
}

#[tokio::test]
async fn the_name_that_a_client_asks_for_chooses_the_certificate() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let issue = |file: &str, names: &[&str]| {
        let identity = authority.issue(names);
        identity.write(folder.path(), file);
        identity.der()
    };
    let exact = issue("exact", &["a.example.org"]);
    let below = issue("below", &["*.example.org"]);
    let default = issue("default", &["localhost"]);
    let config = [
        LISTEN.to_owned(),
        site(folder.path(), "below", "\"*.example.org\""),
        site(folder.path(), "exact", "\"a.example.org\""),
        site(folder.path(), "default", ""),
    ];
    let gateway = Gateway::start_in(folder, &config.concat()).await;
    let client = TlsClient::new(&authority);
    for (name, certificate, body) in [
        ("a.example.org", &exact, "exact"),
        ("b.example.org", &below, "below"),
        ("localhost", &default, "default"),
    ] {
        let address = gateway.address();
        assert_eq!(&client.shown(address, name).await, certificate, "{name}");
        let mut connection = client.http1(address, name).await;
        let response = connection
            .send(&Request::get("/").field("Host", name))
            .await;
        assert_eq!(response.text(), body);
    }
    // Nobody's name: the default certificate, which the client then refuses.
    let refused = client.connect(gateway.address(), "example.com", "h2").await;
    assert!(refused.err().unwrap().to_string().contains("localhost"));
}

#[tokio::test]
async fn two_kinds_of_keys_serve_side_by_side() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let (ecdsa, rsa) = (
        authority.issue(&["localhost"]),
        authority.issue_rsa(&["localhost"]),
    );
    ecdsa.write(folder.path(), "ecdsa");
    rsa.write(folder.path(), "rsa");
    let path = folder.path().display();
    let config = format!(
        "{LISTEN}[[site]]\ntls = {{ certificate = [\"{path}/ecdsa.pem\", \"{path}/rsa.pem\"], key = [\"{path}/ecdsa.key\", \"{path}/rsa.key\"] }}\nrule = [{{ deny = true }}]\n"
    );
    let gateway = Gateway::start_in(folder, &config).await;
    let client = TlsClient::new(&authority);
    assert_eq!(
        client.shown(gateway.address(), "localhost").await,
        ecdsa.der()
    );
    let old = client.rsa_only();
    assert_eq!(old.shown(gateway.address(), "localhost").await, rsa.der());
    let older = old.versions(&[&TLS12]);
    assert_eq!(older.shown(gateway.address(), "localhost").await, rsa.der());
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_and_connections_stay() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.issue(&["localhost"]).write(folder.path(), "a");
    let config = format!("{LISTEN}{}", site(folder.path(), "a", ""));
    let gateway = Gateway::start_in(folder, &config).await;
    let client = TlsClient::new(&authority);
    let mut http1 = client.http1(gateway.address(), "localhost").await;
    let mut http2 = client.http2(gateway.address(), "localhost").await;
    assert_eq!(http1.send(&Request::get("/")).await.text(), "a");

    let renewed = authority.issue(&["localhost"]);
    renewed.write(gateway.directory(), "a");
    gateway
        .log
        .wait_for(|line| line.contains("certificate reloaded"))
        .await;
    assert_eq!(
        client.shown(gateway.address(), "localhost").await,
        renewed.der()
    );
    assert_eq!(http1.send(&Request::get("/")).await.text(), "a");
    assert_eq!(http2.send(&Request::get("/")).await.text(), "a");

    std::fs::write(gateway.directory().join("a.key"), "nothing\n").unwrap();
    let line = gateway
        .log
        .wait_for(|line| line.contains("not reloaded"))
        .await;
    assert!(
        line.contains("a.key") && line.contains("no private key"),
        "{line}"
    );
    assert_eq!(
        client.shown(gateway.address(), "localhost").await,
        renewed.der()
    );
    let line = gateway.reload(&config).await;
    assert!(line.contains("reload refused"), "{line}");

    let third = authority.issue(&["localhost"]);
    third.write(gateway.directory(), "a");
    let line = gateway.reload(&config).await;
    assert!(line.contains("reloaded"), "{line}");
    assert_eq!(
        client.shown(gateway.address(), "localhost").await,
        third.der()
    );
    assert_eq!(http1.send(&Request::get("/")).await.text(), "a");
    assert_eq!(http2.send(&Request::get("/")).await.text(), "a");
}

/// Connects, gets an answer, and with it what is needed to resume the session; whether one was resumed. `None` where
/// the client is turned away.
async fn is_resumed(connector: &TlsConnector, gateway: &Gateway) -> Option<bool> {
    let stream = gateway.address().connect().await;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, stream).await.ok()?;
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.ok()?;
    stream.read_to_end(&mut Vec::new()).await.ok()?;
    Some(stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed))
}

#[tokio::test]
async fn a_session_is_resumed_also_after_a_reload() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.issue(&["localhost"]).write(folder.path(), "a");
    let config = format!("{LISTEN}{}", site(folder.path(), "a", ""));
    let gateway = Gateway::start_in(folder, &config).await;
    for versions in [&[&TLS12], &[&TLS13]] {
        let client = TlsClient::new(&authority).versions(versions);
        let connector = client.connector("http/1.1");
        assert_eq!(is_resumed(&connector, &gateway).await, Some(false));
        assert_eq!(is_resumed(&connector, &gateway).await, Some(true));
        gateway.reload(&config).await;
        assert_eq!(is_resumed(&connector, &gateway).await, Some(true));
    }
}

#[tokio::test]
async fn new_authorities_hold_for_new_connections_and_resumed_sessions() {
    let (authority, second) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    authority.issue(&["localhost"]).write(folder.path(), "a");
    let file = folder.path().join("clients.pem");
    std::fs::write(&file, authority.pem()).unwrap();
    let tls = format!(
        "{{ client_certificates = \"require\", client_ca = \"{}\" }}",
        file.display()
    );
    let site = site(folder.path(), "a", "");
    let config = format!("[[listen]]\naddress = \"127.0.0.1:0\"\ntls = {tls}\n{site}");
    let gateway = Gateway::start_in(folder, &config).await;
    let client = TlsClient::new(&authority);
    let before = client.clone().identity(&authority.issue_client("before"));
    let after = client.identity(&second.issue_client("after"));
    let connector = before.connector("http/1.1");
    assert_eq!(is_resumed(&connector, &gateway).await, Some(false));
    assert_eq!(is_resumed(&connector, &gateway).await, Some(true));
    let mut open = before.http1(gateway.address(), "localhost").await;
    assert_eq!(open.send(&Request::get("/")).await.text(), "a");

    std::fs::write(&file, second.pem()).unwrap();
    let reloaded = |line: &str| line.contains("certificate reloaded");
    gateway.log.wait_for(reloaded).await;
    assert_eq!(is_resumed(&connector, &gateway).await, None);
    let mut connection = after.http1(gateway.address(), "localhost").await;
    assert_eq!(connection.send(&Request::get("/")).await.text(), "a");
    assert_eq!(open.send(&Request::get("/")).await.text(), "a");
}

#[tokio::test]
async fn a_reload_turns_tls_on_at_the_same_socket() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.issue(&["localhost"]).write(folder.path(), "a");
    let site = site(folder.path(), "a", "");
    let socket = folder.path().join("socket");
    let listen = format!("[[listen]]\naddress = \"unix:{}\"\n", socket.display());
    let gateway = Gateway::start_in(folder, &format!("{listen}{site}")).await;
    let mut clear = Connection::open(gateway.address()).await;
    assert_eq!(clear.send(&Request::get("/")).await.text(), "a");
    gateway.reload(&format!("{listen}tls = true\n{site}")).await;
    let client = TlsClient::new(&authority);
    let mut secured = client.http2(gateway.address(), "localhost").await;
    assert_eq!(secured.send(&Request::get("/")).await.text(), "a");
    assert_eq!(clear.send(&Request::get("/")).await.text(), "a");
}

/// What `check` says of a configuration in which FOLDER has good files, and whether it is content.
fn check(config: &str) -> (String, bool) {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    authority.issue(&["localhost"]).write(folder.path(), "a");
    authority.issue(&["localhost"]).write(folder.path(), "b");
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    std::fs::write(folder.path().join("encrypted.key"), encrypted).unwrap();
    let file = folder.path().join("fcgate.toml");
    let config = config.replace("FOLDER", &folder.path().display().to_string());
    std::fs::write(&file, config).unwrap();
    let output = gateway::check(&file);
    let told = String::from_utf8(output.stderr).unwrap();
    (told, output.status.success())
}

#[test]
fn what_cannot_be_used_is_told_at_its_line() {
    let site = "[[site]]\nroot = \"/srv\"\n";
    for (lines, expected) in [
        (
            "tls = { certificate = \"FOLDER/a.pem\", key = \"FOLDER/b.key\" }",
            [
                "fcgate.toml:6:",
                "b.key: the private key is not that of the first certificate in",
            ],
        ),
        (
            "tls = { certificate = \"FOLDER/a.pem\", key = \"FOLDER/encrypted.key\" }",
            [
                "fcgate.toml:6:",
                "encrypted.key: the private key is encrypted",
            ],
        ),
        (
            "tls = { certificate = \"FOLDER/none.pem\", key = \"FOLDER/a.key\" }",
            ["fcgate.toml:6:", "none.pem: cannot be read"],
        ),
        (
            "tls = { certificate = \"FOLDER/a.key\", key = \"FOLDER/a.pem\" }",
            ["fcgate.toml:6:", "exchanged?"],
        ),
        (
            "tls = { certificate = \"FOLDER/a.pem\" }",
            ["fcgate.toml:6:", "no private key"],
        ),
        (
            "tls = { certificate = \"a.pem\" }",
            ["fcgate.toml:6:", "absolute"],
        ),
        (
            "tls = { key = \"FOLDER/a.key\" }",
            ["fcgate.toml:6:", "needs a `certificate`"],
        ),
        (
            "tls = { certificate = [\"FOLDER/a.pem\", \"FOLDER/b.pem\"], key = \"FOLDER/a.key\" }",
            ["fcgate.toml:6:", "2 certificates and 1 keys"],
        ),
        ("", ["fcgate.toml:3:7", "no site has a certificate"]),
    ] {
        let (told, content) = check(&format!("{LISTEN}{site}{lines}\n"));
        assert!(!content, "{lines}");
        for text in expected {
            assert!(told.contains(text), "{text:?} is not in:\n{told}");
        }
    }
}

#[test]
fn authorities_are_needed_and_read() {
    let site = "[[site]]\nroot = \"/srv\"\ntls = { certificate = \"FOLDER/a.pem\", key = \"FOLDER/a.key\" }\n";
    for (tls, expected) in [
        ("client_certificates = \"require\"", "need a `client_ca`"),
        (
            "client_certificates = \"request\", client_ca = \"FOLDER/none.pem\"",
            "none.pem: cannot be read",
        ),
        (
            "client_certificates = \"request\", client_ca = \"FOLDER/a.key\"",
            "a private key and no certificate",
        ),
    ] {
        let (told, content) = check(&format!(
            "[[listen]]\naddress = \":443\"\ntls = {{ {tls} }}\n{site}"
        ));
        assert!(!content && told.contains(expected), "{told}");
        assert!(told.contains("fcgate.toml:3:"), "{told}");
    }
}

#[test]
fn a_certificate_that_nobody_sees_is_a_warning() {
    let (told, content) = check(
        "[[site]]\nroot = \"/srv\"\nhttps = true\ntls = { certificate = \"FOLDER/a.pem\", key = \"FOLDER/a.key\" }\n",
    );
    assert!(content, "{told}");
    for text in [
        "warning: ",
        "fcgate.toml:4:7",
        "fcgate.toml:3:9",
        "no listener speaks TLS",
    ] {
        assert!(told.contains(text), "{text:?} is not in:\n{told}");
    }
}
