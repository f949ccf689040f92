//! Where clients connect: sockets of our own and sockets that were passed, and what becomes of
//! clients when there are no descriptors left.

use std::os::unix::fs::PermissionsExt;

use crate::harness::gateway::address_in;
use crate::harness::http1::send;
use crate::harness::{Address, Connection, Gateway, Request, Response};

const HELLO: &str = "[[site]]\nrule = [{ respond = { body = \"hello\" } }]\n";

async fn get(address: &Address) -> Response {
    send(address, &Request::get("/")).await
}

#[tokio::test]
async fn ipv4_ipv6_and_unix_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("sock");
    let unix = format!("unix:{}", socket.display());
    let listeners = ["127.0.0.1:0", "[::1]:0", ":0"];
    let listeners = listeners.map(|address| format!("[[listen]]\naddress = \"{address}\"\n"));
    let config = listeners.concat()
        + &format!("[[listen]]\naddress = \"{unix}\"\nmode = \"0600\"\nbacklog = 8\n{HELLO}");
    let gateway = Gateway::start_in(directory, &config).await;
    assert_eq!(gateway.addresses().len(), 4);
    for address in gateway.addresses() {
        assert_eq!(get(address).await.text(), "hello", "{address}");
    }
    // The unspecified IPv6 address takes IPv4 too.
    let port = gateway.addresses()[2].port();
    let both = Address::parse(&format!("127.0.0.1:{port}"));
    assert_eq!(get(&both).await.text(), "hello");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn clients_wait_while_there_are_no_descriptors() {
    let few = ["sh", "-c", "ulimit -n 40 && exec \"$0\" \"$@\""];
    let gateway = Gateway::with(HELLO).under(&few).start().await;
    let fewer = |line: &str| line.contains("the limit on open files is too low for");
    gateway.log.wait_for(fewer).await;
    let mut connections = Vec::new();
    for _ in 0..60 {
        let mut connection = Connection::open(gateway.address()).await;
        connection.start(&Request::get("/")).await;
        connections.push(connection);
    }
    // Each is served: those that were before it make room.
    for connection in &mut connections {
        assert_eq!(connection.response().await.text(), "hello");
    }
}

/// What systemd does for a socket unit with a TCP and a unix socket: perl-base is on every Debian.
const SYSTEMD: &str = r#"
use Socket;
$^F = 9; # descriptors up to this one are passed on
socket(my $tcp, PF_INET, SOCK_STREAM, 0) or die $!;
bind($tcp, sockaddr_in(0, INADDR_LOOPBACK)) or die $!;
listen($tcp, 16) or die $!;
socket(my $unix, PF_UNIX, SOCK_STREAM, 0) or die $!;
bind($unix, sockaddr_un(shift @ARGV)) or die $!;
listen($unix, 16) or die $!;
die "not the first descriptors" if fileno($tcp) != 3 || fileno($unix) != 4;
$ENV{LISTEN_PID} = $$;
$ENV{LISTEN_FDS} = 2;
$ENV{LISTEN_FDNAMES} = shift @ARGV;
exec @ARGV or die $!;
"#;

#[tokio::test]
async fn sockets_of_systemd_are_found_by_name_and_by_address() {
    for (names, listeners, count) in [
        ("web:web", vec!["systemd:web"], 2),
        ("web:api", vec!["systemd:api", "systemd:web"], 2),
        ("web:other", vec!["systemd:web", "unix:SOCKET"], 2),
        ("web:other", vec!["systemd:web"], 1),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("sock").display().to_string();
        let listeners = listeners.iter().map(|address| {
            let address = address.replace("SOCKET", &socket);
            format!("[[listen]]\naddress = \"{address}\"\n")
        });
        let config = listeners.collect::<String>() + HELLO;
        let systemd = ["perl", "-e", SYSTEMD, &socket, names];
        let gateway = Gateway::with(&config).in_folder(directory).under(&systemd);
        // A name may stand for several sockets.
        let gateway = gateway.spawn().await;
        let listening = |line: &str| line.contains("listening");
        for line in gateway.log.wait_many(0, count, listening).await {
            assert_eq!(get(&address_in(&line)).await.text(), "hello", "{line}");
        }
        let unused = |line: &str| line.contains("no [[listen]] uses a socket");
        if count < 2 {
            gateway.log.wait_for(unused).await;
        }
        let unused = gateway.log.all().into_iter().filter(|line| unused(line));
        assert_eq!(unused.count(), 2 - count);
        // The socket comes back with a reload that names it again.
        let address = address_in(&gateway.log.wait_for(listening).await);
        let other = format!("[[listen]]\naddress = \"127.0.0.1:0\"\n{HELLO}");
        assert!(gateway.reload(&other).await.contains("reloaded"));
        let seen = gateway.log.count();
        assert!(gateway.reload(&config).await.contains("reloaded"));
        gateway
            .log
            .wait_after(seen, |line| {
                listening(line) && line.contains(&address.to_string())
            })
            .await;
        assert_eq!(get(&address).await.text(), "hello");
    }
}

#[tokio::test]
async fn a_socket_that_was_not_passed_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("sock").display().to_string();
    let config = format!("[[listen]]\naddress = \"systemd:wbe\"\n{HELLO}");
    let systemd = ["perl", "-e", SYSTEMD, &socket, "web:api"];
    let mut gateway = Gateway::with(&config).under(&systemd).spawn().await;
    let told = |line: &str| line.contains("systemd:wbe") && line.contains("has `web`, `api`");
    gateway.log.wait_for(told).await;
    assert_eq!(gateway.ended().await.code(), Some(1));
}
