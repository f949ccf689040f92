//! `timeouts.total`: a request ends when its time is up, in whatever phase it is, over both versions of HTTP; its
//! worker is free afterwards.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::harness::h2_frames::{DATA, Frames, Outcome, request};
use crate::harness::{
    Backend, Connection, Gate, Gateway, GatewaySetup, PATIENCE, Request, Response, Script,
    eventually, http2, php_fpm, scripted_responder,
};

/// Shorter than anything that is awaited: for phases that last until the limit.
const SHORT: &str = "300ms";

/// Enough for an answer to begin.
const MEDIUM: &str = "3s";

/// More than all buffers between the application and a client hold.
const LARGE: usize = 32 << 20;

const CAUSE: &str = "TIMEOUT_TOTAL";

/// A gateway whose requests below /limited/ have so much time.
fn limiting<B: Backend>(backend: B, total: &str) -> GatewaySetup<B> {
    Gateway::before(backend)
        .server("access_log = { format = \"json\" }")
        .site(&format!(
            "[[site.rule]]\nprefix = \"/limited/\"\ntimeouts = {{ total = \"{total}\" }}"
        ))
}

fn app(script: Script) -> scripted_responder::Setup {
    scripted_responder::Setup::new([script])
}

/// Sends the request over each version of HTTP, one after the other, with the version as its query.
async fn over_both(gateway: &Gateway, request: &Request) -> Vec<(String, Response)> {
    let of = |version: &str| Request {
        target: format!("{}?{version}", request.target),
        ..request.clone()
    };
    let (h1, h2) = (of("h1"), of("h2"));
    let answers = [
        (h1.target.clone(), gateway.send(&h1).await),
        (h2.target.clone(), http2::send(gateway.address(), &h2).await),
    ];
    answers.into()
}

/// Waits for the access log line of `target`, and checks its status and its end.
async fn check_line(gateway: &Gateway, target: &str, (status, complete): (u16, bool)) {
    let named = format!("\"{target}\"");
    let line = gateway.access.wait_for(|line| line.contains(&named)).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&line["cause"], &line["status"], &line["complete"]),
        (&CAUSE.into(), &status.into(), &complete.into()),
        "{line}"
    );
}

/// Waits for the line about a request that was ended: the key, its value and its place.
async fn check_log(gateway: &Gateway, seen: usize, total: &str) {
    let limit = format!("timeouts.total = \"{total}\" (");
    let told =
        |line: &str| line.contains(CAUSE) && line.contains(&limit) && line.contains("fcgate.toml:");
    gateway.log.wait_after(seen, told).await;
}

fn check_refused(target: &str, response: &Response) {
    assert_eq!((response.status, response.whole), (504, true), "{target}");
    assert!(response.text().contains(CAUSE), "{target}: {response:?}");
}

#[tokio::test]
async fn a_script_that_prints_nothing_is_given_up() {
    let silent = Script::new().read_request().read_to_end();
    let (responder, gateway) = limiting(app(silent), SHORT).start().await;
    // A POST runs on when its client leaves, and not when its time is up.
    for method in ["GET", "POST"] {
        let seen = gateway.log.count();
        let asked = Request::new(method, &format!("/limited/{method}"));
        for (target, response) in over_both(&gateway, &asked).await {
            check_refused(&target, &response);
            check_line(&gateway, &target, (504, true)).await;
        }
        check_log(&gateway, seen, SHORT).await;
        responder
            .wait_until("the close", |seen| seen.open == 0)
            .await;
    }
}

/// RFC 9110 §15.5.9: the request is not complete, whoever waits for it.
#[tokio::test]
async fn an_upload_that_takes_too_long_is_refused() {
    for mode in ["spool", "stream"] {
        let (responder, gateway) = limiting(app(Script::answer("\n")), SHORT)
            .fastcgi(&format!("request_body = \"{mode}\""))
            .start()
            .await;
        let mut h1 = Connection::open(gateway.address()).await;
        let head = "POST /limited/a?h1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n";
        h1.write(format!("{head}abc")).await;
        let refused = h1.response().await;
        assert_eq!((refused.status, refused.whole), (408, true), "{mode}");
        assert_eq!(refused.header("connection"), Some("close"), "{mode}");
        check_line(&gateway, "/limited/a?h1", (408, true)).await;

        let mut h2 = Frames::open(gateway.address()).await;
        let fields = request("POST", "/limited/a?h2", &[("content-length", "10")]);
        h2.head(1, &fields, false).await;
        h2.send(DATA, 0, 1, b"abc").await;
        let outcome = h2.outcome(1).await;
        let refused = matches!(outcome, Outcome::Answered { status: 408, .. });
        assert!(refused, "{mode}: {outcome:?}");
        check_line(&gateway, "/limited/a?h2", (408, true)).await;
        if mode == "spool" {
            assert_eq!(responder.requests(), []);
        }
        responder
            .wait_until("the close", |seen| seen.busy == 0)
            .await;
    }
}

#[tokio::test]
async fn a_request_that_waits_leaves_the_queue() {
    let gate = Gate::new();
    let scripts = [Script::held(&gate, "\nheld"), Script::answer("\nnext")];
    let setup = scripted_responder::Setup::new(scripts);
    let (responder, gateway) = limiting(setup, SHORT)
        .upstream("capacity = 1")
        .start()
        .await;
    let waiting = async {
        responder
            .wait_until("the first", |seen| seen.busy == 1)
            .await;
        for (target, response) in over_both(&gateway, &Request::get("/limited/a")).await {
            check_refused(&target, &response);
            assert!(response.header("retry-after").is_some(), "{target}");
            check_line(&gateway, &target, (504, true)).await;
        }
        check_log(&gateway, 0, SHORT).await;
        gate.pass(1);
    };
    let (held, ()) = tokio::join!(gateway.get("/"), waiting);
    assert_eq!(held.text(), "held");
    assert_eq!(gateway.get("/limited/b").await.text(), "next");
    assert_eq!(responder.requests().len(), 2);
}

/// An address where connections are not accepted, and no more are established.
struct FullBacklog {
    listener: TcpListener,
    _pending: JoinSet<std::io::Result<TcpStream>>,
    _established: Vec<TcpStream>,
}

impl FullBacklog {
    async fn open() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        // listen(2): the kernel takes one more than the backlog.
        let listener = socket.listen(1).unwrap();
        let mut pending = JoinSet::new();
        for _ in 0..8 {
            pending.spawn(TcpStream::connect(listener.local_addr().unwrap()));
        }
        let mut established = Vec::new();
        while established.len() < 2 {
            established.push(pending.join_next().await.unwrap().unwrap().unwrap());
        }
        Self {
            listener,
            _pending: pending,
            _established: established,
        }
    }

    fn site(&self, timeouts: &str) -> String {
        site_of(&self.listener.local_addr().unwrap().to_string(), timeouts)
    }
}

/// A site whose requests all go to the application at `address`.
fn site_of(address: &str, timeouts: &str) -> String {
    format!(
        "[server]\naccess_log = {{ format = \"json\" }}\n[upstream.app]\nservers = \"{address}\"\n\
         timeouts = {{ {timeouts} }}\n[[site]]\nroot = \"/srv/app\"\n[[site.rule]]\n\
         fastcgi = {{ upstream = \"app\", script = \"/srv/app/index.php\", missing = \"pass\" }}\n"
    )
}

#[tokio::test]
async fn an_attempt_to_connect_ends_too() {
    let full = FullBacklog::open().await;
    let timeouts = format!("connect = \"60s\", queue = \"60s\", total = \"{SHORT}\"");
    let gateway = Gateway::start(&full.site(&timeouts)).await;
    for (target, response) in over_both(&gateway, &Request::get("/")).await {
        check_refused(&target, &response);
        check_line(&gateway, &target, (504, true)).await;
    }
    check_log(&gateway, 0, SHORT).await;
}

/// The error of connect(2) says more than the time.
#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let timeouts = format!("queue = \"60s\", total = \"{SHORT}\"");
    let gateway = Gateway::start(&site_of("unix:/run/fcgate-test/nobody.sock", &timeouts)).await;
    let response = gateway.get("/").await;
    assert_eq!(response.status, 503);
    assert!(response.text().contains("UPSTREAM_DOWN"), "{response:?}");
}

#[tokio::test]
async fn an_answer_that_has_begun_is_cut() {
    for head in [
        "",
        "Content-Length: 1000\n",
        "Content-Type: text/event-stream\n",
    ] {
        let begun = Script::new().read_request();
        let script = begun.stdout(format!("{head}\nfirst part")).read_to_end();
        let (responder, gateway) = limiting(app(script), MEDIUM).start().await;
        for (target, response) in over_both(&gateway, &Request::get("/limited/a")).await {
            assert_eq!((response.status, response.whole), (200, false), "{target}");
            assert_eq!(response.text(), "first part", "{target}");
            check_line(&gateway, &target, (200, false)).await;
        }
        check_log(&gateway, 0, MEDIUM).await;
        responder
            .wait_until("the close", |seen| seen.open == 0)
            .await;
    }
}

/// At whatever moment the gateway looks after its answers: none is left to wait for an application that is gone.
#[tokio::test]
async fn all_answers_that_wait_for_the_application_are_cut() {
    const CONNECTIONS: usize = 3;
    const STREAMS: usize = 40;
    let script = Script::new().read_request().stdout("\nfirst part");
    let (responder, gateway) = limiting(app(script.read_to_end()), MEDIUM).start().await;
    let mut asking = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let connection = http2::Connection::open(gateway.address()).await;
        for _ in 0..STREAMS {
            let mut stream = connection.clone();
            asking.spawn(async move { stream.send(&Request::get("/limited/a")).await });
        }
    }
    for response in asking.join_all().await {
        assert_eq!((response.status, response.whole), (200, false));
    }
    let lines = gateway
        .access
        .wait_many(0, CONNECTIONS * STREAMS, |line| line.contains(CAUSE));
    lines.await;
    responder
        .wait_until("the close", |seen| seen.open == 0)
        .await;
}

/// Other streams of the connection go on.
#[tokio::test]
async fn only_the_stream_is_reset() {
    let gate = Gate::new();
    let part = Script::new().read_request().stdout("\nfirst part");
    let (ended, held) = (part.clone().read_to_end(), part.wait(&gate));
    let script = Script::by(move |received| {
        let is_limited = received.param("REQUEST_URI").starts_with("/limited/");
        if is_limited {
            ended.clone()
        } else {
            held.clone().stdout(", and the rest").end_request()
        }
    });
    let (_responder, gateway) = limiting(app(script), MEDIUM).start().await;
    let mut connection = http2::Connection::open(gateway.address()).await;
    let other = connection.start(&Request::get("/other")).await;
    let cut = connection.send(&Request::get("/limited/a")).await;
    assert_eq!((cut.status, cut.whole), (200, false));
    gate.pass(1);
    let other = other.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(other, "first part, and the rest");
}

fn large() -> Script {
    Script::answer([b"\n".to_vec(), vec![b'x'; LARGE]].concat())
}

/// PHP waits for the client, which reads nothing; then the client reads on.
#[tokio::test]
async fn an_answer_that_its_client_does_not_take_is_cut() {
    let (responder, gateway) = limiting(app(large()), MEDIUM)
        .upstream("response_buffer = \"0B\"")
        .start()
        .await;
    let mut h1 = Connection::open(gateway.address()).await;
    h1.start(&Request::get("/limited/a?h1")).await;
    assert_eq!(h1.head().await.status, 200);
    check_log(&gateway, 0, MEDIUM).await;
    responder
        .wait_until("the close", |seen| seen.open == 0)
        .await;
    let (length, whole) = rest(&mut h1, Duration::ZERO).await;
    assert!(!whole && length < LARGE, "{length} bytes");
    check_line(&gateway, "/limited/a?h1", (200, false)).await;

    let seen = gateway.log.count();
    let mut h2 = http2::Connection::open(gateway.address()).await;
    let answer = h2.start(&Request::get("/limited/a?h2")).await;
    check_log(&gateway, seen, MEDIUM).await;
    responder
        .wait_until("the close", |seen| seen.open == 0)
        .await;
    assert!(answer.into_body().collect().await.is_err());
    check_line(&gateway, "/limited/a?h2", (200, false)).await;

    // A client that never reads again.
    let seen = gateway.log.count();
    let mut gone = Connection::open(gateway.address()).await;
    gone.start(&Request::get("/limited/a?gone")).await;
    gone.head().await;
    check_log(&gateway, seen, MEDIUM).await;
    drop(gone);
    check_line(&gateway, "/limited/a?gone", (200, false)).await;
}

/// Reads to the end with a pause after each piece; the length, and whether it was the end of a whole answer.
async fn rest(connection: &mut Connection, pause: Duration) -> (usize, bool) {
    let mut length = 0;
    loop {
        match connection.piece().await {
            Ok(Some(piece)) => length += piece.len(),
            Ok(None) => return (length, true),
            Err(_) => return (length, false),
        }
        tokio::time::sleep(pause).await;
    }
}

/// The worker is free long before; what is stored for a client that reads slowly ends with the time.
#[tokio::test]
async fn a_stored_answer_is_cut_too() {
    let (responder, gateway) = limiting(app(large()), MEDIUM).start().await;
    let mut h1 = Connection::open(gateway.address()).await;
    h1.start(&Request::get("/limited/a?h1")).await;
    assert_eq!(h1.head().await.status, 200);
    responder
        .wait_until("the end of the script", |seen| seen.busy == 0)
        .await;
    let (length, whole) = rest(&mut h1, Duration::from_millis(20)).await;
    assert!(!whole && length < LARGE, "{length} bytes");
    check_line(&gateway, "/limited/a?h1", (200, false)).await;

    let mut h2 = http2::Connection::open(gateway.address()).await;
    let answer = h2.start(&Request::get("/limited/a?h2")).await;
    responder
        .wait_until("the end of the script", |seen| seen.busy == 0)
        .await;
    let mut content = answer.into_body();
    let failed = loop {
        match content.frame().await {
            Some(Ok(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
            Some(Err(_)) => break true,
            None => break false,
        }
    };
    assert!(failed, "the whole answer");
    check_line(&gateway, "/limited/a?h2", (200, false)).await;
}

#[tokio::test]
async fn an_answer_in_time_is_as_without() {
    let (_responder, gateway) = limiting(app(Script::answer("\nhello")), "60s")
        .start()
        .await;
    let mut connection = Connection::open(gateway.address()).await;
    for _ in 0..3 {
        let answer = connection.send(&Request::get("/limited/a")).await;
        assert_eq!((answer.text().as_str(), answer.whole), ("hello", true));
    }
}

/// A POST whose client has left runs to its end, as long as its time lasts.
#[tokio::test]
async fn a_script_does_not_run_on_beyond_its_time() {
    let silent = Script::new().read_request().read_to_end();
    let (responder, gateway) = limiting(app(silent), MEDIUM).start().await;
    let mut client = Connection::open(gateway.address()).await;
    client.start(&Request::post("/limited/a")).await;
    responder
        .wait_until("the request", |seen| seen.busy == 1)
        .await;
    drop(client);
    responder
        .wait_until("the close", |seen| seen.open == 0)
        .await;
}

/// The action's own limit before that of the rule, and that before the upstream's.
#[tokio::test]
async fn the_narrowest_total_counts() {
    let silent = Script::new().read_request().read_to_end();
    let rules = "[[site.rule]]\nprefix = \"/limited/own/\"\ntimeouts = { total = \"60s\" }\n\
                 fastcgi = { upstream = \"app\", script = \"/srv/app/index.php\", missing = \"pass\", timeouts = { total = \"210ms\" } }";
    let (_responder, gateway) = limiting(app(silent), "220ms")
        .site(rules)
        .upstream("timeouts = { total = \"230ms\" }")
        .start()
        .await;
    for (target, total) in [
        ("/limited/own/", "210ms"),
        ("/limited/rule", "220ms"),
        ("/upstream", "230ms"),
    ] {
        check_refused(target, &gateway.get(target).await);
        check_log(&gateway, 0, total).await;
    }
}

/// The page of a script has what is left of the request's time, which is nothing.
#[tokio::test]
async fn an_error_page_has_no_time_of_its_own() {
    let silent = Script::new().read_request().read_to_end();
    let (responder, gateway) = limiting(app(silent), SHORT)
        .site("[[site.error_page]]\nstatus = [\"504\"]\npath = \"/limited/page\"")
        .start()
        .await;
    check_refused("/limited/a", &gateway.get("/limited/a").await);
    let told = |line: &str| line.contains("the error page failed") && line.contains(SHORT);
    gateway.log.wait_for(told).await;
    assert_eq!(responder.requests().len(), 1);
}

/// One worker of a real PHP-FPM, and what it does with its time.
fn one_worker(total: &str) -> GatewaySetup<php_fpm::Setup> {
    let setup = php_fpm::Setup::new(1)
        .file("hello.php", "<?php echo 'hello';")
        .file("hold.php", WAITING)
        .file("limited/hold.php", WAITING)
        .file("limited/hello.php", "<?php echo 'hello';")
        .file(
            "limited/endless.php",
            "<?php while (true) { echo str_repeat('x', 1000); flush(); usleep(1000); }",
        );
    limiting(setup, total)
}

/// Writes the file `begun`, and waits for the file `go`, which it removes.
const WAITING: &str = "<?php $root = $_SERVER['DOCUMENT_ROOT']; touch(\"$root/begun\"); $go = \"$root/go\";
    while (!file_exists($go)) { usleep(1000); clearstatcache(); } unlink($go); echo 'held'; flush(); echo 'on';";

/// Within every single limit at all times: only the total ends it. PHP learns of it at its next output.
#[tokio::test]
async fn an_endless_script_of_php_ends() {
    let (_php, gateway) = one_worker(MEDIUM).start().await;
    for method in ["GET", "POST"] {
        let endless = Request::new(method, "/limited/endless.php");
        for (target, response) in over_both(&gateway, &endless).await {
            assert_eq!((response.status, response.whole), (200, false), "{target}");
            assert!(!response.body.is_empty(), "{target}");
        }
        assert_eq!(gateway.get("/hello.php").await.text(), "hello");
    }
    check_line(&gateway, "/limited/endless.php?h1", (200, false)).await;
    check_line(&gateway, "/limited/endless.php?h2", (200, false)).await;
}

/// The worker is busy until its script ends, and serves the next request then.
#[tokio::test]
async fn a_worker_of_php_is_free_after_the_limit() {
    let (php, gateway) = one_worker(MEDIUM).start().await;
    let hold = Request::get("/limited/hold.php");
    for version in ["h1", "h2"] {
        let response = match version {
            "h1" => gateway.send(&hold).await,
            _ => http2::send(gateway.address(), &hold).await,
        };
        check_refused("/limited/hold.php", &response);
        php.write("go", "");
        assert_eq!(gateway.get("/hello.php").await.text(), "hello");
    }
}

#[tokio::test]
async fn a_request_leaves_the_queue_before_php() {
    let (php, gateway) = one_worker(SHORT).start().await;
    let waiting = async {
        let begun = php.root().join("begun");
        eventually("the first", PATIENCE, async || begun.exists()).await;
        for (target, response) in over_both(&gateway, &Request::get("/limited/hello.php")).await {
            check_refused(&target, &response);
        }
        php.write("go", "");
    };
    let (held, ()) = tokio::join!(gateway.get("/hold.php"), waiting);
    assert_eq!(held.text(), "heldon");
    assert_eq!(gateway.get("/hello.php").await.text(), "hello");
}
