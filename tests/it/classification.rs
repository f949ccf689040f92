//! What a server does with a probe is found out at the first contact, and again after each error of a connect; each
//! kind of server is served as well as it allows.

use crate::harness::scripted_responder::Setup;
use crate::harness::{
    Clients, Connection, Direct, Gate, Gateway, PhpFpm, Request, Script, ScriptedResponder,
};
use crate::upstream::{settle, start_request};

const METHODS: [&str; 6] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS"];

/// How a server treats a probe: what the gateway calls it, how it is played, and the connections that it takes to
/// find out.
type Kind = (&'static str, fn(Setup) -> Setup, usize);

const KINDS: [Kind; 3] = [
    ("Kept", |setup| setup, 0),
    ("Closes", Setup::closes, 1),
    ("Silent(false)", Setup::silent, 1),
];

fn hello() -> Setup {
    Setup::new([Script::answer("\nhello")])
}

/// A gateway with one thread that logs what it finds out.
async fn start(responder: &ScriptedResponder, lines: &str) -> Gateway {
    let ping = "[[site]]\nhosts = [\"ping\"]\nrule = [{ respond = { body = \"pong\" } }]\n";
    let config = format!(
        "[server]\nworkers = 1\nlog = \"debug\"\n{}{ping}",
        responder.site(lines)
    );
    Gateway::start(&config).await
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
        let gateway = start(&responder, "").await;
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
        let gateway = start(&responder, "keep = \"10s\"\nturn = \"10s\"").await;
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
        let script = Script::new()
            .read_request()
            .wait(&gate)
            .stdout("\n")
            .end_request();
        let responder = play(Setup::new([script])).start().await;
        let gateway = start(&responder, "capacity = 2\nkeep = \"10s\"\nturn = \"10s\"").await;
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
            let gateway = start(&responder, capacity).await;
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
    let gateway = start(&responder, "").await;
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

#[tokio::test]
async fn a_php_that_is_busy_at_the_first_contact_is_told_from_a_silent_server() {
    let php = PhpFpm::start(1).await;
    php.write(
        "count.php",
        "<?php file_put_contents(__DIR__ . '/count', 'x', FILE_APPEND); echo 'hello';",
    );
    // A kept connection of somebody else's holds the only worker.
    let mut other = Direct::open(php.address()).await;
    other.request(&php.root().join("count.php"), "").await;
    other.answer().await;
    let config = format!("[server]\nlog = \"debug\"\n{}", php.site());
    let gateway = Gateway::start(&config).await;
    let mut clients = Vec::new();
    for number in 0..10 {
        let mut client = Connection::open(gateway.address()).await;
        let method = METHODS[number % 2];
        client.start(&Request::new(method, "/count.php")).await;
        clients.push(client);
    }
    classified(&gateway, 0, "Silent(false)").await;
    drop(other);
    for client in &mut clients {
        assert_eq!(client.response().await.text(), "hello");
    }
    classified(&gateway, 0, "Kept").await;
    let count = std::fs::read(php.root().join("count")).unwrap();
    assert_eq!(count.len(), 1 + clients.len(), "each runs once");
}
