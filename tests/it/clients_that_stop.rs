//! Clients that stop reading, or that cannot see where an answer ends.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Gateway, Script, ScriptedResponder, patiently};

/// More than all socket buffers in between hold.
const LARGE: usize = 32 * 1024 * 1024;

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_lets_go_of_the_application() {
    let script = Script::new()
        .read_request()
        .stdout("\n")
        .stdout("x".repeat(LARGE))
        .end_request();
    let responder = ScriptedResponder::start([script]).await;
    let config = format!(
        "[server]\nlimits = {{ send_pause = \"500ms\" }}\n{}",
        responder.site("")
    );
    let gateway = Gateway::start(&config).await;
    let mut stream = gateway.address().connect().await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    responder
        .wait_until("the request", |seen| !seen.requests.is_empty())
        .await;
    responder
        .wait_until("the close", |seen| seen.open == 0)
        .await;
}

#[tokio::test]
async fn a_cut_answer_to_http_1_0_does_not_end_like_a_whole_one() {
    // RFC 9112 §6.3: without a length the end of the connection is the end of the answer.
    let cut = Script::new()
        .read_request()
        .stdout("\n")
        .stdout("x".repeat(300_000))
        .close();
    let whole = Script::answer("\nhello");
    for (script, is_whole) in [(cut, false), (whole, true)] {
        let (_responder, gateway) = Gateway::with_app([script]).start().await;
        let mut stream = gateway.address().connect().await;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let read = patiently("the answer", stream.read_to_end(&mut answer)).await;
        assert_eq!(read.is_ok(), is_whole, "{} bytes", answer.len());
    }
}
