//! What the gateway says about itself: readiness that follows PHP, numbers, reloads that are asked for or seen coming.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::harness::h2_frames::{Frames, Outcome, PING, PROTOCOL_ERROR, RST_STREAM, request};
use crate::harness::{
    Address, Gate, Gateway, PATIENCE, PhpFpm, Request, Script, ScriptedResponder, eventually,
    http1, patiently, require,
};

fn with_admin(config: &str, address: &str) -> String {
    format!("{config}\n[admin]\naddress = \"{address}\"\n")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The value of a metric with these words in its line.
pub(crate) fn metric(scrape: &str, words: &[&str]) -> f64 {
    let mut lines = scrape.lines().filter(|line| !line.starts_with('#'));
    let found = lines.find(|line| words.iter().all(|word| line.contains(word)));
    let line = found.unwrap_or_else(|| panic!("no metric {words:?} in\n{scrape}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn ready_follows_php() {
    let mut php = PhpFpm::start(1).await;
    php.write("index.php", "<?php echo 'here';");
    let gateway = Gateway::with(&php.site()).admin().start().await;
    assert_eq!(gateway.ask("/live").await.status, 200);
    assert_eq!(gateway.ask("/ready").await.text(), "ready\n");
    assert!(gateway.command(&["health"]).status.success());
    php.stop();
    let answer = eventually("not ready", PATIENCE, async || {
        require(gateway.ask("/ready").await, |answer| answer.status == 503)
    })
    .await;
    assert!(answer.text().contains("php.sock"), "{}", answer.text());
    let health = gateway.command(&["health"]);
    assert_eq!(health.status.code(), Some(1));
    assert!(text(&health.stderr).contains("php.sock"), "{health:?}");
    assert_eq!(gateway.ask("/live").await.status, 200);
    php.start_again().await;
    let file = gateway.directory().join("fcgate.toml");
    eventually("ready again", PATIENCE, async || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fcgate"));
        let health = command.arg("health").arg("-c").arg(&file).output();
        health.unwrap().status.success()
    })
    .await;
}

#[tokio::test]
async fn an_upstream_that_nobody_knows_is_only_not_ready() {
    let gateway = Gateway::with(
        "[upstream.php]\nservers = [\"nobody.invalid:9000\"]\n[[site]]\nroot = \"/tmp\"\nphp = \"php\"\n[[site.rule]]\npath = \"/static\"\nrespond = { body = \"here\" }\n",
    )
    .admin()
    .start()
    .await;
    assert_eq!(gateway.get("/static").await.text(), "here");
    let answer = gateway.ask("/ready").await;
    assert_eq!(answer.status, 503);
    assert!(
        answer.text().contains("nobody.invalid"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn the_end_is_told_before_it_comes() {
    let gate = Gate::new();
    let held = Script::held(&gate, "\nok");
    let responder = ScriptedResponder::start([held]).await;
    let config = format!("[server]\ndrain_delay = \"300ms\"\n{}", responder.site(""));
    let mut gateway = Gateway::with(&config).admin().start().await;
    let address = gateway.address().clone();
    let answer = tokio::spawn(async move { http1::send(&address, &Request::get("/")).await });
    responder
        .wait_until("the request", |seen| seen.busy == 1)
        .await;
    gateway.signal(Signal::SIGTERM);
    gateway.log.wait_for(|line| line.contains("stopping")).await;
    let ready = gateway.ask("/ready").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("stopping"), "{}", ready.text());
    gate.pass(1);
    assert_eq!(answer.await.unwrap().text(), "ok");
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn streams_that_are_reset_with_an_error_are_counted() {
    let cut = Script::new()
        .read_request()
        .stdout("Content-Length: 9\n\nshort");
    let responder = ScriptedResponder::start([cut.end_request()]).await;
    let gateway = Gateway::with(&responder.site("")).admin().start().await;
    let counted = async || {
        let scrape = gateway.ask("/metrics").await.text();
        metric(&scrape, &["fcgate_http2_stream_errors_total"])
    };
    let mut frames = Frames::open(gateway.address()).await;
    frames
        .head(1, &request("GET", "/", &[("te", "gzip")]), true)
        .await;
    assert_eq!(frames.outcome(1).await, Outcome::Reset(PROTOCOL_ERROR));
    assert_eq!(counted().await, 1.0);
    frames.head(3, &request("GET", "/", &[]), true).await;
    let outcome = frames.outcome(3).await;
    assert!(matches!(outcome, Outcome::Reset(1..)), "{outcome:?}");
    assert_eq!(counted().await, 2.0);
    // RFC 9113 §8.1: a client's own word is no error of ours.
    frames.head(5, &request("POST", "/", &[]), false).await;
    frames.send(RST_STREAM, 0, 5, &8_u32.to_be_bytes()).await;
    frames.send(PING, 0, 0, &[0; 8]).await;
    frames.until("PING", |frame| frame.kind == PING).await;
    assert_eq!(counted().await, 2.0);
}

/// Scrapes until two requests wait behind one.
async fn until_two_wait(gateway: &Gateway) {
    let waiting = |scrape: &str| metric(scrape, &["fcgate_upstream_queue{"]);
    let scrape = eventually("two requests in the queue", PATIENCE, async || {
        let scrape = gateway.ask("/metrics").await;
        let kind = scrape.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
        match waiting(&scrape.text()) {
            2.0 => Ok(scrape.text()),
            count => Err(count),
        }
    })
    .await;
    assert_eq!(metric(&scrape, &["fcgate_upstream_saturation"]), 1.0);
    assert_eq!(metric(&scrape, &["fcgate_upstream_busy"]), 1.0);
}

#[tokio::test]
async fn numbers_are_told_while_php_is_saturated() {
    let gate = Gate::new();
    let held = Script::held(&gate, "\nok");
    let responder = ScriptedResponder::start([held.clone(), held.clone(), held]).await;
    let gateway = Gateway::with(&responder.site("capacity = 1"))
        .admin()
        .start()
        .await;
    let address = gateway.address().clone();
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let address = address.clone();
            tokio::spawn(async move { http1::send(&address, &Request::get("/")).await })
        })
        .collect();
    until_two_wait(&gateway).await;
    gate.pass(3);
    for client in clients {
        assert_eq!(client.await.unwrap().text(), "ok");
    }
    // A request is counted when its answer has ended, which its client sees a moment earlier.
    let counted = |scrape: &str| {
        metric(
            scrape,
            &[
                "fcgate_requests_total",
                "handler=\"fastcgi\"",
                "status=\"200\"",
            ],
        )
    };
    let mut scrape = String::new();
    for _ in 0..1000 {
        scrape = gateway.ask("/metrics").await.text();
        if scrape.contains("handler=\"fastcgi\"") && counted(&scrape) >= 3.0 {
            break;
        }
    }
    assert!(counted(&scrape) >= 3.0, "{scrape}");
    assert!(metric(&scrape, &["fcgate_request_duration_seconds_count"]) >= 3.0);
    assert_eq!(metric(&scrape, &["fcgate_upstream_queue{"]), 0.0);
    let status: Value = serde_json::from_slice(&gateway.command(&["status"]).stdout).unwrap();
    assert_eq!(status["ready"], true);
    assert_eq!(status["upstreams"][0]["members"][0]["waiting"], 0);
}

#[tokio::test]
async fn every_metric_is_documented_and_the_dashboard_knows_them() {
    let php = PhpFpm::start(1).await;
    php.write("index.php", "<?php echo 'here';");
    let gateway = Gateway::with(&php.site()).admin().start().await;
    gateway.get("/").await;
    let scrape = gateway.ask("/metrics").await.text();
    let names: Vec<_> = scrape
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert!(names.len() > 25, "{names:?}");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_to_string(root.join("docs/operations.md")).unwrap();
    for name in &names {
        assert!(
            docs.contains(&format!("`{name}`")),
            "{name} is not in docs/operations.md"
        );
    }
    let documented = docs
        .lines()
        .filter_map(|line| line.strip_prefix("| `fcgate_"));
    for line in documented {
        let name = format!("fcgate_{}", line.split('`').next().unwrap());
        assert!(
            names.contains(&name.as_str()),
            "{name} is documented and not there"
        );
    }
    let dashboard = std::fs::read_to_string(root.join("docker/grafana/dashboard.json")).unwrap();
    serde_json::from_str::<Value>(&dashboard).unwrap();
    for word in dashboard.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
        let known = |name: &&str| {
            let rest = word.strip_prefix(*name);
            rest.is_some_and(|rest| {
                matches!(
                    rest,
                    "" | "_total" | "_bucket" | "_sum" | "_count" | "_info"
                )
            })
        };
        let is_metric = word.starts_with("fcgate_");
        assert!(
            !is_metric || names.iter().any(known),
            "{word} of the dashboard"
        );
    }
}

/// A name that stands for no address has its series, so that an alert can be written for it.
#[tokio::test]
async fn an_upstream_that_cannot_be_resolved_has_its_series() {
    let gateway = Gateway::with(
        "[upstream.php]\nservers = [\"nobody.invalid:9000\"]\ntimeouts = { queue = \"100ms\" }\n[[site]]\nroot = \"/tmp\"\nphp = \"php\"\nrule = [{ fastcgi = { missing = \"pass\", script = \"/tmp/x.php\" } }]\n",
    )
    .admin()
    .start()
    .await;
    let labels = ["upstream=\"php\"", "server=\"nobody.invalid:9000\""];
    let up = |scrape: &str| metric(scrape, &[&["fcgate_upstream_up{"], &labels[..]].concat());
    assert_eq!(
        up(&gateway.ask("/metrics").await.text()),
        1.0,
        "nobody has asked for it"
    );
    assert_eq!(gateway.get("/x.php").await.status, 503);
    eventually("the end of the lookup", PATIENCE, async || {
        require(up(&gateway.ask("/metrics").await.text()), |up| *up == 0.0)
    })
    .await;
    let scrape = gateway.ask("/metrics").await.text();
    let series = |name: &str| scrape.lines().filter(|line| line.starts_with(name)).count();
    for name in [
        "busy",
        "idle",
        "queue",
        "saturation",
        "connections_opened_total",
    ] {
        assert_eq!(series(&format!("fcgate_upstream_{name}{{")), 1, "{name}");
    }
    let status = gateway.ask("/status").await.json();
    let unresolved = &status["upstreams"][0]["unresolved"][0];
    assert_eq!(unresolved["server"], "nobody.invalid:9000");
    assert!(unresolved["error"].is_string(), "{status:#}");
}

#[tokio::test]
async fn a_reload_says_what_it_changes_and_a_dry_run_changes_nothing() {
    let site = |body: &str| {
        format!(
            "[[site]]\nhosts = \"a.example\"\nrule = [{{ respond = {{ body = \"{body}\" }} }}]\n"
        )
    };
    let gateway = Gateway::with(&site("one")).admin().start().await;
    let added = "[[site]]\nhosts = \"b.example\"\nrule = [{ deny = true }]\n";
    gateway.write(&(site("two") + added));
    let dry = gateway.command(&["reload", "--dry-run"]);
    assert!(dry.status.success(), "{dry:?}");
    let changed = "site a.example: changed: rule[1].respond.body";
    for line in [changed, "site b.example: added"] {
        assert!(text(&dry.stdout).contains(line), "{dry:?}");
    }
    assert_eq!(gateway.get("/").await.text(), "one");
    let real = gateway.command(&["reload"]);
    assert!(real.status.success(), "{real:?}");
    assert_eq!(gateway.get("/").await.text(), "two");
    gateway
        .log
        .wait_for(|line| line.contains("site b.example: added"))
        .await;
    assert_eq!(
        text(&gateway.command(&["reload"]).stdout),
        "nothing changes\n"
    );
    gateway.write("[[site]]\nnonsense = 1\n");
    let refused = gateway.command(&["reload"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("unknown key"), "{refused:?}");
    assert_eq!(gateway.get("/").await.text(), "two");
    let scrape = gateway.ask("/metrics").await.text();
    assert_eq!(metric(&scrape, &["fcgate_reloads_total"]), 2.0);
    assert_eq!(metric(&scrape, &["fcgate_reloads_refused_total"]), 1.0);
}

#[tokio::test]
async fn a_file_that_changes_is_read_where_that_is_wanted() {
    let config = |body: &str| {
        format!(
            "[server]\nwatch = true\n[[site]]\nrule = [{{ respond = {{ body = \"{body}\" }} }}]\n"
        )
    };
    let gateway = Gateway::with(&config("one")).admin().start().await;
    gateway.write(&config("two"));
    gateway.log.wait_for(|line| line.contains("reloaded")).await;
    assert_eq!(gateway.get("/").await.text(), "two");
    // As Kubernetes does: a link to a folder is exchanged.
    let directory = gateway.directory();
    let file = directory.join("fcgate.toml");
    gateway.write(&config("three"));
    std::fs::create_dir(directory.join("v3")).unwrap();
    std::fs::rename(&file, directory.join("v3/fcgate.toml")).unwrap();
    std::os::unix::fs::symlink("v3/fcgate.toml", directory.join("new")).unwrap();
    std::fs::rename(directory.join("new"), &file).unwrap();
    gateway
        .log
        .wait_many(0, 2, |line| line.contains("reloaded"))
        .await;
    assert_eq!(gateway.get("/").await.text(), "three");
}

#[tokio::test]
async fn a_file_that_a_pattern_comes_to_name_is_read_and_a_refused_one_only_once() {
    let gateway = Gateway::with(
        "include = [\"sites/*.toml\"]\n[server]\nwatch = true\n[[site]]\nroot = \"/tmp\"\n",
    )
    .admin()
    .start()
    .await;
    let folder = gateway.directory().join("sites");
    std::fs::create_dir(&folder).unwrap();
    let site = "[[site]]\nhosts = \"b.example\"\nrule = [{ respond = { body = \"b\" } }]\n";
    std::fs::write(folder.join("b.toml"), site).unwrap();
    let log = &gateway.log;
    log.wait_for(|line| line.contains("site b.example: added"))
        .await;
    std::fs::write(folder.join("c.toml"), "[[site]]\nnonsense = 1\n").unwrap();
    log.wait_for(|line| line.contains("reload refused")).await;
    std::fs::write(folder.join("c.toml"), site.replace("b.ex", "c.ex")).unwrap();
    log.wait_for(|line| line.contains("site c.example: added"))
        .await;
    std::fs::remove_file(folder.join("b.toml")).unwrap();
    log.wait_for(|line| line.contains("site b.example: removed"))
        .await;
    let scrape = gateway.ask("/metrics").await.text();
    assert_eq!(metric(&scrape, &["fcgate_reloads_refused_total"]), 1.0);
}

#[tokio::test]
async fn nobody_else_reaches_it() {
    for (address, message) in [
        ("0.0.0.0:9180", "other machines can reach"),
        ("example.org", "is not an address"),
        ("unix:relative", "is not an address"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fcgate.toml");
        let config = with_admin("[[site]]\nroot = \"/tmp\"\n", address);
        std::fs::write(&file, config).unwrap();
        let output = crate::harness::gateway::check(&file);
        assert!(!output.status.success(), "{address}");
        assert!(text(&output.stderr).contains(message), "{output:?}");
    }
    let gateway = Gateway::with("[[site]]\nroot = \"/tmp\"\n")
        .admin()
        .start()
        .await;
    let Address::Unix(path) = &gateway.admin() else {
        panic!("no socket")
    };
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(gateway.get("/metrics").await.status, 404);
    assert_eq!(gateway.ask("/reload").await.status, 405);
    assert_eq!(gateway.ask("/other").await.status, 404);
}

#[tokio::test]
async fn only_a_socket_is_replaced_at_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious.toml");
    std::fs::write(&path, "precious").unwrap();
    let address = format!("unix:{}", path.display());
    let config = with_admin(
        "[[listen]]\naddress = \"127.0.0.1:0\"\n[[site]]\nroot = \"/tmp\"\n",
        &address,
    );
    let mut gateway = Gateway::with(&config).in_folder(directory).spawn().await;
    assert!(!gateway.ended().await.success());
    let said = gateway.log.all().join("\n");
    assert!(
        said.contains(&address) && said.contains("not a socket"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[tokio::test]
async fn the_socket_of_a_killed_gateway_is_replaced_and_that_of_a_running_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let address = format!("unix:{}", path.display());
    let config = with_admin(
        "[[listen]]\naddress = \"127.0.0.1:0\"\n[[site]]\nroot = \"/tmp\"\n",
        &address,
    );
    // What a killed process leaves: a socket file without a socket.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let running = Gateway::start_in(directory, &config).await;
    let log = &running.log;
    log.wait_for(|line| line.contains("admin listener ready"))
        .await;
    let mut second = Gateway::with(&config).spawn().await;
    assert!(!second.ended().await.success());
    let said = second.log.all().join("\n");
    assert!(said.contains(&address) && said.contains("in use"), "{said}");
    let answer = http1::send(&Address::parse(&address), &Request::get("/live")).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_reload_at_the_end_is_told_that_there_will_be_none() {
    let gateway = Gateway::with("[server]\ndrain_delay = \"300s\"\n[[site]]\nroot = \"/tmp\"\n")
        .admin()
        .start()
        .await;
    gateway.signal(Signal::SIGTERM);
    let log = &gateway.log;
    log.wait_for(|line| line.contains("stopping")).await;
    let refused = patiently("an answer", async { gateway.command(&["reload"]) }).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("stopping"), "{refused:?}");
}

/// In front of an application on a unix socket: a port that accepts until it is told to end, and then leaves the
/// rest to the kernel's backlog, of one connection or two.
fn narrow_port(application: Address) -> (Address, tokio::task::JoinHandle<()>, Arc<TcpListener>) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).unwrap();
    socket.listen(1).unwrap();
    socket.set_nonblocking(true).unwrap();
    let listener = Arc::new(TcpListener::from_std(socket.into()).unwrap());
    let address = Address::Tcp(listener.local_addr().unwrap());
    let accepting = Arc::clone(&listener);
    let task = tokio::spawn(async move {
        loop {
            let (mut client, _) = accepting.accept().await.unwrap();
            let mut worker = application.connect().await;
            // Ends with whoever closes first.
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut worker).await;
            });
        }
    });
    (address, task, listener)
}

#[tokio::test]
async fn a_server_at_work_whose_backlog_is_full_is_no_reason() {
    let gate = Gate::new();
    let held = Script::held(&gate, "\nok");
    let responder = ScriptedResponder::start([held]).await;
    let (port, accepting, _listener) = narrow_port(responder.address().clone());
    let config = responder
        .site("")
        .replace(&responder.address().to_string(), &port.to_string());
    let gateway = Gateway::with(&config).admin().start().await;
    let address = gateway.address().clone();
    let client = tokio::spawn(async move { http1::send(&address, &Request::get("/")).await });
    responder
        .wait_until("the request", |seen| seen.busy == 1)
        .await;
    accepting.abort();
    // More than the backlog takes.
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            let port = port.clone();
            tokio::spawn(async move { port.connect().await })
        })
        .collect();
    eventually("the backlog is full", PATIENCE, async || {
        waiting.iter().filter(|task| task.is_finished()).count() >= 2
    })
    .await;
    // What was found out before may be told for a second; one that takes this long has tried to connect in vain.
    eventually("a look at the full backlog", PATIENCE, async || {
        let begun = Instant::now();
        let answer = gateway.ask("/ready").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        require(begun.elapsed(), |took| *took >= Duration::from_millis(400))
    })
    .await;
    gate.pass(1);
    assert_eq!(client.await.unwrap().text(), "ok");
    // Nobody is at work any more, and nobody can connect.
    eventually("not ready", PATIENCE, async || {
        require(gateway.ask("/ready").await.status, |status| *status == 503)
    })
    .await;
    waiting.iter().for_each(|task| task.abort());
}
