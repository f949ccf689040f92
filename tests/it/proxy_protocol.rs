//! Proxies that tell whose connection it is, and strangers that claim to.

use std::path::Path;

use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;

use crate::harness::php_fpm::write_below;
use crate::harness::tls::{Authority, TlsClient};
use crate::harness::{Connection, Gateway, Request, Script, ScriptedResponder, gateway, http1};

const HELLO: &str = "[[site]]\nrule = [{ respond = { body = \"hello\" } }]\n";

const V1: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.7 50123 443\r\n";

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// A header of version 2 with IPv6 addresses and an extension.
fn v2() -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x28".to_vec();
    for address in ["2001:db8::1", "2001:db8::2"] {
        header.extend(address.parse::<std::net::Ipv6Addr>().unwrap().octets());
    }
    header.extend([0xc3, 0xcb, 0x01, 0xbb, 0x04, 0x00, 0x01, 0x00]);
    header
}

const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// A gateway with a listener at `address` that trusts `from`, and these further lines.
fn trusting(address: &str, from: &str, more: &str) -> String {
    let log = "access_log = { format = '%h %{remote}p %A %{local}p %s' }";
    let listen =
        format!("[[listen]]\naddress = \"{address}\"\nproxy_protocol = {{ from = {from} }}\n");
    format!("[server]\n{log}\n{more}{listen}{HELLO}")
}

/// The start of the log line of a request that begins with `header`, sent in these pieces.
async fn client_of(gateway: &Gateway, pieces: &[&[u8]]) -> String {
    let seen = gateway.access.count();
    let mut connection = Connection::open(gateway.address()).await;
    for piece in pieces {
        connection.write(piece).await;
        tokio::task::yield_now().await;
    }
    let answer = connection.read_to_end().await;
    assert!(
        answer.ends_with(b"hello"),
        "{:?}",
        String::from_utf8_lossy(&answer)
    );
    gateway.access.wait_after(seen, |_| true).await
}

#[tokio::test]
async fn both_versions_name_the_client_however_they_arrive() {
    let gateway = Gateway::start(&trusting("127.0.0.1:0", "[\"127.0.0.0/8\"]", "")).await;
    let v2 = v2();
    for (header, expected) in [
        (V1, "192.0.2.1 50123 198.51.100.7 443 200"),
        (&v2, "2001:db8::1 50123 2001:db8::2 443 200"),
    ] {
        let whole = [header, GET].concat();
        assert_eq!(client_of(&gateway, &[&whole]).await, expected);
        assert_eq!(client_of(&gateway, &[header, GET]).await, expected);
        let bytes: Vec<_> = whole.chunks(1).collect();
        assert_eq!(client_of(&gateway, &bytes).await, expected);
        let (front, back) = whole.split_at(20);
        assert_eq!(client_of(&gateway, &[front, back]).await, expected);
    }
}

#[tokio::test]
async fn tls_begins_behind_the_header() {
    let authority = Authority::new();
    let config = trusting("127.0.0.1:0", "[\"127.0.0.1\"]", "")
        .replace("%s'", "%s %{SSL_PROTOCOL}x %{SSL_TLS_SNI}x'")
        .replace("[[listen]]\n", "[[listen]]\ntls = true\n")
        .replace("[[site]]\n", "[[site]]\n{tls}\n");
    let gateway = Gateway::with(&config).certificate(&authority).start().await;
    let mut stream = gateway.address().connect().await;
    stream.write_all(V1).await.unwrap();
    let connector = TlsClient::new(&authority).connector("http/1.1");
    let name = ServerName::try_from("localhost").unwrap();
    let secured = connector.connect(name, stream).await.unwrap();
    let mut connection = Connection::over(Box::new(secured));
    let answer = connection.send(&Request::get("/")).await;
    assert_eq!(answer.text(), "hello");
    let line = gateway.access.wait_for(|_| true).await;
    let expected = "192.0.2.1 50123 198.51.100.7 443 200 TLSv1.3 localhost";
    assert_eq!(line, expected);
}

#[tokio::test]
async fn connections_are_counted_as_their_clients_and_not_as_the_proxys() {
    let limits = "limits = { connections_per_client = 1 }\n";
    let config = trusting("127.0.0.1:0", "[\"127.0.0.1\"]", limits);
    let gateway = Gateway::start(&config).await;
    let mut kept = Vec::new();
    for (client, answer) in [("192.0.2.1", 200), ("192.0.2.2", 200), ("192.0.2.1", 0)] {
        let mut connection = Connection::open(gateway.address()).await;
        let header = format!("PROXY TCP4 {client} 198.51.100.7 50123 443\r\n");
        connection.write(header).await;
        assert_eq!(connection.send(&Request::get("/")).await.status, answer);
        kept.push(connection);
    }
}

#[tokio::test]
async fn a_proxy_that_speaks_for_itself_is_the_client() {
    let gateway = Gateway::start(&trusting("127.0.0.1:0", "[\"127.0.0.1\"]", "")).await;
    for header in [LOCAL, b"PROXY UNKNOWN\r\n"] {
        let line = client_of(&gateway, &[header, GET]).await;
        assert!(line.starts_with("127.0.0.1 "), "{line}");
    }
}

#[tokio::test]
async fn php_is_told_the_client() {
    let responder = ScriptedResponder::start([Script::answer("\nhello")]).await;
    let config = trusting("127.0.0.1:0", "[\"127.0.0.1\"]", "").replace(HELLO, "");
    let gateway = Gateway::start(&(config + &responder.site(""))).await;
    http1::raw(gateway.address(), [V1, GET].concat()).await;
    let requests = responder.requests();
    for (name, value) in [
        ("REMOTE_ADDR", "192.0.2.1"),
        ("REMOTE_PORT", "50123"),
        ("SERVER_ADDR", "198.51.100.7"),
    ] {
        assert_eq!(requests[0].param(name), value, "{name}");
    }
}

#[tokio::test]
async fn a_proxy_on_a_unix_socket_is_trusted_by_that_word() {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("unix:{}", directory.path().join("sock").display());
    for (from, answer) in [("[\"unix\"]", "hello"), ("[\"0.0.0.0/0\"]", "")] {
        let gateway = Gateway::start(&trusting(&address, from, "")).await;
        let told = http1::raw(gateway.address(), [V1, GET].concat()).await;
        assert!(String::from_utf8_lossy(&told).ends_with(answer), "{from}");
        if !answer.is_empty() {
            let line = gateway.access.wait_for(|_| true).await;
            assert_eq!(line, "192.0.2.1 50123 198.51.100.7 443 200");
        }
    }
}

#[tokio::test]
async fn without_a_header_there_is_no_answer_and_a_line_in_the_log() {
    let long = [
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".as_slice(),
        &[0; 600],
    ]
    .concat();
    for (sent, why) in [
        (GET, "no PROXY header"),
        (b"PROXY TCP4 nobody\r\n", "a malformed PROXY line"),
        (&long, "a PROXY header of 65551 bytes"),
    ] {
        let gateway = Gateway::start(&trusting("127.0.0.1:0", "[\"127.0.0.1\"]", "")).await;
        assert_eq!(http1::raw(gateway.address(), sent).await, b"");
        let refused = |line: &str| line.contains("connection refused") && line.contains(why);
        gateway.log.wait_for(refused).await;
        assert_eq!(gateway.access.count(), 0);
    }
}

#[tokio::test]
async fn strangers_are_refused_whatever_they_say() {
    let gateway =
        Gateway::start(&trusting("127.0.0.1:0", "[\"192.0.2.0/24\", \"unix\"]", "")).await;
    for sent in [V1, GET, LOCAL] {
        assert_eq!(http1::raw(gateway.address(), sent).await, b"");
    }
    let refused = |line: &str| line.contains("not in listen.proxy_protocol.from");
    let line = gateway.log.wait_for(refused).await;
    assert!(line.contains("127.0.0.1"), "{line}");
    // Who knocks often fills no log.
    let lines = gateway.log.all();
    assert_eq!(lines.iter().filter(|line| refused(line)).count(), 1);

    let config = trusting("127.0.0.1:0", "[\"127.0.0.1\"]", "");
    assert!(gateway.reload(&config).await.contains("reloaded"));
    let expected = "192.0.2.1 50123 198.51.100.7 443 200";
    assert_eq!(client_of(&gateway, &[V1, GET]).await, expected);
}

#[tokio::test]
async fn a_header_has_the_time_that_a_head_has() {
    let limits = "limits = { header = \"100ms\" }\n";
    let config = trusting("127.0.0.1:0", "[\"127.0.0.1\"]", limits);
    let gateway = Gateway::start(&config).await;
    let mut slow = Connection::open(gateway.address()).await;
    slow.write(b"PROXY TCP4 ").await;
    assert_eq!(slow.read_to_end().await, b"");
    let late = |line: &str| line.contains("longer than server.limits.header");
    gateway.log.wait_for(late).await;
}

#[tokio::test]
async fn a_load_balancer_may_look_whether_we_are_there() {
    let gateway = Gateway::start(&trusting("127.0.0.1:0", "[\"127.0.0.1\"]", "")).await;
    drop(Connection::open(gateway.address()).await);
    client_of(&gateway, &[V1, GET]).await;
    let lines = gateway.log.all();
    assert!(
        !lines.iter().any(|line| line.contains("refused")),
        "{lines:#?}"
    );
}

#[tokio::test]
async fn without_the_key_a_header_is_no_request() {
    let gateway = Gateway::start(HELLO).await;
    let answer = http1::raw(gateway.address(), [V1, GET].concat()).await;
    assert!(answer.starts_with(b"HTTP/1.1 400 "), "{answer:?}");
    assert_eq!(gateway.send(&Request::get("/")).await.text(), "hello");
}

fn told(directory: &Path, listener: &str) -> String {
    write_below(
        directory,
        "fcgate.toml",
        format!("[[listen]]\n{listener}\n{HELLO}"),
    );
    let output = gateway::check(&directory.join("fcgate.toml"));
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn listeners_that_make_no_sense_are_told() {
    let directory = tempfile::tempdir().unwrap();
    for (listener, expected) in [
        ("address = \":80\"\nproxy_protocol = {}", "trusts no proxy"),
        (
            "address = \":80\"\nproxy_protocol = { from = [\"10.0.0.0/8\", \"host\"] }",
            "fcgate.toml:3:42",
        ),
        ("address = \":80\"\nmode = \"0660\"", "only a unix socket"),
        (
            "address = \"unix:/x\"\nmode = \"0888\"",
            "`0888` is not a file mode",
        ),
        (
            "address = \"unix:/x\"\nmode = \"rw\"",
            "`rw` is not a file mode",
        ),
        ("address = \"systemd:\"", "is not an address"),
    ] {
        let told = told(directory.path(), listener);
        assert!(told.contains(expected), "{expected:?} is not in:\n{told}");
    }
}
