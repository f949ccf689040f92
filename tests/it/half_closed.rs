//! Clients that have sent all that they will and read on (RFC 9112 §9.6), beside those that have left.

use tokio::io::AsyncWriteExt;

use crate::harness::http1::raw;
use crate::harness::scripted_responder::ScriptedResponder;
use crate::harness::tls::{Authority, Identity, TlsClient};
use crate::harness::{Connection, Gate, Gateway, Request, Script, patiently};
use crate::upstream::{one_thread, settle};

/// Content that no socket buffer holds.
const LARGE: usize = 16 * 1024 * 1024;

/// A request as a script writes it.
fn get(target: &str, version: &str, connection: &str) -> String {
    let host = if version == "1.1" { "Host: a\r\n" } else { "" };
    let connection = match connection {
        "" => String::new(),
        option => format!("Connection: {option}\r\n"),
    };
    format!("GET {target} HTTP/{version}\r\n{host}{connection}\r\n")
}

/// Sends `bytes` and no more; all that comes but an interim answer, which a busy machine may bring.
async fn ask(mut connection: Connection, bytes: &str) -> String {
    connection.write(bytes).await;
    connection.close_sending().await;
    let answers = String::from_utf8(connection.read_to_end().await).unwrap();
    answers.replace("HTTP/1.1 100 Continue\r\n\r\n", "")
}

/// The statuses in what came.
fn statuses(answers: &str) -> Vec<&str> {
    let lines = answers.split("HTTP/1.").skip(1);
    lines.map(|line| &line[2..5]).collect()
}

/// Sends all that a script says when `gate` is open.
fn held(gate: &Gate, text: &str) -> Script {
    let script = Script::new().read_request().wait(gate).stdout(text);
    script.end_request()
}

#[tokio::test]
async fn it_gets_its_answer_on_every_kind_of_connection() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    authority.issue(&["localhost"]).write(folder.path(), "site");
    std::fs::write(folder.path().join("small"), "small").unwrap();
    std::fs::write(folder.path().join("large"), vec![b'x'; LARGE]).unwrap();
    let responder =
        ScriptedResponder::start([Script::answer("Content-Length: 8\n\nfrom PHP")]).await;
    let config = format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\n[[listen]]\naddress = \"unix:{folder}/web.sock\"\n\
         [[listen]]\naddress = \"127.0.0.1:0\"\ntls = true\n[upstream.app]\nservers = [\"{}\"]\n\
         [[site]]\n{}\n[[site.rule]]\npath = \"/php\"\n\
         fastcgi = {{ upstream = \"app\", script = \"/srv/app/index.php\", root = \"/srv/app\", missing = \"pass\" }}\n\
         [[site.rule]]\nstatic_files = {{ root = \"{folder}\" }}\n",
        responder.address(),
        Identity::line(folder.path(), "site"),
        folder = folder.path().display(),
    );
    let gateway = Gateway::start(&config).await;
    let client = TlsClient::new(&authority);
    for address in gateway.addresses() {
        for (target, length) in [("/small", 5), ("/large", LARGE), ("/php", 8)] {
            for (version, option) in [
                ("1.1", ""),
                ("1.1", "close"),
                ("1.0", ""),
                ("1.0", "keep-alive"),
            ] {
                let connection = match client.connect(address, "localhost", "http/1.1").await {
                    Ok(stream) => Connection::over(Box::new(stream)),
                    Err(_) => Connection::open(address).await,
                };
                let answer = ask(connection, &get(target, version, option)).await;
                let case = format!("{address} {target} {version} {option}");
                let (_, content) = answer.split_once("\r\n\r\n").unwrap_or_default();
                assert_eq!(statuses(&answer), ["200"], "{case}");
                match target {
                    // With its length or in chunks.
                    "/php" => assert!(content.contains("from PHP"), "{case}"),
                    _ => assert_eq!(content.len(), length, "{case}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn pipelined_requests_are_all_answered_and_a_broken_one_fails_alone() {
    let responder = ScriptedResponder::start([Script::answer("\ngood")]).await;
    let gateway = one_thread(&responder, "").start().await;
    let good = get("/1", "1.1", "") + &get("/2", "1.1", "");
    let short = "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nshort";
    for (more, expected) in [
        ("", &["200", "200"][..]),
        (short, &["200", "200", "400"]),
        ("GET /3 HT", &["200", "200"]),
        ("GET /3 HT\r\n\r\n", &["200", "200", "400"]),
    ] {
        let connection = Connection::open(gateway.address()).await;
        let answers = ask(connection, &format!("{good}{more}")).await;
        assert_eq!(statuses(&answers), expected, "{more:?}: {answers}");
    }
    let alone = ask(Connection::open(gateway.address()).await, short).await;
    assert_eq!(statuses(&alone), ["400"]);
}

/// What a client sees whose answer takes long: in HTTP/1.1 it is asked whether it reads on.
#[tokio::test]
async fn a_slow_answer_comes_behind_an_interim_one() {
    let gate = Gate::new();
    let scripts = [held(&gate, "\nslow"), held(&gate, "\nslow")];
    let responder = ScriptedResponder::start(scripts).await;
    let gateway = one_thread(&responder, "").start().await;
    let mut old = Connection::open(gateway.address()).await;
    old.write(get("/old", "1.0", "")).await;
    old.close_sending().await;
    let mut new = Connection::open(gateway.address()).await;
    new.write(get("/new", "1.1", "")).await;
    new.close_sending().await;
    assert_eq!(new.interim().await, 100);
    gate.pass(2);
    assert_eq!(new.response().await.text(), "slow");
    assert_eq!(new.read_to_end().await, b"", "the connection ends with it");
    let answer = String::from_utf8(old.read_to_end().await).unwrap();
    assert_eq!(
        statuses(&answer),
        ["200"],
        "HTTP/1.0 knows no interim answer"
    );
}

#[tokio::test]
async fn it_keeps_its_place_in_the_queue_and_one_that_left_does_not() {
    let gate = Gate::new();
    let responder = ScriptedResponder::start([held(&gate, "\nserved")]).await;
    let gateway = one_thread(&responder, "capacity = 1").start().await;
    let mut waiting = Vec::new();
    for target in ["/first", "/half", "/gone", "/last"] {
        let mut connection = Connection::open(gateway.address()).await;
        connection.start(&Request::get(target)).await;
        settle(&gateway).await;
        waiting.push(connection);
    }
    drop(waiting.remove(2));
    waiting[1].close_sending().await;
    assert_eq!(waiting[1].interim().await, 100);
    let left = |line: &str| line.contains("/gone") && line.contains(" 499 ");
    gateway.access.wait_for(left).await;
    gate.pass(3);
    for connection in &mut waiting {
        assert_eq!(connection.response().await.text(), "served");
    }
    let requests = responder.requests();
    let served: Vec<_> = requests
        .iter()
        .map(|seen| seen.param("REQUEST_URI"))
        .collect();
    assert_eq!(served, ["/first", "/half", "/last"]);
}

/// Over unix sockets, and by a reset, it shows at once and in every version.
#[tokio::test]
async fn one_that_resets_its_connection_has_left() {
    let folder = tempfile::tempdir().unwrap();
    let never = Script::new().read_request().read_to_end();
    let responder = ScriptedResponder::start([never]).await;
    let socket = folder.path().join("web.sock");
    let config = format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\n[[listen]]\naddress = \"unix:{}\"\n{}",
        socket.display(),
        responder.site("")
    );
    let gateway = Gateway::start(&config).await;
    for address in gateway.addresses() {
        for version in ["1.0", "1.1"] {
            let seen = gateway.access.count();
            let stream = address.connect().await;
            stream.reset_on_close();
            let mut connection = Connection::over(stream);
            connection.write(get("/", version, "")).await;
            connection.close_sending().await;
            responder
                .wait_until("the request", |seen| seen.busy == 1)
                .await;
            drop(connection);
            responder
                .wait_until("the close", |seen| seen.open == 0)
                .await;
            let left = |line: &str| line.contains(" 499 ");
            gateway.access.wait_after(seen, left).await;
        }
    }
}

/// A gateway that speaks TLS, and who may ask it.
async fn secured(responder: &ScriptedResponder) -> (Gateway, TlsClient) {
    let authority = Authority::new();
    let gateway = Gateway::before(responder)
        .certificate(&authority)
        .listen("tls = true");
    (gateway.start().await, TlsClient::new(&authority))
}

/// Sends `bytes` and ends the TCP connection under TLS, of which nothing says that it ends; it reads on.
async fn break_off(client: &TlsClient, gateway: &Gateway, bytes: &str) -> Connection {
    let connected = client.connect(gateway.address(), "localhost", "http/1.1");
    let mut stream = connected.await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    stream.get_mut().0.shutdown().await.unwrap();
    Connection::over(Box::new(stream))
}

/// RFC 8446 §6.1: what is not complete without close_notify may have been cut by somebody else; what is complete was not.
#[tokio::test]
async fn what_is_complete_is_run_though_tls_ends_without_close_notify() {
    let responder = ScriptedResponder::start([Script::answer("\ngood")]).await;
    let (gateway, client) = secured(&responder).await;
    let post = "POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    for version in rustls::ALL_VERSIONS {
        let client = client.clone().versions(&[version]);
        for (bytes, expected) in [
            (get("/1", "1.1", ""), &["200"][..]),
            (get("/1", "1.0", ""), &["200"]),
            (
                get("/1", "1.1", "") + &get("/2", "1.1", ""),
                &["200", "200"],
            ),
            (format!("{post}all!"), &["200"]),
            (format!("{post}cut"), &["400"]),
            (get("/1", "1.1", "") + post, &["200", "400"]),
            (get("/1", "1.1", "") + "GET /2 HT", &["200"]),
            ("GET /1 HTTP/1.1\r\nHo".to_owned(), &[]),
        ] {
            let seen = gateway.access.count();
            let mut connection = break_off(&client, &gateway, &bytes).await;
            let answers = String::from_utf8(connection.read_to_end().await).unwrap();
            let answers = answers.replace("HTTP/1.1 100 Continue\r\n\r\n", "");
            assert_eq!(statuses(&answers), expected, "{version:?} {bytes:?}");
            for status in expected {
                let told = |line: &str| line.contains(&format!(" {status} "));
                gateway.access.wait_after(seen, told).await;
            }
        }
    }
}

#[tokio::test]
async fn who_ends_without_close_notify_is_asked_whether_it_reads_on() {
    let gate = Gate::new();
    let responder = ScriptedResponder::start([held(&gate, "\nslow")]).await;
    let (gateway, client) = secured(&responder).await;
    for version in rustls::ALL_VERSIONS {
        let client = client.clone().versions(&[version]);
        let mut connection = break_off(&client, &gateway, &get("/", "1.1", "")).await;
        assert_eq!(connection.interim().await, 100, "{version:?}");
        gate.pass(1);
        assert_eq!(connection.response().await.text(), "slow", "{version:?}");
    }
}

/// With close_notify and without.
#[tokio::test]
async fn a_tls_client_that_closes_its_connection_has_left() {
    let never = Script::new().read_request().read_to_end();
    let responder = ScriptedResponder::start([never]).await;
    let (gateway, client) = secured(&responder).await;
    for says_so in [false, true] {
        let mut connection = client.http1(gateway.address(), "localhost").await;
        connection.write(get("/", "1.1", "")).await;
        responder
            .wait_until("the request", |seen| seen.busy == 1)
            .await;
        if says_so {
            connection.close_sending().await;
        }
        drop(connection);
        responder
            .wait_until("the close", |seen| seen.open == 0)
            .await;
    }
}

#[tokio::test]
async fn within_an_answer_it_reads_on_as_long_as_something_comes() {
    let gate = Gate::new();
    let goes_on = Script::new().read_request().stdout("\nfirst");
    let goes_on = goes_on.wait(&gate).stdout("second").end_request();
    let silent = Script::new().read_request().stdout("\nfirst").read_to_end();
    let responder = ScriptedResponder::start([goes_on, silent]).await;
    let gateway = one_thread(&responder, "").start().await;
    for (number, goes_on) in [(1, true), (2, false)] {
        let mut connection = Connection::open(gateway.address()).await;
        connection.start(&Request::get("/")).await;
        assert_eq!(connection.head().await.status, 200);
        assert_eq!(connection.piece().await.unwrap().unwrap(), b"first");
        connection.close_sending().await;
        responder
            .wait_until("the request", |seen| seen.requests.len() == number)
            .await;
        if goes_on {
            gate.pass(1);
            assert_eq!(connection.piece().await.unwrap().unwrap(), b"second");
            assert_eq!(connection.piece().await.unwrap(), None);
            continue;
        }
        assert!(connection.piece().await.is_err(), "a cut answer");
        responder
            .wait_until("the close", |seen| seen.open == 0)
            .await;
    }
}

#[tokio::test]
async fn an_answer_whose_script_is_let_finish_is_never_cut() {
    let (_php, gateway) = Gateway::with_php(1)
        .file(
            "index.php",
            "<?php echo 'first'; flush(); usleep(1500000); echo 'second';",
        )
        .start()
        .await;
    let mut connection = Connection::open(gateway.address()).await;
    connection.start(&Request::post("/")).await;
    assert_eq!(connection.head().await.status, 200);
    assert_eq!(connection.piece().await.unwrap().unwrap(), b"first");
    connection.close_sending().await;
    assert_eq!(connection.piece().await.unwrap().unwrap(), b"second");
    assert_eq!(connection.piece().await.unwrap(), None);
}

#[tokio::test]
async fn who_asked_for_nothing_gets_nothing() {
    let responder = ScriptedResponder::start([Script::answer("\n")]).await;
    let gateway = one_thread(&responder, "").start().await;
    for bytes in ["", "\r\n", "GET / HTTP/1.1\r\nHo"] {
        let answer = ask(Connection::open(gateway.address()).await, bytes).await;
        assert_eq!(answer, "", "{bytes:?}");
    }
    // And one whose connection was kept.
    let mut connection = Connection::open(gateway.address()).await;
    assert_eq!(connection.send(&Request::get("/")).await.status, 200);
    connection.close_sending().await;
    assert_eq!(patiently("the end", connection.read_to_end()).await, b"");
    let whole = raw(gateway.address(), get("/", "1.1", "close")).await;
    assert!(whole.starts_with(b"HTTP/1.1 200 "));
}
