//! Nobody waits for another's hundred requests: sites and clients take turns, and a class has its reserve.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::admin::metric;
use crate::harness::load::{alone, load_time};
use crate::harness::scripted_responder::Received;
use crate::harness::{
    Address, Clients, Connection, Gate, Gateway, PATIENCE, Request, Script, ScriptedResponder,
    eventually, http2, require,
};
use crate::upstream::settle;

/// A connection of the client at 127.0.0.`client`.
async fn connect_as(client: u8, address: &Address) -> Connection {
    let Address::Tcp(gateway) = address else {
        panic!("{address} has no clients with addresses");
    };
    let socket = TcpSocket::new_v4().unwrap();
    let own = Ipv4Addr::new(127, 0, 0, client);
    socket.bind((own, 0).into()).unwrap();
    let stream = socket.connect(*gateway).await.unwrap();
    stream.set_nodelay(true).unwrap();
    Connection::over(Box::new(stream))
}

/// Sends a request of the client to the site `host`, and leaves it waiting.
async fn start_as(client: u8, gateway: &Gateway, host: &str, target: &str) -> Connection {
    let mut connection = connect_as(client, gateway.address()).await;
    connection
        .start(&Request::get(target).field("Host", host))
        .await;
    settle(gateway).await;
    connection
}

/// A script that waits for `gate`, but for targets that begin with /quick.
fn held(gate: &Gate) -> Script {
    let gate = gate.clone();
    Script::by(move |request: &Received| {
        let script = Script::new().read_request();
        let script = match request.param("REQUEST_URI").starts_with("/quick") {
            true => script,
            false => script.wait(&gate),
        };
        script.stdout("\nserved").end_request()
    })
}

/// An upstream with further `lines`, a site that has no need of it, and these sites that do, each with further lines.
fn config(responder: &ScriptedResponder, lines: &str, sites: &[(&str, &str)]) -> String {
    let site = responder.site(lines);
    let (upstream, _) = site.split_once("[[site]]").unwrap();
    let mut config = format!(
        "[server]\nworkers = 1\n{upstream}[[site]]\nhosts = [\"ping\"]\nrule = [{{ respond = {{ body = \"pong\" }} }}]\n"
    );
    for (host, lines) in sites {
        config += &format!(
            "[[site]]\nhosts = [\"{host}\"]\nroot = \"/srv/app\"\n{lines}\n[[site.rule]]\n\
             fastcgi = {{ upstream = \"app\", script = \"/srv/app/index.php\", missing = \"pass\" }}\n"
        );
    }
    config
}

/// Lets one request after the other end, until `count` have begun; returns their targets.
async fn order(responder: &ScriptedResponder, gate: &Gate, count: usize) -> Vec<String> {
    for served in 1..=count {
        gate.pass(1);
        responder
            .wait_until("the next", |seen| {
                seen.requests.len() > served.min(count - 1)
            })
            .await;
    }
    let requests = responder.requests();
    let targets = requests.iter().map(|request| request.param("REQUEST_URI"));
    targets.map(str::to_owned).collect()
}

/// Waits until a metric of the upstream has at least this value.
async fn measured(gateway: &Gateway, name: &str, value: f64) {
    eventually(name, PATIENCE, async || {
        let scrape = gateway.ask("/metrics").await.text();
        require(metric(&scrape, &[name]), |now| *now >= value)
    })
    .await;
}

/// Eight connections of one client with 120 requests each, which go when this is dropped.
async fn flood(address: &Address) -> JoinSet<()> {
    let mut flood = JoinSet::new();
    for _ in 0..8 {
        let connection = http2::Connection::open(address).await;
        for number in 0..120 {
            let mut connection = connection.clone();
            let request = Request::get(&format!("/slow/{number}")).field("Host", "a.test");
            flood.spawn(async move { drop(connection.send(&request).await) });
        }
    }
    flood
}

#[tokio::test]
async fn one_client_with_a_thousand_requests_delays_another_by_one() {
    let gate = Gate::new();
    let responder = ScriptedResponder::start([held(&gate)]).await;
    let gateway = Gateway::with(&config(
        &responder,
        "capacity = 8\nqueue_length = 200",
        &[("a.test", "")],
    ))
    .admin()
    .start()
    .await;
    let address = gateway.address();
    let _flood = flood(address).await;
    // Half of the places are one client's; what workers took after the last refusal is not there any more.
    measured(&gateway, "fcgate_upstream_queue{", 50.0).await;
    let full = |line: &str| line.contains("QUEUE_FULL") && line.contains("this client has");
    gateway.log.wait_for(full).await;
    for number in 0..20 {
        responder.wait_until("all", |seen| seen.busy == 8).await;
        let target = format!("/quick/{number}");
        let mut bystander = connect_as(2, address).await;
        bystander
            .start(&Request::get(&target).field("Host", "a.test"))
            .await;
        measured(&gateway, "fcgate_upstream_queue_clients{", 2.0).await;
        let before = responder.requests().len();
        let is_it = |request: &Received| request.param("REQUEST_URI") == target;
        for turn in 1..=2 {
            gate.pass(1);
            responder
                .wait_until("the next", |seen| seen.requests.len() >= before + turn)
                .await;
            if responder.requests().iter().any(is_it) {
                break;
            }
        }
        assert_eq!(bystander.response().await.status, 200);
        let at = responder.requests().iter().position(is_it);
        assert!(at.is_some_and(|at| at < before + 2), "{at:?} of {before}");
    }
    let scrape = gateway.ask("/metrics").await.text();
    for name in ["queue_longest_wait_seconds{", "queue_full_client_total{"] {
        assert!(metric(&scrape, &[name]) > 0.0, "{name}");
    }
    assert_eq!(metric(&scrape, &["queue_full_site_total{"]), 0.0);
    let status = gateway.ask("/status").await.text();
    assert!(status.contains("\"longest_wait_ms\""), "{status}");
}

#[tokio::test]
async fn a_bystander_is_served_while_php_is_flooded() {
    let _alone = alone().await;
    let (_php, gateway) = Gateway::with_php(2)
        .file("work.php", "<?php usleep(20000); echo 'worked';")
        .start()
        .await;
    let flood = Clients::get("/work.php", 200);
    let time = load_time(4);
    let (flood, waits) = tokio::join!(flood.ask_for(gateway.address(), time), async {
        let mut waits = Vec::new();
        let ends = Instant::now() + time;
        let mut bystander = connect_as(2, gateway.address()).await;
        while Instant::now() < ends {
            let gateway = Instant::now();
            let response = bystander.send(&Request::get("/work.php")).await;
            assert_eq!(response.status, 200);
            waits.push(gateway.elapsed());
        }
        waits.sort();
        waits
    });
    flood.all_well();
    let median = waits[waits.len() / 2];
    println!("flood {:?}, bystander {median:?}", flood.wait(50));
    assert!(
        median * 10 < flood.wait(50),
        "{median:?} of {:?}",
        flood.wait(50)
    );
}

#[tokio::test]
async fn a_site_with_many_clients_delays_another_by_one_and_leaves_it_a_place() {
    let gate = Gate::new();
    let responder = ScriptedResponder::start([held(&gate)]).await;
    let sites = [("a.test", ""), ("b.test", "")];
    let lines = "capacity = 1\nqueue_length = 8";
    let gateway = Gateway::start(&config(&responder, lines, &sites)).await;
    let mut clients = vec![start_as(10, &gateway, "a.test", "/a0").await];
    for number in 1..=6 {
        let target = format!("/a{number}");
        clients.push(start_as(10 + number, &gateway, "a.test", &target).await);
    }
    let mut refused = start_as(20, &gateway, "a.test", "/a7").await;
    let response = refused.response().await;
    assert_eq!(response.status, 503);
    assert!(response.header("retry-after").is_some());
    let share = |line: &str| line.contains("QUEUE_FULL") && line.contains("this site has");
    gateway.log.wait_for(share).await;
    clients.push(start_as(30, &gateway, "b.test", "/b1").await);
    let mut refused = start_as(30, &gateway, "b.test", "/b2").await;
    assert_eq!(refused.response().await.status, 503);
    clients.push(start_as(31, &gateway, "b.test", "/b3").await);
    assert_eq!(
        order(&responder, &gate, 9).await,
        [
            "/a0", "/a1", "/b1", "/a2", "/b3", "/a3", "/a4", "/a5", "/a6"
        ]
    );
    for client in &mut clients {
        assert_eq!(client.response().await.status, 200);
    }
}

#[tokio::test]
async fn a_retry_is_the_next_and_its_client_then_waits_for_its_turn() {
    let gate = Gate::new();
    let (held, breaks) = (gate.clone(), Arc::new(AtomicUsize::new(0)));
    let script = Script::by(move |request: &Received| {
        let script = Script::new().read_request();
        match request.param("REQUEST_URI") {
            "/breaks" if breaks.fetch_add(1, Ordering::Relaxed) == 0 => script.reset(),
            _ => script.wait(&held).stdout("\nserved").end_request(),
        }
    });
    let responder = ScriptedResponder::start([script]).await;
    let gateway = Gateway::start(&config(&responder, "capacity = 1", &[("a.test", "")])).await;
    let mut clients = Vec::new();
    for (client, target) in [
        (1, "/first"),
        (2, "/breaks"),
        (2, "/again"),
        (3, "/3a"),
        (3, "/3b"),
        (4, "/4a"),
    ] {
        clients.push(start_as(client, &gateway, "a.test", target).await);
    }
    gate.pass(1);
    // What broke was served a second time before all others.
    responder
        .wait_until("the retry", |seen| seen.requests.len() == 3)
        .await;
    gate.pass(5);
    for client in &mut clients {
        assert_eq!(client.response().await.status, 200);
    }
    let requests = responder.requests();
    let targets: Vec<_> = requests.iter().map(|it| it.param("REQUEST_URI")).collect();
    assert_eq!(
        targets,
        [
            "/first", "/breaks", "/breaks", "/3a", "/4a", "/again", "/3b"
        ]
    );
}

#[tokio::test]
async fn a_class_has_its_part_of_the_workers_and_of_the_places() {
    let gate = Gate::new();
    let responder = ScriptedResponder::start([held(&gate)]).await;
    let rule = "[[site.rule]]\npath = \"/checkout\"\nreserve = \"50 %\"";
    let lines = "capacity = 1\nqueue_length = 20";
    let gateway = Gateway::start(&config(&responder, lines, &[("a.test", rule)])).await;
    let mut clients = vec![start_as(1, &gateway, "a.test", "/running").await];
    // Ten places are left to all: five for the first, and one for each that comes.
    for client in [1, 1, 1, 1, 1, 2, 3, 4, 5, 6] {
        clients.push(start_as(client, &gateway, "a.test", "/flood").await);
    }
    for client in [1, 7] {
        let mut refused = start_as(client, &gateway, "a.test", "/flood").await;
        assert_eq!(refused.response().await.status, 503);
    }
    let full = |line: &str| line.contains("QUEUE_FULL") && line.contains("the queue is full");
    gateway.log.wait_for(full).await;
    for client in [1, 8, 8, 8] {
        clients.push(start_as(client, &gateway, "a.test", "/checkout").await);
    }
    let order = order(&responder, &gate, 15).await;
    let served: Vec<_> = order.iter().map(|target| target == "/checkout").collect();
    for count in (3..=9).step_by(2) {
        let checkouts = served[1..count].iter().filter(|it| **it).count();
        assert_eq!(checkouts, (count - 1) / 2, "{order:?}");
    }
    for client in &mut clients {
        assert_eq!(client.response().await.status, 200);
    }
}
