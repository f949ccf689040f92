//! Several servers: who gets a request, what becomes of one that fails, and names.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::harness::gateway::check;
use crate::harness::php_fpm;
use crate::harness::scripted_responder;
use crate::harness::{
    Connection, Gate, Gateway, PATIENCE, PhpFpm, Request, Script, ScriptedResponder, eventually,
    require,
};

/// A site that an upstream of these servers answers.
fn config<'a>(servers: impl IntoIterator<Item = &'a dyn ToString>, lines: &str) -> String {
    let servers: Vec<_> = servers
        .into_iter()
        .map(|server| format!("\"{}\"", server.to_string()))
        .collect();
    format!(
        "[upstream.app]\nservers = [{}]\n{lines}\n[[site]]\nroot = \"/srv/app\"\n[[site.rule]]\n\
         fastcgi = {{ upstream = \"app\", script = \"/srv/app/index.php\", missing = \"pass\" }}\n",
        servers.join(", ")
    )
}

async fn responders<const N: usize>(script: &Script) -> [ScriptedResponder; N] {
    let mut started = Vec::new();
    for _ in 0..N {
        started.push(ScriptedResponder::start([script.clone()]).await);
    }
    started.try_into().unwrap_or_else(|_| unreachable!())
}

fn served(responders: &[ScriptedResponder]) -> Vec<usize> {
    responders
        .iter()
        .map(|responder| responder.requests().len())
        .collect()
}

#[tokio::test]
async fn the_least_busy_server_is_asked() {
    let gate = Gate::new();
    let script = Script::held(&gate, "\n");
    let responders: [_; 2] = responders(&script).await;
    let [a, b] = &responders;
    let gateway = Gateway::start(&config([a.address() as &dyn ToString, b.address()], "")).await;
    let mut clients = Vec::new();
    for total in 1..=6 {
        let mut client = Connection::open(gateway.address()).await;
        client.start(&Request::get("/")).await;
        clients.push(client);
        // One after the other, so that each is seen by the next.
        eventually("the request", PATIENCE, async || {
            require(served(&responders), |served| {
                served.iter().sum::<usize>() >= total
            })
        })
        .await;
    }
    assert_eq!(served(&responders), [3, 3]);
    gate.pass(6);
    for mut client in clients {
        assert_eq!(client.response().await.status, 200);
    }
}

#[tokio::test]
async fn turns_go_round_and_the_first_available_has_all() {
    for (policy, expected) in [("round-robin", [4, 4, 4]), ("first-available", [12, 0, 0])] {
        let responders: [_; 3] = responders(&Script::answer("\n")).await;
        let servers = responders
            .each_ref()
            .map(|one| one.address() as &dyn ToString);
        let gateway = Gateway::start(&config(servers, &format!("policy = \"{policy}\""))).await;
        for _ in 0..12 {
            assert_eq!(gateway.get("/").await.status, 200);
        }
        assert_eq!(served(&responders), expected, "{policy}");
    }
}

#[tokio::test]
async fn the_next_stands_in_for_the_first() {
    let [first, second] = responders(&Script::answer("\n")).await;
    let servers = [first.address() as &dyn ToString, second.address()];
    let gateway = Gateway::start(&config(servers, "policy = \"first-available\"")).await;
    assert_eq!(gateway.get("/").await.status, 200);
    drop(first);
    for _ in 0..5 {
        assert_eq!(
            gateway.send(&Request::post("/").body("x")).await.status,
            200
        );
    }
    assert_eq!(second.requests().len(), 5);
}

#[tokio::test]
async fn who_does_not_speak_the_protocol_is_avoided_and_then_tried_again() {
    let nonsense = Script::new()
        .read_request()
        .raw("HTTP/1.1 400 Bad Request\r\n\r\n")
        .close();
    let odd = ScriptedResponder::start([nonsense, Script::answer("\n")]).await;
    let [well] = responders(&Script::answer("\n")).await;
    let servers = [odd.address() as &dyn ToString, well.address()];
    let gateway = Gateway::start(&config(servers, "policy = \"round-robin\"")).await;
    for _ in 0..10 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    assert_eq!(odd.requests().len(), 1, "nothing while the other is well");
    gateway
        .log
        .wait_for(|line| line.contains("the server fails"))
        .await;
    eventually("another try", PATIENCE, async || {
        assert_eq!(gateway.get("/").await.status, 200);
        require(odd.requests().len(), |requests| *requests >= 4)
    })
    .await;
    gateway
        .log
        .wait_for(|line| line.contains("the server has recovered"))
        .await;
}

/// Two PHP-FPMs that say who they are, not started yet, and a configuration that asks them in turn.
fn two_php() -> (PhpFpm, PhpFpm, String) {
    let php = |name: &str| {
        php_fpm::Setup::new(2)
            .line(&format!("env[WHO] = {name}"))
            .prepare()
    };
    let (a, b) = (php("a"), php("b"));
    a.write("index.php", "<?php usleep(2000); echo getenv('WHO');");
    let servers = [a.address() as &dyn ToString, b.address()];
    // Both run the script of the first.
    let root = a.root().display().to_string();
    let config = config(servers, "policy = \"round-robin\"").replace("/srv/app", &root);
    (a, b, config)
}

#[tokio::test]
async fn a_server_that_is_down_gets_nothing_and_is_found_when_it_is_back() {
    let (mut a, mut b, config) = two_php();
    a.start_again().await;
    let gateway = Gateway::start(&config).await;
    for _ in 0..20 {
        let response = gateway.send(&Request::post("/").body("x")).await;
        assert_eq!((response.status, response.text().as_str()), (200, "a"));
    }
    b.start_again().await;
    eventually("the server that is back", PATIENCE, async || {
        require(gateway.get("/").await.text(), |text| text == "b")
    })
    .await;
}

#[tokio::test]
async fn where_all_are_down_the_first_to_come_back_serves_who_waits() {
    let (_a, mut b, config) = two_php();
    let gateway = Gateway::start(&config).await;
    let requests = async { tokio::join!(gateway.get("/"), gateway.get("/"), gateway.get("/")) };
    let ((one, two, three), ()) = tokio::join!(requests, async {
        gateway
            .log
            .wait_for(|line| line.contains("the server fails"))
            .await;
        b.start_again().await;
    });
    assert_eq!([one.status, two.status, three.status], [200; 3]);
}

#[tokio::test]
async fn no_request_fails_when_one_of_two_servers_is_killed() {
    let (mut a, mut b, config) = two_php();
    a.start_again().await;
    b.start_again().await;
    let gateway = Gateway::start(&config).await;
    let (answered, stop) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (answered, stop) = (Arc::clone(&answered), Arc::clone(&stop));
            let address = gateway.address().clone();
            tokio::spawn(async move {
                let mut connection = Connection::open(&address).await;
                while !stop.load(Ordering::Relaxed) {
                    let response = connection.send(&Request::get("/")).await;
                    assert_eq!(response.status, 200, "{}", response.text());
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let further = |count: usize| {
        let answered = Arc::clone(&answered);
        let goal = answered.load(Ordering::Relaxed) + count;
        eventually("further answers", PATIENCE, async move || {
            require(answered.load(Ordering::Relaxed), |answers| *answers >= goal)
        })
    };
    further(200).await;
    a.stop();
    further(400).await;
    a.start_again().await;
    further(200).await;
    b.stop();
    further(400).await;
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn a_name_stands_for_its_addresses() {
    let responder = scripted_responder::Setup::new([Script::answer("\nhello")])
        .tcp()
        .start()
        .await;
    let server = format!("localhost:{}", responder.address().port());
    let gateway = Gateway::start(&config([&server as &dyn ToString], "resolve = \"1s\"")).await;
    for _ in 0..5 {
        assert_eq!(gateway.get("/").await.text(), "hello");
    }
    gateway
        .log
        .wait_for(|line| line.contains("server added") && line.contains("127.0.0.1"))
        .await;
}

#[tokio::test]
async fn a_name_that_does_not_resolve_stops_nobody_else() {
    let name = "nowhere.invalid:9000";
    let lines = "timeouts = { queue = \"500ms\" }";
    let gateway = Gateway::start(&config([&name as &dyn ToString], lines)).await;
    assert_eq!(gateway.get("/").await.status, 503);
    gateway
        .log
        .wait_for(|line| line.contains("UPSTREAM_DOWN") && line.contains(name))
        .await;

    let [well] = responders(&Script::answer("\n")).await;
    let servers = [&name as &dyn ToString, well.address()];
    let gateway = Gateway::start(&config(servers, lines)).await;
    assert_eq!(gateway.get("/").await.status, 200);
}

#[tokio::test]
async fn the_time_that_a_name_is_good_has_bounds() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fcgate.toml");
    for (resolve, fits) in [
        ("1s", true),
        ("30s", true),
        ("999ms", false),
        ("31s", false),
    ] {
        let lines = format!("resolve = \"{resolve}\"");
        std::fs::write(&file, config([&"php:9000" as &dyn ToString], &lines)).unwrap();
        let output = check(&file);
        assert_eq!(output.status.success(), fits, "{resolve}");
        let said = String::from_utf8_lossy(&output.stderr).contains("from 1s to 30s");
        assert_eq!(said, !fits, "{resolve}");
    }
}

#[tokio::test]
async fn a_connection_serves_as_many_requests_as_it_may() {
    // Silent, so that how quick an acknowledgement is has no say in what idles.
    let responder = scripted_responder::Setup::new([Script::answer("\n")])
        .silent()
        .start()
        .await;
    let lines = "capacity = 1\nkeep = \"60s\"\nturn = \"60s\"\nmax_requests = 5";
    let gateway = Gateway::start(&responder.site(lines)).await;
    let mut client = Connection::open(gateway.address()).await;
    for _ in 0..20 {
        assert_eq!(client.send(&Request::get("/")).await.status, 200);
    }
    // The first two found out that it is silent.
    assert_eq!(responder.seen().connections, 2 + 4);
}

#[tokio::test]
async fn no_more_connections_idle_than_may() {
    let gate = Gate::new();
    let script = Script::held(&gate, "\n");
    let responder = scripted_responder::Setup::new([script])
        .silent()
        .start()
        .await;
    let lines = "capacity = 3\nkeep = \"60s\"\nturn = \"60s\"\nmax_idle = 1";
    let gateway = Gateway::start(&responder.site(lines)).await;
    let requests = async { tokio::join!(gateway.get("/"), gateway.get("/"), gateway.get("/")) };
    let ((one, two, three), ()) = tokio::join!(requests, async {
        responder.wait_until("all", |seen| seen.busy == 3).await;
        gate.pass(3);
    });
    assert_eq!([one.status, two.status, three.status], [200; 3]);
    responder
        .wait_until("one left", |seen| seen.open == 1)
        .await;
}
