//! The access log: one line for each request, whatever became of it.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{
    Connection, Gate, Gateway, PATIENCE, Request, Script, ScriptedResponder, eventually, http2,
};

/// The start of a configuration whose access log is made of JSON objects.
const JSON: &str = "[server]\naccess_log = { format = \"json\" }\n";

const HELLO: &str = "[[site]]\nhosts = [\"a.example\"]\nrule = [{ path = \"/\", respond = { body = \"hello\" } }]\n";

/// The object for the request to `target`.
async fn record(gateway: &Gateway, target: &str) -> Value {
    let part = format!("\"uri\":\"{target}\"");
    serde_json::from_str(&gateway.access.wait_for(|line| line.contains(&part)).await).unwrap()
}

#[tokio::test]
async fn a_combined_line_is_apaches() {
    let gateway = Gateway::start(HELLO).await;
    let request = Request::get("/?q=%22")
        .field("Referer", "http://x/\"y")
        .field("User-Agent", "agent \\ é");
    assert_eq!(gateway.send(&request).await.status, 200);
    let line = gateway.access.wait_for(|line| line.contains("GET /")).await;
    let (client, rest) = line.split_once('[').unwrap();
    let (time, rest) = rest.split_once("] ").unwrap();
    assert_eq!(client, "127.0.0.1 - - ");
    assert_eq!(
        rest,
        r#""GET /?q=%22 HTTP/1.1" 200 5 "http://x/\"y" "agent \\ \xc3\xa9""#
    );
    let shape: String = time
        .chars()
        .map(|char| if char.is_ascii_digit() { '0' } else { char })
        .collect();
    let month = time.get(3..6).unwrap();
    assert_eq!(
        shape.replace(month, "Mon").replace('-', "+"),
        "00/Mon/0000:00:00:00 +0000"
    );
}

#[tokio::test]
async fn every_request_has_one_line() {
    let gateway = Gateway::start(HELLO).await;
    let mut connection = Connection::open(gateway.address()).await;
    for target in ["/", "/missing", "/%zz"] {
        connection.send(&Request::get(target)).await;
    }
    http2::send(gateway.address(), &Request::new("HEAD", "/two")).await;
    gateway.access.wait_many(0, 4, |_| true).await;
    gateway.get("/last").await;
    gateway.access.wait_for(|line| line.contains("/last")).await;
    let lines = gateway.access.all();
    let expected = [
        "\"GET / HTTP/1.1\" 200 5 ",
        "\"GET /missing HTTP/1.1\" 404 ",
        "\"GET /%zz HTTP/1.1\" 400 ",
        "\"HEAD /two HTTP/2.0\" 404 - ",
        "\"GET /last HTTP/1.1\" 404 ",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, part) in lines.iter().zip(expected) {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[tokio::test]
async fn a_json_object_tells_how_it_went() {
    let responder = ScriptedResponder::start([Script::answer("Status: 201\n\n12345678")]).await;
    let gateway = Gateway::start(&format!("{JSON}{}", responder.site(""))).await;
    let request = Request::post("/made")
        .field("Host", "b.example")
        .field("User-Agent", "it");
    assert_eq!(gateway.send(&request).await.status, 201);
    let record = record(&gateway, "/made").await;
    let id = responder.requests()[0].param("REQUEST_ID").to_owned();
    let expected = [
        ("client", "127.0.0.1"),
        ("host", "b.example"),
        ("method", "POST"),
        ("protocol", "HTTP/1.1"),
        ("handler", "fastcgi"),
        ("upstream", "app"),
        ("user_agent", "it"),
        ("request_id", &id),
    ];
    for (name, value) in expected {
        assert_eq!(record[name], value, "{name} in {record}");
    }
    assert_eq!(
        (&record["status"], &record["bytes"], &record["complete"]),
        (&201.into(), &8.into(), &true.into())
    );
    for time in ["duration_ms", "queue_ms", "connect_ms", "first_byte_ms"] {
        assert!(
            record[time]
                .as_f64()
                .is_some_and(|milliseconds| milliseconds >= 0.0),
            "{time} in {record}"
        );
    }
    assert!(record["duration_ms"].as_f64() >= record["first_byte_ms"].as_f64());
    assert_eq!(record["cause"], Value::Null);
}

#[tokio::test]
async fn a_failure_has_its_cause() {
    let responder = ScriptedResponder::start([Script::answer("no head\n\n")]).await;
    let gateway = Gateway::start(&format!("{JSON}{}", responder.site(""))).await;
    assert_eq!(gateway.get("/bad").await.status, 502);
    let record = record(&gateway, "/bad").await;
    assert_eq!(
        (&record["status"], &record["cause"]),
        (&502.into(), &"UPSTREAM_HEAD".into())
    );
}

#[tokio::test]
async fn a_client_that_leaves_is_told_apart() {
    let early = Script::new().read_request().stdout("\nfirst").read_to_end();
    let never = Script::new().read_request().read_to_end();
    let responder = ScriptedResponder::start([early, never]).await;
    let gateway = Gateway::start(&format!("{JSON}{}", responder.site(""))).await;

    let mut client = Connection::open(gateway.address()).await;
    client.start(&Request::get("/within")).await;
    assert_eq!(client.head().await.status, 200);
    drop(client);
    let within = record(&gateway, "/within").await;
    assert_eq!(
        (&within["status"], &within["complete"], &within["cause"]),
        (&200.into(), &false.into(), &"CLIENT_CLOSED".into())
    );

    let mut client = Connection::open(gateway.address()).await;
    client.start(&Request::get("/before")).await;
    responder
        .wait_until("the request", |seen| seen.requests.len() == 2)
        .await;
    drop(client);
    let before = record(&gateway, "/before").await;
    assert_eq!(
        (&before["complete"], &before["cause"]),
        (&false.into(), &"CLIENT_CLOSED".into())
    );
}

#[tokio::test]
async fn a_cut_answer_is_not_complete() {
    let gate = Gate::new();
    let script = Script::new()
        .read_request()
        .stdout("\npart")
        .wait(&gate)
        .close();
    let responder = ScriptedResponder::start([script]).await;
    let gateway = Gateway::start(&format!("{JSON}{}", responder.site(""))).await;
    let mut client = Connection::open(gateway.address()).await;
    client.start(&Request::get("/cut")).await;
    assert_eq!(client.head().await.status, 200);
    assert_eq!(client.piece().await.unwrap().unwrap(), b"part");
    gate.pass(1);
    assert!(client.piece().await.is_err());
    let record = record(&gateway, "/cut").await;
    assert_eq!(
        (&record["complete"], &record["cause"]),
        (&false.into(), &"UPSTREAM_TRUNCATED".into())
    );
}

#[tokio::test]
async fn a_line_cannot_be_forged() {
    let gateway = Gateway::start(&format!("{JSON}{HELLO}")).await;
    let agent = "\"},\t{\"status\":200}";
    gateway
        .send(&Request::get("/forged").field("User-Agent", agent))
        .await;
    let line = gateway
        .access
        .wait_for(|line| line.contains("forged"))
        .await;
    let record: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(record["user_agent"], agent);
}

fn contains(file: &std::path::Path, text: &str) -> bool {
    std::fs::read_to_string(file).is_ok_and(|content| content.contains(text))
}

#[tokio::test]
async fn a_file_is_opened_again_when_it_was_moved() {
    let directory = tempfile::tempdir().unwrap();
    let (log, moved) = (
        directory.path().join("access.log"),
        directory.path().join("access.log.1"),
    );
    let config = format!(
        "[server]\naccess_log = {{ to = \"{}\" }}\n{HELLO}",
        log.display()
    );
    let gateway = Gateway::start_in(directory, &config).await;
    gateway.get("/one").await;
    eventually("the line", PATIENCE, async || contains(&log, "/one")).await;
    std::fs::rename(&log, &moved).unwrap();
    gateway.get("/two").await;
    eventually("the line in the moved file", PATIENCE, async || {
        contains(&moved, "/two")
    })
    .await;
    gateway.signal(Signal::SIGUSR1);
    eventually("the new file", PATIENCE, async || log.exists()).await;
    gateway.get("/three").await;
    eventually("the line in the new file", PATIENCE, async || {
        contains(&log, "/three")
    })
    .await;
    assert_eq!(gateway.access.count(), 0, "nothing of it on stdout");
}
