//! How the lines of the access log look, and what must not be in them.

use serde_json::Value;

use crate::harness::php_fpm::write_below;
use crate::harness::{Connection, Gateway, Request, Script, ScriptedResponder, gateway, http2};

const HELLO: &str = "[[site]]\nhosts = [\"a.example\"]\nrule = [{ path = \"/\", respond = { body = \"hello\" } }]\n";

/// A configuration with this format and the further keys of the log.
fn logging(format: &str, keys: &str) -> String {
    format!("[server]\naccess_log = {{ format = '{format}'{keys} }}\n")
}

/// The line that the gateway writes for `request`.
async fn line(gateway: &Gateway, request: &Request) -> String {
    let seen = gateway.access.count();
    gateway.send(request).await;
    gateway.access.wait_after(seen, |_| true).await
}

#[tokio::test]
async fn a_format_of_ones_own_is_apaches() {
    let format = r#"%h \"%r\" %>s %b %B %m %U%q %H %v %V %p %X %{X-Tag}i %{Content-Type}o %404{Host}i %D %T %R"#;
    let gateway = Gateway::start(&(logging(format, "") + HELLO)).await;
    let request = Request::get("/?a=b")
        .field("Host", "a.example:81")
        .field("X-Tag", "one")
        .field("X-Tag", "two");
    let written = line(&gateway, &request).await;
    let (front, back) = written.split_once(" - ").unwrap();
    assert_eq!(
        front,
        r#"127.0.0.1 "GET /?a=b HTTP/1.1" 200 5 5 GET /?a=b HTTP/1.1 a.example a.example 81 + one, two text/plain; charset=utf-8"#
    );
    let words: Vec<_> = back.split(' ').collect();
    assert!(words[0].parse::<u64>().unwrap() > 0, "{back}");
    assert_eq!(words[1..], ["0", "respond"]);

    let missing = Request::get("/missing")
        .field("Host", "a.example")
        .field("Connection", "close");
    let written = line(&gateway, &missing).await;
    assert!(written.contains(" a.example 80 - - "), "{written}");
    assert!(
        written.contains(" text/plain; charset=utf-8 a.example "),
        "{written}"
    );
}

#[tokio::test]
async fn common_is_combined_without_two_fields() {
    let gateway = Gateway::start(&(logging("common", "") + HELLO)).await;
    let request = Request::get("/").field("Referer", "http://x/");
    let written = line(&gateway, &request).await;
    assert!(written.ends_with("\"GET / HTTP/1.1\" 200 5"), "{written}");
}

#[tokio::test]
async fn parts_of_our_own_tell_how_php_was_asked() {
    let responder = ScriptedResponder::start([Script::answer("\nhello")]).await;
    let format = "%{queue_ms}x %{connect_ms}x %{first_byte_ms}x %{duration_ms}x %{upstream}x %{handler}x %{cause}x %{request_id}x %L";
    let config = logging(format, "") + &responder.site("");
    let gateway = Gateway::start(&config).await;
    let written = line(&gateway, &Request::get("/")).await;
    let words: Vec<_> = written.split(' ').collect();
    for time in &words[..4] {
        assert!(
            time.parse::<f64>().is_ok_and(|time| time >= 0.0),
            "{written}"
        );
    }
    let id = responder.requests()[0].param("REQUEST_ID").to_owned();
    assert_eq!(words[4..], ["app", "fastcgi", "-", &id, &id]);
}

#[tokio::test]
async fn http2_has_the_same_parts() {
    let gateway = Gateway::start(&(logging("%r %V %s %B %X", "") + HELLO)).await;
    let sent = http2::send(gateway.address(), &Request::get("/")).await;
    assert_eq!(sent.status, 200);
    let written = gateway.access.wait_for(|_| true).await;
    assert_eq!(written, "GET / HTTP/2.0 localhost 200 5 +");
}

#[tokio::test]
async fn secrets_get_into_no_log() {
    let request = Request::get("/none?token=geheim&a=b")
        .field("Authorization", "Basic geheim")
        .field("Cookie", "sid=geheim")
        .field("Referer", "http://x/?password=geheim");
    let format = "%r %{Authorization}i %{Cookie}i %{sid}C %{Referer}i";
    for (keys, secret) in [("", "redacted"), (", secrets = true", "geheim")] {
        // At this level the operational log tells every failure, with its target.
        let config = logging(format, keys).replace("[server]", "[server]\nlog = \"debug\"");
        let gateway = Gateway::start(&(config + HELLO)).await;
        let written = line(&gateway, &request).await;
        let (basic, cookie) = match secret {
            "redacted" => ("redacted", "redacted"),
            _ => ("Basic geheim", "sid=geheim"),
        };
        let expected = format!(
            "GET /none?token={secret}&a=b HTTP/1.1 {basic} {cookie} {secret} http://x/?password={secret}"
        );
        assert_eq!(written, expected);
        let told = gateway.log.wait_for(|line| line.contains("/none")).await;
        assert!(
            told.contains(&format!("/none?token={secret}&a=b")),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_client_that_left_before_its_answer_has_the_status_499() {
    let never = Script::new().read_request().read_to_end();
    let responder = ScriptedResponder::start([never]).await;
    let gateway = Gateway::start(&(logging("json", "") + &responder.site(""))).await;
    let mut client = Connection::open(gateway.address()).await;
    client.start(&Request::get("/before")).await;
    responder
        .wait_until("the request", |seen| seen.requests.len() == 1)
        .await;
    drop(client);
    let written = gateway.access.wait_for(|_| true).await;
    let record: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(
        (&record["status"], &record["complete"], &record["cause"]),
        (&499.into(), &false.into(), &"CLIENT_CLOSED".into())
    );
}

#[test]
fn a_wrong_directive_is_shown_where_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    let config = "[server.access_log]\nformat = '%h %{queue}x %Z'\n";
    write_below(directory.path(), "fcgate.toml", format!("{config}{HELLO}"));
    let output = gateway::check(&directory.path().join("fcgate.toml"));
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    for part in ["fcgate.toml:2:14", "`%{queue}x` is not known", "queue_ms"] {
        assert!(told.contains(part), "{part:?} is not in:\n{told}");
    }
}
