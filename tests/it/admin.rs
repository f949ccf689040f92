//! What the gateway says about itself: readiness that follows PHP, numbers, reloads that are asked for or seen coming.

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::harness::h2_frames::{Frames, Outcome, PING, PROTOCOL_ERROR, RST_STREAM, request};
use crate::harness::{
    Address, Gate, Gateway, PhpFpm, Request, Response, Script, ScriptedResponder, eventually,
    http1, patiently,
};

/// A gateway with an admin socket beside its configuration.
pub(crate) struct Asked {
    pub(crate) gateway: Gateway,
    socket: Address,
}

impl Asked {
    pub(crate) async fn start(config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = format!("unix:{}/admin.sock", directory.path().display());
        let gateway = Gateway::start_in(directory, &with_admin(config, &path)).await;
        gateway
            .log
            .wait_for(|line| line.contains("answering about itself"))
            .await;
        let socket = Address::parse(&path);
        Self { gateway, socket }
    }

    pub(crate) async fn get(&self, target: &str) -> Response {
        http1::send(&self.socket, &Request::get(target)).await
    }

    /// The program with this command, for the gateway's own configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        let file = self.gateway.directory().join("fcgate.toml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_fcgate"));
        command.args(arguments).arg("-c").arg(file);
        command.output().unwrap()
    }

    /// Writes the configuration anew, with the same admin socket and listener.
    fn write(&self, config: &str) {
        // As it was at the start: any port, and the socket is kept.
        let listen = "\n[[listen]]\naddress = \"127.0.0.1:0\"\n";
        let config = with_admin(config, &self.socket.to_string()) + listen;
        std::fs::write(self.gateway.directory().join("fcgate.toml"), config).unwrap();
    }
}

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
    let asked = Asked::start(&php.site()).await;
    assert_eq!(asked.get("/live").await.status, 200);
    assert_eq!(asked.get("/ready").await.text(), "ready\n");
    assert!(asked.command(&["health"]).status.success());
    php.stop();
    loop {
        let answer = asked.get("/ready").await;
        if answer.status == 503 {
            assert!(answer.text().contains("php.sock"), "{}", answer.text());
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let health = asked.command(&["health"]);
    assert_eq!(health.status.code(), Some(1));
    assert!(text(&health.stderr).contains("php.sock"), "{health:?}");
    assert_eq!(asked.get("/live").await.status, 200);
    php.start_again().await;
    let file = asked.gateway.directory().join("fcgate.toml");
    eventually("ready again", || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fcgate"));
        let health = command.arg("health").arg("-c").arg(&file).output();
        health.unwrap().status.success()
    })
    .await;
}

#[tokio::test]
async fn an_upstream_that_nobody_knows_is_only_not_ready() {
    let asked = Asked::start(
        "[upstream.php]\nservers = [\"nobody.invalid:9000\"]\n[[site]]\nroot = \"/tmp\"\nphp = \"php\"\n[[site.rule]]\npath = \"/static\"\nrespond = { body = \"here\" }\n",
    )
    .await;
    assert_eq!(asked.gateway.get("/static").await.text(), "here");
    let answer = asked.get("/ready").await;
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
    let held = Script::new()
        .read_request()
        .wait(&gate)
        .stdout("\nok")
        .end_request();
    let responder = ScriptedResponder::start([held]).await;
    let config = format!("[server]\ndrain_delay = \"300ms\"\n{}", responder.site(""));
    let mut asked = Asked::start(&config).await;
    let address = asked.gateway.address().clone();
    let answer = tokio::spawn(async move { http1::send(&address, &Request::get("/")).await });
    responder
        .wait_until("the request", |seen| seen.busy == 1)
        .await;
    asked.gateway.signal(Signal::SIGTERM);
    asked
        .gateway
        .log
        .wait_for(|line| line.contains("stopping"))
        .await;
    let ready = asked.get("/ready").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("stopping"), "{}", ready.text());
    gate.pass(1);
    assert_eq!(answer.await.unwrap().text(), "ok");
    assert!(asked.gateway.ended().await.success());
}

#[tokio::test]
async fn streams_that_are_reset_with_an_error_are_counted() {
    let cut = Script::new()
        .read_request()
        .stdout("Content-Length: 9\n\nshort");
    let responder = ScriptedResponder::start([cut.end_request()]).await;
    let asked = Asked::start(&responder.site("")).await;
    let counted = async || {
        let scrape = asked.get("/metrics").await.text();
        metric(&scrape, &["fcgate_http2_stream_errors_total"])
    };
    let mut frames = Frames::open(asked.gateway.address()).await;
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
async fn until_two_wait(asked: &Asked) {
    loop {
        let scrape = asked.get("/metrics").await;
        let kind = scrape.header("content-type").unwrap_or_default();
        assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
        if metric(&scrape.text(), &["fcgate_upstream_queue{"]) == 2.0 {
            assert_eq!(metric(&scrape.text(), &["fcgate_upstream_saturation"]), 1.0);
            assert_eq!(metric(&scrape.text(), &["fcgate_upstream_busy"]), 1.0);
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn numbers_are_told_while_php_is_saturated() {
    let gate = Gate::new();
    let held = Script::new()
        .read_request()
        .wait(&gate)
        .stdout("\nok")
        .end_request();
    let responder = ScriptedResponder::start([held.clone(), held.clone(), held]).await;
    let asked = Asked::start(&responder.site("capacity = 1")).await;
    let address = asked.gateway.address().clone();
    let clients: Vec<_> = (0..3)
        .map(|_| {
            let address = address.clone();
            tokio::spawn(async move { http1::send(&address, &Request::get("/")).await })
        })
        .collect();
    until_two_wait(&asked).await;
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
        scrape = asked.get("/metrics").await.text();
        if scrape.contains("handler=\"fastcgi\"") && counted(&scrape) >= 3.0 {
            break;
        }
    }
    assert!(counted(&scrape) >= 3.0, "{scrape}");
    assert!(metric(&scrape, &["fcgate_request_duration_seconds_count"]) >= 3.0);
    assert_eq!(metric(&scrape, &["fcgate_upstream_queue{"]), 0.0);
    let status: Value = serde_json::from_slice(&asked.command(&["status"]).stdout).unwrap();
    assert_eq!(status["ready"], true);
    assert_eq!(status["upstreams"][0]["members"][0]["waiting"], 0);
}

#[tokio::test]
async fn every_metric_is_documented_and_the_dashboard_knows_them() {
    let php = PhpFpm::start(1).await;
    php.write("index.php", "<?php echo 'here';");
    let asked = Asked::start(&php.site()).await;
    asked.gateway.get("/").await;
    let scrape = asked.get("/metrics").await.text();
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
    let asked = Asked::start(
        "[upstream.php]\nservers = [\"nobody.invalid:9000\"]\ntimeouts = { queue = \"100ms\" }\n[[site]]\nroot = \"/tmp\"\nphp = \"php\"\nrule = [{ fastcgi = { missing = \"pass\", script = \"/tmp/x.php\" } }]\n",
    )
    .await;
    let labels = ["upstream=\"php\"", "server=\"nobody.invalid:9000\""];
    let up = |scrape: &str| metric(scrape, &[&["fcgate_upstream_up{"], &labels[..]].concat());
    assert_eq!(
        up(&asked.get("/metrics").await.text()),
        1.0,
        "nobody has asked for it"
    );
    assert_eq!(asked.gateway.get("/x.php").await.status, 503);
    patiently("the end of the lookup", async {
        while up(&asked.get("/metrics").await.text()) != 0.0 {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let scrape = asked.get("/metrics").await.text();
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
    let status = asked.get("/status").await.json();
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
    let asked = Asked::start(&site("one")).await;
    asked.write(&(site("two") + "[[site]]\nhosts = \"b.example\"\nroot = \"/tmp\"\n"));
    let dry = asked.command(&["reload", "--dry-run"]);
    assert!(dry.status.success(), "{dry:?}");
    let changed = "site a.example: changed: rule[1].respond.body";
    for line in [changed, "site b.example: added"] {
        assert!(text(&dry.stdout).contains(line), "{dry:?}");
    }
    assert_eq!(asked.gateway.get("/").await.text(), "one");
    let real = asked.command(&["reload"]);
    assert!(real.status.success(), "{real:?}");
    assert_eq!(asked.gateway.get("/").await.text(), "two");
    asked
        .gateway
        .log
        .wait_for(|line| line.contains("site b.example: added"))
        .await;
    assert_eq!(
        text(&asked.command(&["reload"]).stdout),
        "nothing changes\n"
    );
    asked.write("[[site]]\nnonsense = 1\n");
    let refused = asked.command(&["reload"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("unknown key"), "{refused:?}");
    assert_eq!(asked.gateway.get("/").await.text(), "two");
    let scrape = asked.get("/metrics").await.text();
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
    let asked = Asked::start(&config("one")).await;
    asked.write(&config("two"));
    asked
        .gateway
        .log
        .wait_for(|line| line.contains("reloaded"))
        .await;
    assert_eq!(asked.gateway.get("/").await.text(), "two");
    // As Kubernetes does: a link to a folder is exchanged.
    let directory = asked.gateway.directory();
    let file = directory.join("fcgate.toml");
    asked.write(&config("three"));
    std::fs::create_dir(directory.join("v3")).unwrap();
    std::fs::rename(&file, directory.join("v3/fcgate.toml")).unwrap();
    std::os::unix::fs::symlink("v3/fcgate.toml", directory.join("new")).unwrap();
    std::fs::rename(directory.join("new"), &file).unwrap();
    asked
        .gateway
        .log
        .wait_many(0, 2, |line| line.contains("reloaded"))
        .await;
    assert_eq!(asked.gateway.get("/").await.text(), "three");
}

#[tokio::test]
async fn a_file_that_a_pattern_comes_to_name_is_read_and_a_refused_one_only_once() {
    let asked = Asked::start(
        "include = [\"sites/*.toml\"]\n[server]\nwatch = true\n[[site]]\nroot = \"/tmp\"\n",
    )
    .await;
    let folder = asked.gateway.directory().join("sites");
    std::fs::create_dir(&folder).unwrap();
    let site = "[[site]]\nhosts = \"b.example\"\nrule = [{ respond = { body = \"b\" } }]\n";
    std::fs::write(folder.join("b.toml"), site).unwrap();
    let log = &asked.gateway.log;
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
    let scrape = asked.get("/metrics").await.text();
    assert_eq!(metric(&scrape, &["fcgate_reloads_refused_total"]), 1.0);
}

#[tokio::test]
async fn nobody_else_reaches_it() {
    for (address, message) in [
        ("0.0.0.0:9180", "others can reach"),
        ("example.org", "is no address"),
        ("unix:relative", "is no address"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fcgate.toml");
        let config = with_admin("[[site]]\nroot = \"/tmp\"\n", address);
        std::fs::write(&file, config).unwrap();
        let output = crate::harness::gateway::check(&file);
        assert!(!output.status.success(), "{address}");
        assert!(text(&output.stderr).contains(message), "{output:?}");
    }
    let asked = Asked::start("[[site]]\nroot = \"/tmp\"\n").await;
    let Address::Unix(path) = &asked.socket else {
        panic!("no socket")
    };
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert_eq!(asked.gateway.get("/metrics").await.status, 404);
    assert_eq!(asked.get("/reload").await.status, 405);
    assert_eq!(asked.get("/other").await.status, 404);
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
    let mut gateway = Gateway::spawn(directory, &config);
    assert!(!gateway.ended().await.success());
    let said = gateway.log.all().join("\n");
    assert!(
        said.contains(&address) && said.contains("no socket"),
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
    log.wait_for(|line| line.contains("answering about itself"))
        .await;
    let mut second = Gateway::spawn(tempfile::tempdir().unwrap(), &config);
    assert!(!second.ended().await.success());
    let said = second.log.all().join("\n");
    assert!(said.contains(&address) && said.contains("in use"), "{said}");
    let answer = http1::send(&Address::parse(&address), &Request::get("/live")).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_reload_at_the_end_is_told_that_there_will_be_none() {
    let asked = Asked::start("[server]\ndrain_delay = \"300s\"\n[[site]]\nroot = \"/tmp\"\n").await;
    asked.gateway.signal(Signal::SIGTERM);
    let log = &asked.gateway.log;
    log.wait_for(|line| line.contains("stopping")).await;
    let refused = patiently("an answer", async { asked.command(&["reload"]) }).await;
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
    let held = Script::new()
        .read_request()
        .wait(&gate)
        .stdout("\nok")
        .end_request();
    let responder = ScriptedResponder::start([held]).await;
    let (port, accepting, _listener) = narrow_port(responder.address().clone());
    let config = responder
        .site("")
        .replace(&responder.address().to_string(), &port.to_string());
    let asked = Asked::start(&config).await;
    let address = asked.gateway.address().clone();
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
    eventually("the backlog is full", || {
        waiting.iter().filter(|task| task.is_finished()).count() >= 2
    })
    .await;
    // What was found out before may be told for a second; one that takes this long has tried to connect in vain.
    patiently("a look at the full backlog", async {
        loop {
            let begun = Instant::now();
            let answer = asked.get("/ready").await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            if begun.elapsed() >= Duration::from_millis(400) {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    gate.pass(1);
    assert_eq!(client.await.unwrap().text(), "ok");
    // Nobody is at work any more, and nobody can connect.
    patiently("not ready", async {
        while asked.get("/ready").await.status != 503 {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    waiting.iter().for_each(|task| task.abort());
}
