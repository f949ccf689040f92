//! Connections to the application: when one is used again, and what follows a failure.

use crate::harness::records::{self, Record};
use crate::harness::scripted_responder::Setup;
use crate::harness::{
    Connection, Content, Gate, Gateway, GatewaySetup, Request, Script, ScriptedResponder, http2,
};

/// A gateway with one thread in front of `responder`, whose upstream has further `lines`.
pub(crate) fn one_thread<'a>(
    responder: &'a ScriptedResponder,
    lines: &str,
) -> GatewaySetup<&'a ScriptedResponder> {
    Gateway::before(responder)
        .server("workers = 1\nlimits = { body = \"128MiB\" }")
        .upstream(lines)
        .ping()
}

/// Waits until the gateway has acted on all that was sent to it: with one thread it answers in the order in which
/// things came.
pub(crate) async fn settle(gateway: &Gateway) {
    let mut connection = Connection::open(gateway.address()).await;
    for _ in 0..5 {
        assert_eq!(
            connection
                .send(&Request::get("/").field("Host", "ping"))
                .await
                .text(),
            "pong"
        );
    }
}

/// Sends a request and leaves it waiting.
pub(crate) async fn start_request(gateway: &Gateway, target: &str) -> Connection {
    let mut connection = Connection::open(gateway.address()).await;
    connection.start(&Request::get(target)).await;
    settle(gateway).await;
    connection
}

#[tokio::test]
async fn a_connection_is_used_again_while_it_is_kept() {
    let responder = ScriptedResponder::start([Script::answer("\n")]).await;
    let gateway = one_thread(&responder, "keep = \"10s\"\nturn = \"10s\"")
        .start()
        .await;
    let mut client = Connection::open(gateway.address()).await;
    // An application that took long to acknowledge is not kept waiting: on a busy machine that may be the first ones.
    for _ in 0..500 {
        assert_eq!(client.send(&Request::get("/")).await.status, 200);
        if responder.seen().connections < responder.requests().len() {
            return;
        }
    }
    panic!("{} connections", responder.seen().connections);
}

#[tokio::test]
async fn nothing_is_kept_for_no_time() {
    let responder = ScriptedResponder::start([Script::answer("\n")]).await;
    let gateway = one_thread(&responder, "keep = \"0s\"").start().await;
    let mut client = Connection::open(gateway.address()).await;
    for _ in 0..20 {
        assert_eq!(client.send(&Request::get("/")).await.status, 200);
    }
    assert_eq!(
        (responder.seen().connections, responder.requests().len()),
        (20, 20)
    );
}

#[tokio::test]
async fn a_capacity_is_leave_to_keep_connections_where_nothing_acknowledges() {
    let responder = Setup::new([Script::answer("\n")]).silent().start().await;
    let gateway = one_thread(&responder, "capacity = 1\nkeep = \"10s\"")
        .start()
        .await;
    let mut client = Connection::open(gateway.address()).await;
    for _ in 0..20 {
        assert_eq!(client.send(&Request::get("/")).await.status, 200);
    }
    let seen = responder.seen();
    assert!(
        seen.connections <= 3,
        "two to find out, one for all requests: {}",
        seen.connections
    );
}

#[tokio::test]
async fn bytes_behind_an_answer_reach_nobody() {
    // 0 stands for the request's own id.
    for (id, is_own) in [(0, true), (0x7777, false)] {
        let junk = [
            Record::end(0, 0, 0),
            Record::new(records::STDOUT, id, "\nstolen"),
            Record::end(0, 0, 0),
        ];
        let first = Script::new().read_request().stdout("\nfirst").records(junk);
        for setup in [Setup::new, |scripts| Setup::new(scripts).silent()] {
            let responder = setup([first.clone(), Script::answer("\nsecond")])
                .start()
                .await;
            let lines = "capacity = 1\nkeep = \"10s\"\nturn = \"10s\"";
            let gateway = one_thread(&responder, lines).start().await;
            assert_eq!(gateway.get("/").await.text(), "first");
            assert_eq!(gateway.get("/").await.text(), "second");
            if !is_own {
                let closed = |line: &str| line.contains("closed: after its answer");
                gateway.log.wait_for(closed).await;
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_timeout() {
    let responder = ScriptedResponder::start([Script::new().read_request().stall()]).await;
    let gateway = one_thread(&responder, "timeouts = { first_byte = \"300ms\" }")
        .start()
        .await;
    assert_eq!(gateway.get("/").await.status, 504);
    gateway
        .log
        .wait_for(|line| line.contains("TIMEOUT_FIRST_BYTE"))
        .await;
    assert_eq!(
        responder.requests().len(),
        1,
        "what timed out once is not tried again"
    );
}

#[tokio::test]
async fn an_answer_that_stops_is_cut() {
    let responder =
        ScriptedResponder::start([Script::new().read_request().stdout("\npart").read_to_end()])
            .await;
    let gateway = one_thread(&responder, "timeouts = { idle = \"300ms\" }")
        .start()
        .await;
    let response = gateway.get("/").await;
    assert_eq!(
        (response.status, response.text().as_str(), response.whole),
        (200, "part", false)
    );
    gateway
        .log
        .wait_for(|line| line.contains("TIMEOUT_IDLE"))
        .await;
    responder
        .wait_until("the close", |seen| seen.open == 0)
        .await;
}

#[tokio::test]
async fn applications_that_know_no_probe_are_served_too() {
    for capacity in ["", "capacity = 2\nkeep = \"10s\"\nturn = \"10s\""] {
        let responder = Setup::new([Script::answer("\nhello")])
            .silent()
            .tcp()
            .start()
            .await;
        let gateway = one_thread(&responder, capacity).start().await;
        for method in ["GET", "POST", "GET"] {
            assert_eq!(
                gateway.send(&Request::new(method, "/")).await.text(),
                "hello",
                "{method} {capacity}"
            );
        }
        assert_eq!(responder.requests().len(), 3);
    }
}

#[tokio::test]
async fn a_reset_is_repeated_only_where_that_does_no_harm() {
    for (method, status, executed) in [("GET", 200, 2), ("HEAD", 200, 2), ("POST", 502, 1)] {
        let scripts = [Script::new().read_request().reset(), Script::answer("\n")];
        let responder = Setup::new(scripts).tcp().start().await;
        let gateway = one_thread(&responder, "").start().await;
        assert_eq!(
            gateway.send(&Request::new(method, "/")).await.status,
            status,
            "{method}"
        );
        assert_eq!(responder.requests().len(), executed, "{method}");
    }
}

/// A program that has read all of its request dies with an orderly end, and a proxy turns a reset into one.
#[tokio::test]
async fn a_close_in_good_order_proves_no_more_than_a_reset() {
    for (method, executed) in [("GET", 2), ("HEAD", 2), ("POST", 1)] {
        for play in [
            |setup| setup,
            Setup::tcp,
            Setup::like_php_fpm,
            Setup::silent,
        ] {
            let scripts = [Script::new().read_request().close(), Script::answer("\n")];
            let responder = play(Setup::new(scripts)).start().await;
            let gateway = one_thread(&responder, "").start().await;
            let status = gateway.send(&Request::new(method, "/")).await.status;
            assert_eq!(status, if executed == 2 { 200 } else { 502 }, "{method}");
            assert_eq!(responder.requests().len(), executed, "{method}");
        }
    }
    // And it is not repeated for ever.
    let responder = ScriptedResponder::start([Script::new().read_request().close()]).await;
    let gateway = one_thread(&responder, "").start().await;
    assert_eq!(gateway.get("/").await.status, 502);
    assert_eq!(responder.requests().len(), 2);
}

#[tokio::test]
async fn a_client_that_leaves_lets_go_of_the_application() {
    let responder = ScriptedResponder::start([Script::new().read_request().read_to_end()]).await;
    let gateway = one_thread(&responder, "").start().await;
    let client = start_request(&gateway, "/").await;
    responder
        .wait_until("the request", |seen| seen.busy == 1)
        .await;
    drop(client);
    responder
        .wait_until("the close", |seen| seen.open == 0)
        .await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_never_seen_as_complete() {
    for length in ["Content-Length: 200000", "Transfer-Encoding: chunked"] {
        let responder = ScriptedResponder::start([Script::answer("\n")]).await;
        let gateway = one_thread(&responder, "").start().await;
        let mut client = Connection::open(gateway.address()).await;
        let chunk = if length.starts_with('C') {
            String::new()
        } else {
            "30d40\r\n".to_owned()
        };
        client
            .write(format!(
                "POST / HTTP/1.1\r\nHost: a\r\n{length}\r\n\r\n{chunk}{}",
                "x".repeat(100_000)
            ))
            .await;
        settle(&gateway).await;
        drop(client);
        settle(&gateway).await;
        gateway
            .access
            .wait_for(|line| line.contains("POST / "))
            .await;
        responder
            .wait_until("the close", |seen| seen.open == 0)
            .await;
        assert!(
            responder.requests().iter().all(|request| !request.complete),
            "{length}"
        );
    }
}

#[tokio::test]
async fn a_client_that_reads_slowly_slows_the_application() {
    let large = vec![b'x'; 64 << 20];
    let responder = ScriptedResponder::start([Script::new()
        .read_request()
        .stdout("\n")
        .stdout(&large)
        .end_request()])
    .await;
    let gateway = one_thread(&responder, "").start().await;
    let mut client = Connection::open(gateway.address()).await;
    client.start(&Request::get("/")).await;
    assert_eq!(client.head().await.status, 200);
    settle(&gateway).await;
    let mut length = 0;
    while let Some(piece) = client.piece().await.unwrap() {
        length += piece.len();
    }
    assert_eq!(length, large.len());
    assert!(
        gateway.peak_rss_kib() < 64 * 1024,
        "{} KiB",
        gateway.peak_rss_kib()
    );
}

#[tokio::test]
async fn an_application_that_reads_slowly_slows_the_client() {
    let gate = Gate::new();
    let script = Script::new()
        .read_params()
        .wait(&gate)
        .read_request()
        .stdout("\ndone")
        .end_request();
    let responder = ScriptedResponder::start([script]).await;
    let gateway = one_thread(&responder, "").start().await;
    let upload = Request::post("/").content(Content::mebibytes(64));
    let (first, second, ()) = tokio::join!(
        gateway.send(&upload),
        http2::send(gateway.address(), &upload),
        async {
            responder.wait_until("both", |seen| seen.busy == 2).await;
            gate.pass(2);
        }
    );
    assert_eq!(
        (first.text().as_str(), second.text().as_str()),
        ("done", "done")
    );
    assert!(
        responder
            .requests()
            .iter()
            .all(|request| request.complete && request.stdin.len() == 64 << 20)
    );
    assert!(
        gateway.peak_rss_kib() < 64 * 1024,
        "{} KiB",
        gateway.peak_rss_kib()
    );
}
