//! Signals: reload, drain, and the end; and a start that fails.

use nix::sys::signal::Signal;

use crate::harness::gateway::run_under;
use crate::harness::http1::send;
use crate::harness::{
    Address, Connection, Gate, Gateway, PATIENCE, Request, Script, ScriptedResponder, eventually,
    http2,
};

fn responding(text: &str) -> String {
    format!("[[site]]\nrule = [{{ respond = {{ body = \"{text}\" }} }}]\n")
}

/// A listener on a unix socket in the gateway's directory.
fn listener(path: &std::path::Path) -> String {
    format!("[[listen]]\naddress = \"unix:{}\"\n", path.display())
}

/// Waits until nobody accepts there any more.
async fn closed(address: &Address) {
    eventually("the listener is closed", PATIENCE, async || match address {
        Address::Tcp(address) => std::net::TcpStream::connect(address).is_err(),
        Address::Unix(path) => std::os::unix::net::UnixStream::connect(path).is_err(),
    })
    .await;
}

#[tokio::test]
async fn an_invalid_file_changes_nothing_and_the_log_says_why() {
    let gateway = Gateway::start(&responding("old")).await;
    let line = gateway.reload("[[site]]\nrot = \"/srv\"\n").await;
    assert!(line.contains("reload refused"), "{line}");
    gateway
        .log
        .wait_for(|line| line.contains("fcgate.toml:2:1"))
        .await;
    gateway
        .log
        .wait_for(|line| line.contains("did you mean `root`?"))
        .await;
    assert_eq!(gateway.get("/").await.text(), "old");
    assert!(
        gateway
            .reload(&responding("new"))
            .await
            .contains("reloaded"),
        "a later one counts"
    );
    assert_eq!(gateway.get("/").await.text(), "new");
}

#[tokio::test]
async fn an_open_connection_sees_the_new_configuration() {
    let gateway = Gateway::start(&responding("old")).await;
    let mut connection = Connection::open(gateway.address()).await;
    assert_eq!(connection.send(&Request::get("/")).await.text(), "old");
    assert!(
        gateway
            .reload(&responding("new"))
            .await
            .contains("reloaded")
    );
    assert_eq!(connection.send(&Request::get("/")).await.text(), "new");
}

#[tokio::test]
async fn a_request_in_flight_keeps_the_configuration_that_it_began_with() {
    let gate = Gate::new();
    let script = Script::new()
        .read_request()
        .stdout("\nold")
        .wait(&gate)
        .stdout(" to the end")
        .end_request();
    let (_responder, gateway) = Gateway::with_app([script]).start().await;
    let mut client = Connection::open(gateway.address()).await;
    client.start(&Request::get("/")).await;
    assert_eq!(client.head().await.status, 200);
    assert!(
        gateway
            .reload(&responding("new"))
            .await
            .contains("reloaded")
    );
    assert_eq!(gateway.get("/").await.text(), "new");
    gate.pass(1);
    let mut body = Vec::new();
    while let Some(piece) = client.piece().await.unwrap() {
        body.extend(piece);
    }
    assert_eq!(body, b"old to the end");
}

#[tokio::test]
async fn listeners_come_and_go_with_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let [old, kept, new] = ["old", "kept", "new"].map(|name| directory.path().join(name));
    let before = format!(
        "{}{}{}",
        listener(&old),
        listener(&kept),
        responding("before")
    );
    let gateway = Gateway::start_in(directory, &before).await;
    let mut connection = Connection::open(&Address::Unix(kept.clone())).await;
    assert_eq!(connection.send(&Request::get("/")).await.text(), "before");

    let after = format!(
        "{}{}{}",
        listener(&kept),
        listener(&new),
        responding("after")
    );
    assert!(gateway.reload(&after).await.contains("reloaded"));
    gateway
        .log
        .wait_for(|line| line.contains("listening") && line.contains("/new"))
        .await;
    for path in [&kept, &new] {
        assert_eq!(
            send(&Address::Unix(path.clone()), &Request::get("/"))
                .await
                .text(),
            "after"
        );
    }
    assert_eq!(
        connection.send(&Request::get("/")).await.text(),
        "after",
        "a kept listener keeps its connections"
    );
    closed(&Address::Unix(old)).await;
}

#[tokio::test]
async fn a_reload_that_cannot_listen_changes_nothing() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let gateway = Gateway::start(&responding("old")).await;
    let line = gateway
        .reload(&format!(
            "[[listen]]\naddress = \"{address}\"\n{}",
            responding("new")
        ))
        .await;
    assert!(
        line.contains("reload refused") && line.contains(&address.to_string()),
        "{line}"
    );
    assert_eq!(gateway.get("/").await.text(), "old");
}

#[tokio::test]
async fn sigterm_lets_requests_finish_and_ends_well() {
    let gate = Gate::new();
    let script = Script::held(&gate, "\nfinished");
    let responder = ScriptedResponder::start([script]).await;
    let mut gateway = Gateway::start(&responder.site("")).await;
    let _idle = Connection::open(gateway.address()).await;
    let mut client = Connection::open(gateway.address()).await;
    client.start(&Request::get("/")).await;
    responder
        .wait_until("the request", |seen| seen.busy == 1)
        .await;
    gateway.signal(Signal::SIGTERM);
    closed(gateway.address()).await;
    gate.pass(1);
    let response = client.response().await;
    assert_eq!(
        (response.status, response.text().as_str(), response.whole),
        (200, "finished", true)
    );
    assert_eq!(gateway.ended().await.code(), Some(0));
    // The last request is in the access log.
    gateway
        .access
        .wait_for(|line| line.contains("GET / "))
        .await;
}

#[tokio::test]
async fn sigterm_lets_streams_finish_too() {
    let gate = Gate::new();
    let script = Script::held(&gate, "\nfinished");
    let responder = ScriptedResponder::start([script]).await;
    let mut gateway = Gateway::start(&responder.site("")).await;
    let mut client = http2::Connection::open(gateway.address()).await;
    let request = tokio::spawn(async move { client.send(&Request::get("/")).await });
    responder
        .wait_until("the request", |seen| seen.busy == 1)
        .await;
    gateway.signal(Signal::SIGTERM);
    closed(gateway.address()).await;
    gate.pass(1);
    let response = request.await.unwrap();
    assert_eq!(
        (response.status, response.text().as_str(), response.whole),
        (200, "finished", true)
    );
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn idle_connections_do_not_keep_it_alive() {
    let gateway = Gateway::start(&responding("hello")).await;
    let mut idle = Connection::open(gateway.address()).await;
    assert_eq!(idle.send(&Request::get("/")).await.status, 200);
    let mut idle_2 = http2::Connection::open(gateway.address()).await;
    assert_eq!(idle_2.send(&Request::get("/")).await.status, 200);
    assert_eq!(gateway.terminate().await.code(), Some(0));
    assert_eq!(idle.read_to_end().await, b"");
}

#[tokio::test]
async fn who_asks_while_it_is_about_to_end_is_told_to_go_elsewhere() {
    let config = format!("[server]\ndrain_delay = \"1h\"\n{}", responding("hello"));
    let mut gateway = Gateway::start(&config).await;
    let mut before = Connection::open(gateway.address()).await;
    let answer = before.send(&Request::get("/")).await;
    assert_eq!(answer.header("connection"), None);
    gateway.signal(Signal::SIGTERM);
    gateway.log.wait_for(|line| line.contains("stopping")).await;
    let mut after = Connection::open(gateway.address()).await;
    for connection in [&mut before, &mut after] {
        let answer = connection.send(&Request::get("/")).await;
        assert_eq!(answer.text(), "hello");
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(connection.read_to_end().await, b"");
    }
    let answer = http2::send(gateway.address(), &Request::get("/")).await;
    assert_eq!(
        (answer.text().as_str(), answer.header("connection")),
        ("hello", None)
    );
    gateway.signal(Signal::SIGTERM);
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn the_drain_has_a_limit_and_a_second_signal_ends_it() {
    for (drain, signals) in [("300ms", 1), ("1h", 2)] {
        let responder = ScriptedResponder::start([Script::new().read_request().stall()]).await;
        let config = format!("[server]\ndrain = \"{drain}\"\n{}", responder.site(""));
        let mut gateway = Gateway::start(&config).await;
        let mut client = Connection::open(gateway.address()).await;
        client.start(&Request::get("/")).await;
        responder
            .wait_until("the request", |seen| seen.busy == 1)
            .await;
        gateway.signal(Signal::SIGTERM);
        gateway.log.wait_for(|line| line.contains("stopping")).await;
        if signals == 2 {
            gateway.signal(Signal::SIGINT);
        }
        assert!(gateway.ended().await.success());
        // Who was cut off stands in the log all the same.
        let line = gateway
            .access
            .wait_for(|line| line.contains("\"GET / "))
            .await;
        assert!(line.contains("\" 499 "), "{line}");
    }
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = format!("[[listen]]\naddress = \"{address}\"\n{}", responding(""));
    let mut gateway = Gateway::with(&config).spawn().await;
    gateway
        .log
        .wait_for(|line| line.contains(&address) && line.contains("in use"))
        .await;
    assert_eq!(gateway.ended().await.code(), Some(1));
}

/// What keeps the program from starting is a line, whatever the environment says of stack traces.
#[test]
fn why_it_does_not_start_is_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fcgate.toml");
    let listen = format!("[[listen]]\naddress = \"{address}\"\n");
    let log = "[server]\naccess_log = { to = \"/no/such/folder/log\" }\n";
    let admin =
        format!("[admin]\naddress = \"{address}\"\n[[listen]]\naddress = \"127.0.0.1:0\"\n");
    for (config, what) in [
        (
            listen.as_str(),
            "another process listens there (ss -ltnp shows which)",
        ),
        (
            &(log.to_owned() + "[[listen]]\naddress = \"127.0.0.1:0\"\n"),
            "cannot open the log /no/such/folder/log",
        ),
        (&admin, "(admin.address): Address already in use"),
    ] {
        std::fs::write(&file, format!("{config}{}", responding(""))).unwrap();
        let command = ["run", "-c", file.to_str().unwrap()];
        let output = run_under(
            &["env", "RUST_BACKTRACE=full", "RUST_LIB_BACKTRACE=1"],
            &command,
        );
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        // Behind warnings of the configuration, where there are some.
        let why = text
            .lines()
            .skip_while(|line| !line.starts_with("fcgate: "));
        let why: Vec<_> = why.filter(|line| !line.is_empty()).collect();
        assert!(
            why.len() == 1 && why[0].starts_with("fcgate: cannot "),
            "{text}"
        );
        assert!(why[0].contains(what), "{text}");
    }
}

#[tokio::test]
async fn a_socket_file_that_was_left_behind_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("fcgate.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let gateway = Gateway::start_in(
        directory,
        &format!("{}{}", listener(&socket), responding("hello")),
    )
    .await;
    assert_eq!(gateway.get("/").await.text(), "hello");
}

#[tokio::test]
async fn a_reload_and_the_end_tell_what_each_server_did() {
    let responder = ScriptedResponder::start([Script::answer("\nhello")]).await;
    let mut gateway = Gateway::start(&responder.site("")).await;
    let numbers =
        |line: &str| line.contains("numbers: served=1") && line.contains("upstream=\"app\"");
    assert_eq!(gateway.get("/").await.text(), "hello");
    assert!(
        gateway
            .reload(&responder.site(""))
            .await
            .contains("reloaded")
    );
    gateway.log.wait_for(numbers).await;
    let seen = gateway.log.count();
    gateway.signal(Signal::SIGTERM);
    gateway.log.wait_after(seen, numbers).await;
    gateway.ended().await;
}
