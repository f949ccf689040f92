//! The program ends in good order whatever its requests are doing: nothing that is torn down begins anything.

use nix::sys::signal::Signal;

use crate::harness::scripted_responder::Setup;
use crate::harness::{
    Address, Connection, Gate, Gateway, PATIENCE, Request, Script, ScriptedResponder, eventually,
};
use crate::upstream::{settle, start_request};

/// How a server treats probes, how that is played, and a line of its upstream.
type Kind = (&'static str, fn(Setup) -> Setup, &'static str);

/// A site whose PHP is `address`, on one thread or two.
fn config(address: &Address, workers: usize) -> String {
    let ping = "[[site]]\nhosts = [\"ping\"]\nrule = [{ respond = { body = \"pong\" } }]\n";
    format!(
        "[server]\nworkers = {workers}\nlog = \"debug\"\n[upstream.app]\nservers = \"{address}\"\nscouts = 3\n[[site]]\nroot = \"/srv\"\n\
         [[site.rule]]\nfastcgi = {{ upstream = \"app\", script = \"/srv/index.php\", missing = \"pass\" }}\n{ping}"
    )
}

/// `count` clients that wait for their answers.
async fn clients(gateway: &Gateway, count: usize) -> Vec<Connection> {
    let mut clients = Vec::new();
    for number in 0..count {
        let mut client = Connection::open(gateway.address()).await;
        let method = ["GET", "POST"][number % 2];
        client
            .start(&Request::new(method, "/").body("content"))
            .await;
        clients.push(client);
    }
    clients
}

/// Asks it to stop, and then to stop at once; each request has its line in the log.
async fn ends(mut gateway: Gateway, requests: Option<usize>, name: &str) {
    gateway.signal(Signal::SIGTERM);
    gateway.log.wait_for(|line| line.contains("stopping")).await;
    gateway.signal(Signal::SIGTERM);
    let status = gateway.ended().await;
    assert_eq!(status.code(), Some(0), "{name}: {status}");
    gateway.access.ended().await;
    let mut lines = gateway.access.all();
    lines.retain(|line| !line.contains("GET / HTTP/1.1\" 200 4"));
    let requests = requests.unwrap_or(lines.len());
    assert_eq!(lines.len(), requests, "{name}: {lines:?}");
}

#[tokio::test]
async fn while_requests_wait_for_a_php_that_is_down() {
    let folder = tempfile::tempdir().unwrap();
    for workers in [1, 2] {
        let gateway = Gateway::start(&config(
            &Address::Unix(folder.path().join("php.sock")),
            workers,
        ))
        .await;
        let _clients = clients(&gateway, 5).await;
        let fails = |line: &str| line.contains("the server fails");
        gateway.log.wait_for(fails).await;
        settle(&gateway).await;
        // With several threads nothing tells that all have come.
        let requests = (workers == 1).then_some(5);
        ends(gateway, requests, "down").await;
    }
}

#[tokio::test]
async fn while_requests_wait_for_workers_run_and_are_found_out_about() {
    let stall = || Setup::new([Script::new().read_request().stall()]);
    let kinds: [Kind; 4] = [
        ("Kept", |setup| setup, "capacity = 2"),
        ("Silent, not known yet", Setup::silent, ""),
        ("Silent", Setup::silent, "capacity = 2"),
        ("Closes", Setup::closes, "capacity = 2"),
    ];
    for workers in [1, 2] {
        for (name, play, line) in kinds {
            let responder = play(stall()).start().await;
            let config = config(responder.address(), workers).replace("scouts = 3", line);
            let gateway = Gateway::start(&config).await;
            let _clients = clients(&gateway, 6).await;
            settle(&gateway).await;
            if !line.is_empty() {
                responder.wait_until("two run", |seen| seen.busy == 2).await;
            } else {
                responder
                    .wait_until("a probe", |seen| seen.connections > 0)
                    .await;
            }
            // With several threads nothing tells that all have come.
            let requests = (workers == 1).then_some(6);
            ends(gateway, requests, name).await;
        }
    }
}

#[tokio::test]
async fn while_workers_work_on_connections_idle_and_clients_have_left() {
    let (php, gateway) = Gateway::with_php(6).file(
        "index.php",
        "<?php echo \"A\\n\"; fastcgi_finish_request(); touch(__DIR__ . '/at-' . getmypid()); sleep(60);",
    )
    .file("idle.php", "<?php echo 'idle';")
    .file("slow.php", "<?php touch(__DIR__ . '/slow'); sleep(60);")
    .start()
    .await;
    for _ in 0..2 {
        assert_eq!(gateway.get("/").await.text(), "A\n");
    }
    assert_eq!(gateway.get("/idle.php").await.text(), "idle");
    // A POST runs to its end though its client has gone.
    let mut left = Connection::open(gateway.address()).await;
    left.start(&Request::post("/slow.php")).await;
    let slow = php.root().join("slow");
    eventually("the POST runs", PATIENCE, async || slow.exists()).await;
    drop(left);
    gateway
        .access
        .wait_for(|line| line.contains("POST /slow.php"))
        .await;
    ends(gateway, Some(4), "afterwards").await;
}

/// A request that waits keeps its place while its upstream is changed, and nobody who comes later is served before it.
#[tokio::test]
async fn a_reload_keeps_who_waits_in_their_order() {
    let gate = Gate::new();
    let script = Script::held(&gate, "\n");
    let responder = ScriptedResponder::start([script]).await;
    let with = |lines: &str| config(responder.address(), 1).replace("scouts = 3", lines);
    let gateway = Gateway::start(&with("capacity = 1")).await;
    let mut waiting = Vec::new();
    for number in 0..12 {
        waiting.push(start_request(&gateway, &format!("/{number}")).await);
        if number % 4 == 3 {
            let queue = 60 + number;
            let lines = format!(
                "capacity = 1\nturn = \"{number}ms\"\ntimeouts = {{ queue = \"{queue}s\" }}"
            );
            let line = gateway.reload(&with(&lines)).await;
            assert!(line.contains("reloaded"), "{line}");
        }
    }
    gate.pass(12);
    for client in &mut waiting {
        assert_eq!(client.response().await.status, 200);
    }
    let order: Vec<_> = responder
        .requests()
        .iter()
        .map(|request| request.param("REQUEST_URI").to_owned())
        .collect();
    let expected: Vec<_> = (0..12).map(|number| format!("/{number}")).collect();
    assert_eq!(order, expected);
    assert_eq!(responder.seen().most_busy, 1);
}
