//! Where all places are taken: who makes room for a newcomer, and what is kept for requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;

use crate::harness::h2_frames::{Frames, HEADERS, Outcome, SETTINGS, request};
use crate::harness::tls::{Authority, Identity, TlsClient};
use crate::harness::{
    Address, Connection, Files, Gate, Gateway, GatewaySetup, PATIENCE, PhpFpm, Request, Response,
    Script, ScriptedResponder, eventually, patiently, require,
};

const HELLO: &str = "[[site]]\nrule = [{ respond = { body = \"hello\" } }]\n";

fn places(count: usize) -> String {
    format!("[server]\nlimits = {{ connections = {count}, connections_per_client = 0 }}\n")
}

/// What `/status` says of connections, as soon as that `holds`.
pub(crate) async fn connections(
    gateway: &Gateway,
    what: &str,
    holds: impl Fn(&Value) -> bool,
) -> Value {
    eventually(what, PATIENCE, async || {
        let status = gateway.ask("/status").await.json();
        require(status["connections"].clone(), |now| holds(now))
    })
    .await
}

async fn newcomer(gateway: &Gateway) -> Connection {
    let mut connection = Connection::open(gateway.address()).await;
    let answer = connection.send(&Request::get("/")).await;
    assert_eq!(answer.text(), "hello", "the newcomer");
    connection
}

#[tokio::test]
async fn the_longest_idle_makes_room() {
    let gateway = Gateway::with(&format!("{}{HELLO}", places(3)))
        .admin()
        .start()
        .await;
    let mut old = Vec::new();
    for _ in 0..3 {
        old.push(newcomer(&gateway).await);
    }
    // The first is the one that was used last.
    assert_eq!(old[0].send(&Request::get("/")).await.status, 200);
    connections(&gateway, "all idle", |it| it["idle"] == 3).await;
    let _new = newcomer(&gateway).await;
    assert_eq!(patiently("the close", old[1].read_to_end()).await, b"");
    for kept in [0, 2] {
        let answer = old[kept].send(&Request::get("/")).await;
        assert_eq!(answer.text(), "hello", "{kept}");
    }
    let seen = connections(&gateway, "the count", |it| it["given_up"]["idle"] == 1).await;
    assert_eq!((&seen["open"], &seen["most"]), (&3.into(), &3.into()));
}

#[tokio::test]
async fn an_idle_http2_connection_ends_with_goaway() {
    let gateway = Gateway::with(&format!("{}{HELLO}", places(1)))
        .admin()
        .start()
        .await;
    let mut frames = Frames::open(gateway.address()).await;
    frames.head(1, &request("GET", "/", &[]), true).await;
    assert!(matches!(
        frames.outcome(1).await,
        Outcome::Answered { status: 200, .. }
    ));
    let ended = tokio::spawn(async move { frames.ended().await });
    let _new = newcomer(&gateway).await;
    let ended = patiently("the GOAWAY", ended).await.unwrap();
    assert_eq!(ended, Some(0), "RFC 9113 §7: NO_ERROR");
    connections(&gateway, "the count", |it| it["given_up"]["idle"] == 1).await;
}

#[tokio::test]
async fn slow_heads_make_room_before_idle_ones_and_the_longest_first() {
    let gateway = Gateway::with(&format!("{}{HELLO}", places(3)))
        .admin()
        .start()
        .await;
    let address = gateway.address();
    let mut idle = newcomer(&gateway).await;
    let mut slow = Vec::new();
    for number in 1..=2 {
        let mut connection = Connection::open(address).await;
        connection.write("GET /slow HTTP/1.1\r\nHost").await;
        slow.push(connection);
        connections(&gateway, "one after the other", |it| it["heads"] == number).await;
    }
    connections(&gateway, "who waits", |it| {
        it["heads"] == 2 && it["idle"] == 1
    })
    .await;
    // Those that may still be on their way, which is a second, are spared: time itself is what is tested.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut new = Vec::new();
    for slow in &mut slow {
        new.push(newcomer(&gateway).await);
        assert_eq!(slow.response().await.status, 408);
        assert_eq!(patiently("the close", slow.read_to_end()).await, b"");
    }
    gateway.access.wait_for(|line| line.contains("/slow")).await;
    new.push(newcomer(&gateway).await);
    assert_eq!(patiently("the close", idle.read_to_end()).await, b"");
    let given_up = |it: &Value| it["given_up"]["head"] == 2 && it["given_up"]["idle"] != 0;
    connections(&gateway, "the counts", given_up).await;
}

/// What a connection may have begun with without a head: on which listener, and with which bytes.
const BEGINNINGS: [(usize, &str, &[u8]); 9] = [
    (0, "nothing", b""),
    (0, "a byte", b"G"),
    (
        0,
        "a part of a head",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ",
    ),
    (0, "a part of the preface", b"PRI * HTTP/2.0\r\n"),
    (
        0,
        "HTTP/2 without a request",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ),
    (1, "nothing, to TLS", b""),
    (1, "a part of a handshake", b"\x16\x03\x01\x02\0\x01"),
    (2, "nothing of a PROXY header", b""),
    (2, "a part of a PROXY header", b"PROXY TCP4 192.0"),
];

#[tokio::test]
async fn whatever_a_head_begins_with_is_given_up() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    authority.issue(&["localhost"]).write(folder.path(), "site");
    let site = Identity::line(folder.path(), "site");
    let hello = HELLO.replace("[[site]]\n", &format!("[[site]]\n{site}\n"));
    let listen = "[[listen]]\naddress = \"127.0.0.1:0\"\n";
    let config = format!(
        "{}{listen}{listen}tls = true\n{listen}proxy_protocol = {{ from = [\"127.0.0.1\"] }}\n{hello}",
        places(1)
    );
    let gateway = Gateway::with(&config).admin().start().await;
    let plain = &gateway.addresses()[0];
    for (count, (listener, name, bytes)) in (1..).zip(BEGINNINGS) {
        let mut old = Connection::open(&gateway.addresses()[listener]).await;
        old.write(bytes).await;
        connections(&gateway, name, |it| it["heads"] == 1).await;
        // What is given up is not put off by the bytes that come.
        let mut new = Connection::open(plain).await;
        assert_eq!(new.send(&Request::get("/")).await.text(), "hello", "{name}");
        patiently(name, old.read_to_end()).await;
        connections(&gateway, name, |it| it["given_up"]["head"] == count).await;
        drop(new);
        connections(&gateway, "its end", |it| it["open"] == 0).await;
    }
    // A handshake that is complete is no request.
    let client = TlsClient::new(&authority);
    let mut old = client.http1(&gateway.addresses()[1], "localhost").await;
    connections(&gateway, "the handshake", |it| it["heads"] == 1).await;
    let mut new = Connection::open(plain).await;
    assert_eq!(new.send(&Request::get("/")).await.text(), "hello");
    patiently("its end", old.read_to_end()).await;
}

#[tokio::test]
async fn a_connection_with_a_request_is_not_closed_and_its_answer_is_the_last() {
    let gate = Gate::new();
    let responder = ScriptedResponder::start([Script::held(&gate, "\nslow")]).await;
    let gateway = Gateway::with(&format!("{}{}", places(1), responder.site("")))
        .admin()
        .start()
        .await;
    let mut old = Connection::open(gateway.address()).await;
    old.start(&Request::get("/")).await;
    responder
        .wait_until("the request", |seen| !seen.requests.is_empty())
        .await;
    let address = gateway.address().clone();
    let new = tokio::spawn(async move {
        let mut new = Connection::open(&address).await;
        new.send(&Request::get("/")).await
    });
    // Longer than a head, or an idle connection, would be spared. Of one that is not accepted nothing is told.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!new.is_finished());
    gate.pass(2);
    let answer = old.response().await;
    let closes = answer.header("connection") == Some("close");
    assert_eq!(
        (answer.status, answer.text().as_str(), closes),
        (200, "slow", true)
    );
    let answer = patiently("the newcomer", new).await.unwrap();
    assert_eq!(answer.text(), "slow");
    connections(&gateway, "the count", |it| it["given_up"]["turn"] == 1).await;
}

/// A client that keeps its connection, and asks again on another one where that was closed before any byte of an answer
/// (RFC 9112 §9.3.1), which is counted.
struct Keeping<'a> {
    address: &'a Address,
    connection: Option<Connection>,
    again: &'a AtomicUsize,
}

impl Keeping<'_> {
    async fn ask(&mut self) -> Response {
        let request = Request::get("/");
        let mut answer = Response::none();
        if let Some(connection) = &mut self.connection
            && !connection.is_closed().await
        {
            answer = connection.send(&request).await;
            self.again
                .fetch_add(usize::from(answer.status == 0), Ordering::Relaxed);
        }
        if answer.status == 0 {
            let mut connection = Connection::open(self.address).await;
            answer = connection.send(&request).await;
            self.connection = Some(connection);
        }
        if answer.header("connection") == Some("close") {
            self.connection = None;
        }
        answer
    }
}

/// Three times as many clients as places, some of which pause for as long as it takes to count as idle.
#[tokio::test]
async fn no_request_is_lost_to_those_that_make_room() {
    let gateway = Gateway::with(&format!("{}{HELLO}", places(8)))
        .admin()
        .start()
        .await;
    let again = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for client in 0..24_u64 {
        let (address, again) = (gateway.address().clone(), Arc::clone(&again));
        clients.spawn(async move {
            let mut keeping = Keeping {
                address: &address,
                connection: None,
                again: &again,
            };
            for round in 0..15 {
                assert_eq!(keeping.ask().await.text(), "hello", "{client} {round}");
                let pause = (client * 31 + round * 47) % 12 * 80;
                // Up to 0.9 s, of which 0.35 s is idle.
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        });
    }
    while let Some(ended) = patiently("all clients", clients.join_next()).await {
        ended.unwrap();
    }
    let seen = connections(&gateway, "the end", |it| it["open"] == 0).await;
    let given_up = seen["given_up"]["idle"].as_u64().unwrap();
    let again = again.load(Ordering::Relaxed);
    println!("{seen}, {again} asked again");
    // A request and the close may cross on the wire, as with any time limit.
    assert!(given_up > 0 && again <= 2, "{seen}, {again} asked again");
}

/// A gateway that may have so many files open.
fn few_files(count: usize, config: &str) -> GatewaySetup<Files> {
    let limit = format!("ulimit -n {count} && exec \"$0\" \"$@\"");
    Gateway::with(config).under(&["sh", "-c", &limit])
}

const TWO_THREADS: &str = "[server]\nworkers = 2\nlimits = { connections_per_client = 0 }\n";

#[tokio::test]
async fn clients_do_not_take_the_descriptors_of_requests() {
    let php = PhpFpm::start(2).await;
    php.write("hello.php", "<?php echo 'php';");
    php.write("file.txt", "file");
    let site = format!(
        "[[site]]\nroot = \"{}\"\nphp = \"{}\"\n",
        php.root().display(),
        php.address()
    );
    let gateway = few_files(128, &format!("{TWO_THREADS}{site}"))
        .start()
        .await;
    let address = gateway.address();
    let lowered = |line: &str| line.contains("the limit on open files is too low for");
    gateway.log.wait_for(lowered).await;
    let mut held = Vec::new();
    for number in 0..150 {
        let mut connection = Connection::open(address).await;
        match number % 3 {
            0 => connection.write("GET /hel").await,
            _ => {
                let target = ["/hello.php", "/file.txt"][number % 2];
                let answer = connection.send(&Request::get(target)).await;
                assert_eq!(answer.status, 200, "{number}");
            }
        }
        held.push(connection);
    }
    for (target, text) in [("/hello.php", "php"), ("/file.txt", "file")].repeat(4) {
        let mut connection = Connection::open(address).await;
        let answer = connection.send(&Request::get(target)).await;
        assert_eq!(answer.text(), text);
        held.push(connection);
    }
    let lines = gateway.log.all();
    let failed = lines
        .iter()
        .find(|line| line.contains("cannot accept") || line.contains("ERROR"));
    assert_eq!(failed, None);
}

/// Files that may be open.
const LIMIT: usize = 64;

/// The streams of one connection hold what is kept: nobody is accepted until they end.
#[tokio::test]
async fn what_is_kept_for_requests_is_given_to_no_newcomer() {
    let files = tempfile::tempdir().unwrap();
    for number in 0..LIMIT {
        let file = std::fs::File::create(files.path().join(number.to_string()));
        file.unwrap().set_len(4 << 20).unwrap();
    }
    let server = TWO_THREADS.replace("= 2\n", "= 1\nfile_cache = \"0B\"\n");
    let site = format!("[[site]]\nroot = \"{}\"\n", files.path().display());
    let gateway = few_files(LIMIT, &format!("{server}{site}")).start().await;
    let address = gateway.address();
    // RFC 9113 §6.5.2: SETTINGS_INITIAL_WINDOW_SIZE.
    let mut frames = Frames::open_with(address, &[(4, 0)]).await;
    frames
        .until("its settings", |frame| frame.kind == SETTINGS)
        .await;
    let opened = std::fs::read_dir(format!("/proc/{}/fd", gateway.server_id()));
    // Seven eighths are for clients; more are open then, with a gap or not.
    for number in opened.unwrap().count()..LIMIT - 4 {
        let target = format!("/{number}");
        let stream = u32::try_from(number).unwrap() * 2 + 1;
        frames
            .head(stream, &request("GET", &target, &[]), true)
            .await;
        let head = frames
            .until("its head", |frame| {
                frame.kind == HEADERS && frame.stream == stream
            })
            .await;
        assert_eq!(head.status(), 200, "{target}");
    }
    let mut newcomers = Vec::new();
    for _ in 0..3 {
        newcomers.push(Connection::open(address).await);
    }
    let paused = |line: &str| {
        line.contains("no connection is accepted") || line.contains("cannot accept connections")
    };
    gateway.log.wait_for(paused).await;
    drop(frames);
    let mut connection = Connection::open(address).await;
    assert_eq!(connection.send(&Request::get("/1")).await.status, 200);
}

/// How many of one client there may be where nothing is said: 64 of 512.
#[tokio::test]
async fn a_client_has_a_share_and_others_find_room_beside_it() {
    let limits = "limits = { connections = 512 }\n";
    let proxy = "trusted_proxies = [\"127.0.0.3\"]\n";
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("web.sock");
    let listen = "[[listen]]\naddress = ";
    let config = format!(
        "[server]\n{proxy}{limits}{listen}\"127.0.0.1:0\"\n{listen}\"unix:{}\"\n\
         {listen}\"127.0.0.1:0\"\nproxy_protocol = {{ from = [\"127.0.0.4\"] }}\n{HELLO}",
        socket.display()
    );
    let gateway = Gateway::with(&config).admin().start().await;
    let tcp = gateway.addresses()[0].port();
    let behind = gateway.addresses()[2].port();
    // Slow heads, as long as nobody wants their places.
    let mut held = Vec::new();
    for _ in 0..200 {
        let mut slow = from("127.0.0.1", tcp).await;
        slow.write("GET / HT").await;
        held.push(slow);
    }
    let crowd = |it: &Value| it["heads"] == 64 && it["refused"] == 136;
    connections(&gateway, "the share of one", crowd).await;
    for client in ["127.0.0.2", "127.0.0.3"] {
        let mut other = from(client, tcp).await;
        assert_eq!(
            other.send(&Request::get("/")).await.text(),
            "hello",
            "{client}"
        );
    }
    // Proxies, and whoever comes through a unix socket, speak for many.
    for _ in 0..80 {
        let mut proxy = from("127.0.0.3", tcp).await;
        proxy.write("GET / HT").await;
        let mut local = Connection::open(&gateway.addresses()[1]).await;
        local.write("GET / HT").await;
        let mut own = from("127.0.0.4", behind).await;
        own.write("PROXY UNKNOWN\r\nGET / HT").await;
        held.extend([proxy, local, own]);
    }
    let all = |it: &Value| it["heads"] == 64 + 3 * 80 && it["refused"] == 136;
    connections(&gateway, "those of many", all).await;
}

/// A connection from another address of this machine.
async fn from(client: &str, port: u16) -> Connection {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(format!("{client}:0").parse().unwrap()).unwrap();
    let server = format!("127.0.0.1:{port}").parse().unwrap();
    Connection::over(Box::new(socket.connect(server).await.unwrap()))
}
