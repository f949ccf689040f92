//! What a server does with a probe is found out at the first contact, and again after each error of a connect; each
//! kind of server is served as well as it allows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::harness::scripted_responder::Setup;
use crate::harness::{
    Clients, Connection, Direct, Gate, Gateway, GatewaySetup, PhpFpm, Request, Script,
    ScriptedResponder,
};
use crate::upstream::{one_thread, settle, start_request};

const METHODS: [&str; 6] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"];

/// How a server treats a probe: what the gateway calls it, how it is played, and the connections that it takes to
/// find out.
type Kind = (&'static str, fn(Setup) -> Setup, usize);

const KINDS: [Kind; 3] = [
    ("Kept", |setup| setup, 0),
    ("Closes", Setup::closes, 1),
    ("Silent", Setup::silent, 2),
];

fn hello() -> Setup {
    Setup::new([Script::answer("\nhello")])
}

/// A gateway with one thread in front of `responder`, whose upstream has further `lines`.
fn classifying<'a>(
    responder: &'a ScriptedResponder,
    lines: &str,
) -> GatewaySetup<&'a ScriptedResponder> {
    one_thread(responder, lines).server("log = \"debug\"")
}

/// Sends requests of all methods, each on a connection of its own.
async fn all_methods(gateway: &Gateway, kind: &str) {
    for method in METHODS {
        let response = gateway
            .send(&Request::new(method, "/").body("content"))
            .await;
        let text = if method == "HEAD" { "" } else { "hello" };
        assert_eq!(
            (response.status, response.text().as_str(), response.whole),
            (200, text, true),
            "{method}, {kind}"
        );
    }
}

async fn classified(gateway: &Gateway, seen: usize, kind: &str) {
    let class = format!("class={kind}");
    gateway
        .log
        .wait_after(seen, |line| line.contains(&class))
        .await;
}

#[tokio::test]
async fn every_kind_of_server_answers_every_method() {
    for (kind, play, _) in KINDS {
        let responder = play(hello()).start().await;
        let gateway = classifying(&responder, "").start().await;
        all_methods(&gateway, kind).await;
        classified(&gateway, 0, kind).await;
        let requests = responder.requests();
        assert_eq!(requests.len(), METHODS.len(), "{kind}: each runs once");
        assert!(
            requests.iter().all(|request| request.stdin == b"content"),
            "{kind}"
        );
    }
}

#[tokio::test]
async fn without_a_capacity_what_acknowledges_nothing_is_not_kept() {
    for (kind, play, probes) in &KINDS[1..] {
        let responder = play(hello()).start().await;
        let gateway = classifying(&responder, "keep = \"10s\"\nturn = \"10s\"")
            .start()
            .await;
        all_methods(&gateway, kind).await;
        let seen = responder.seen();
        assert_eq!(
            seen.connections,
            probes + seen.requests.len(),
            "{kind}: one for each request"
        );
        responder
            .wait_until("the close", |seen| seen.open == 0)
            .await;
    }
}

#[tokio::test]
async fn a_capacity_bounds_and_keeps_what_acknowledges_nothing() {
    for (kind, play, probes) in &KINDS[1..] {
        let gate = Gate::new();
        let script = Script::held(&gate, "\n");
        let responder = play(Setup::new([script])).start().await;
        let gateway = classifying(&responder, "capacity = 2\nkeep = \"10s\"\nturn = \"10s\"")
            .start()
            .await;
        let mut clients = Vec::new();
        for number in 0..6 {
            clients.push(start_request(&gateway, &format!("/{number}")).await);
        }
        responder
            .wait_until("two at once", |seen| seen.busy == 2)
            .await;
        gate.pass(6);
        for client in &mut clients {
            assert_eq!(client.response().await.status, 200, "{kind}");
        }
        let seen = responder.seen();
        assert_eq!((seen.requests.len(), seen.most_busy), (6, 2), "{kind}");
        assert!(
            seen.connections <= probes + 2,
            "{kind}: {} connections",
            seen.connections
        );
    }
}

#[tokio::test]
async fn many_clients_are_served_by_every_kind() {
    for (kind, play, _) in KINDS {
        for capacity in ["", "capacity = 3"] {
            let responder = play(hello()).start().await;
            let gateway = classifying(&responder, capacity).start().await;
            let enough = responder.wait_until("enough", |seen| seen.requests.len() >= 200);
            let tally = Clients::get("/", 20).ask(gateway.address(), enough).await;
            tally.all_well();
            let most = if capacity.is_empty() { 20 } else { 3 };
            let seen = responder.seen();
            assert!(
                seen.most_busy <= most,
                "{kind}, {capacity}: {}",
                seen.most_busy
            );
            assert_eq!(seen.requests.len(), tally.answered(), "{kind}, {capacity}");
        }
    }
}

#[tokio::test]
async fn a_server_that_comes_back_is_classified_anew() {
    let mut responder = hello().start().await;
    let gateway = classifying(&responder, "").start().await;
    all_methods(&gateway, "Kept, at first").await;
    for (kind, play, _) in KINDS.iter().cycle().skip(1).take(4) {
        responder.stop().await;
        let seen = gateway.log.count();
        let waiting = start_request(&gateway, "/while-down").await;
        classified(&gateway, seen, "Unknown").await;
        responder.come_back(play(hello())).await;
        let mut waiting = waiting;
        assert_eq!(waiting.response().await.text(), "hello", "{kind}");
        classified(&gateway, seen, kind).await;
        all_methods(&gateway, kind).await;
        settle(&gateway).await;
    }
}

/// A PHP with one worker that a kept connection of somebody else's holds, and a script that counts its runs.
async fn busy_php() -> (PhpFpm, Direct) {
    let php = PhpFpm::start(1).await;
    php.write(
        "count.php",
        "<?php file_put_contents(__DIR__ . '/count', 'x', FILE_APPEND); echo 'hello';",
    );
    let mut other = Direct::open(php.address()).await;
    other.request(&php.root().join("count.php"), "").await;
    other.answer().await;
    (php, other)
}

fn runs(php: &PhpFpm) -> usize {
    std::fs::read(php.root().join("count")).unwrap().len()
}

#[tokio::test]
async fn a_php_that_is_busy_at_the_first_contact_is_told_from_a_silent_server() {
    let (php, other) = busy_php().await;
    let config = format!("[server]\nlog = \"debug\"\n{}", php.site());
    let gateway = Gateway::start(&config).await;
    let mut clients = Vec::new();
    for number in 0..10 {
        let mut client = Connection::open(gateway.address()).await;
        let method = METHODS[number % 2];
        client.start(&Request::new(method, "/count.php")).await;
        clients.push(client);
    }
    let asks = |line: &str| line.contains("tests whether the server knows probes");
    gateway.log.wait_for(asks).await;
    // What its client gives up never lay in PHP's backlog, a POST neither.
    drop(clients.split_off(8));
    let left = |line: &str| line.contains("\" 499 ");
    gateway.access.wait_many(0, 2, left).await;
    drop(other);
    for client in &mut clients {
        assert_eq!(client.response().await.text(), "hello");
    }
    classified(&gateway, 0, "Kept").await;
    assert_eq!(runs(&php), 1 + clients.len(), "each runs once");
    assert!(
        !gateway
            .log
            .all()
            .iter()
            .any(|line| line.contains("class=Silent"))
    );
}

#[tokio::test]
async fn a_busy_php_is_waited_for_no_longer_than_the_queue() {
    let (php, _other) = busy_php().await;
    let address = php.address();
    let root = php.root();
    let config = format!(
        "[upstream.php]\nservers = \"{address}\"\ntimeouts = {{ queue = \"2s\" }}\n[[site]]\nroot = \"{}\"\nphp = \"php\"\n",
        root.display()
    );
    let gateway = Gateway::start(&config).await;
    for method in ["GET", "POST"] {
        let response = gateway.send(&Request::new(method, "/count.php")).await;
        assert_eq!(response.status, 503, "{method}: {}", response.text());
    }
    assert_eq!(runs(&php), 1);
}

#[tokio::test]
async fn what_is_known_of_a_server_outlives_a_reload() {
    for (kind, play, _) in KINDS {
        let responder = play(hello()).start().await;
        let lines = |queue: u32| format!("timeouts = {{ queue = \"{queue}s\" }}");
        let gateway = classifying(&responder, &lines(5)).start().await;
        all_methods(&gateway, kind).await;
        classified(&gateway, 0, kind).await;
        let seen = gateway.log.count();
        let config = format!(
            "[server]\nworkers = 1\nlog = \"debug\"\n{}",
            responder.site(&lines(6))
        );
        let line = gateway.reload(&config).await;
        assert!(line.contains("reloaded"), "{line}");
        all_methods(&gateway, kind).await;
        let later = gateway.log.all().split_off(seen);
        assert!(
            !later.iter().any(|line| line.contains("class=")),
            "{kind}: {later:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_answers_the_probe_by_another_record_is_used_all_the_same() {
    for setup in [hello().wrong(), hello().wrong().tcp()] {
        let responder = setup.start().await;
        let gateway = classifying(&responder, "").start().await;
        all_methods(&gateway, "Silent").await;
        classified(&gateway, 0, "Silent").await;
        // Two to find out: how it answers, and that it refuses a role.
        let seen = responder.seen();
        assert_eq!(seen.connections, 2 + METHODS.len());
    }
}

#[tokio::test]
async fn what_multiplexes_is_kept_and_not_asked_when_it_is_done() {
    for setup in [hello().like_go(), hello().like_go().tcp()] {
        let responder = setup.start().await;
        let gateway = classifying(&responder, "keep = \"10s\"\nturn = \"10s\"")
            .start()
            .await;
        for _ in 0..10 {
            all_methods(&gateway, "Multiplexed").await;
        }
        classified(&gateway, 0, "Multiplexed").await;
        let seen = responder.seen();
        assert_eq!(seen.requests.len(), 10 * METHODS.len(), "each runs once");
        // One that was slow to acknowledge, as on a busy machine, is not kept.
        assert!(
            seen.connections <= seen.requests.len() / 2,
            "{} connections",
            seen.connections
        );
    }
}

/// Answers every connection with these bytes and closes it; counts them.
async fn answering(bytes: &'static [u8]) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let _ = stream.write_all(bytes).await;
        }
    });
    (address, count)
}

#[tokio::test]
async fn what_is_no_fastcgi_is_found_out_once_and_left_alone() {
    for (bytes, said, most) in [
        (
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            "does not speak FastCGI",
            1,
        ),
        (b"", "type = ", 3),
    ] {
        let (address, connections) = answering(bytes).await;
        let site = format!(
            "[[site]]\nroot = \"/srv\"\n[[site.rule]]\nfastcgi = {{ upstream = \"{address}\", script = \"/srv/index.php\", missing = \"pass\" }}\n"
        );
        let gateway = Gateway::start(&site).await;
        let first = gateway.get("/").await;
        assert_eq!(first.status, 502, "{}", first.text());
        assert!(
            first.text().contains("UPSTREAM_PROTOCOL"),
            "{}",
            first.text()
        );
        let begun = tokio::time::Instant::now();
        let mut answered = 0;
        while begun.elapsed() < std::time::Duration::from_millis(500) {
            assert_eq!(gateway.send(&Request::post("/")).await.status, 502);
            answered += 1;
        }
        assert!(answered > 3, "{answered} answers at once");
        assert_eq!(connections.load(Ordering::Relaxed), most);
        let told = |line: &String| line.contains("requests get 502") && line.contains(said);
        let lines = gateway.log.all();
        assert_eq!(
            lines.iter().filter(|line| told(line)).count(),
            1,
            "{lines:?}"
        );
    }
}

#[tokio::test]
async fn an_application_that_hangs_up_on_what_it_does_not_know_is_used_where_it_is_said_to_be_generic()
 {
    let responder = hello().silent().hangs_up_on_roles().start().await;
    let gateway = classifying(&responder, "type = \"generic\"").start().await;
    all_methods(&gateway, "generic").await;
    classified(&gateway, 0, "Silent").await;
}
