//! Who waits for a connection to the application, how long, and in which order.

use crate::harness::{Connection, Gate, Script, ScriptedResponder};
use crate::upstream::{one_thread, settle, start_request};

#[tokio::test]
async fn capacity_is_never_exceeded_and_the_queue_is_fair() {
    let gate = Gate::new();
    let script = Script::held(&gate, "\n");
    let responder = ScriptedResponder::start([script]).await;
    let gateway = one_thread(&responder, "capacity = 2").start().await;
    let mut clients = Vec::new();
    for number in 1..=6 {
        clients.push(start_request(&gateway, &format!("/{number}")).await);
    }
    responder
        .wait_until("two at once", |seen| seen.busy == 2)
        .await;
    assert_eq!(
        responder.seen().open,
        2,
        "nothing waits in the application's own queue"
    );
    for (served, client) in clients.iter_mut().enumerate() {
        gate.pass(1);
        assert_eq!(client.response().await.status, 200);
        responder
            .wait_until("the next", |seen| {
                seen.requests.len() == (served + 3).min(6)
            })
            .await;
    }
    let seen = responder.seen();
    let order: Vec<_> = seen
        .requests
        .iter()
        .map(|request| request.param("REQUEST_URI"))
        .collect();
    assert_eq!(order, ["/1", "/2", "/3", "/4", "/5", "/6"]);
    assert_eq!(seen.most_busy, 2);
}

#[tokio::test]
async fn who_waits_too_long_is_told_when_to_come_back() {
    let responder = ScriptedResponder::start([Script::new().read_request().stall()]).await;
    let gateway = one_thread(&responder, "capacity = 1\ntimeouts = { queue = \"300ms\" }")
        .start()
        .await;
    let _busy = start_request(&gateway, "/").await;
    let response = gateway.get("/late").await;
    assert_eq!(response.status, 503);
    assert!(
        response
            .header("retry-after")
            .is_some_and(|seconds| seconds.parse::<u32>().is_ok())
    );
    gateway
        .log
        .wait_for(|line| line.contains("QUEUE_TIMEOUT") && line.contains("/late"))
        .await;
    assert_eq!(responder.requests().len(), 1);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let responder = ScriptedResponder::start([Script::new().read_request().stall()]).await;
    let gateway = one_thread(&responder, "capacity = 1\nqueue_length = 1")
        .start()
        .await;
    let _busy = start_request(&gateway, "/busy").await;
    let _waiting = start_request(&gateway, "/waiting").await;
    assert_eq!(gateway.get("/full").await.status, 503);
    gateway
        .log
        .wait_for(|line| line.contains("QUEUE_FULL") && line.contains("/full"))
        .await;
}

#[tokio::test]
async fn who_leaves_the_queue_is_not_served() {
    let gate = Gate::new();
    let script = Script::held(&gate, "\n");
    let responder = ScriptedResponder::start([script]).await;
    let gateway = one_thread(&responder, "capacity = 1").start().await;
    let mut first = start_request(&gateway, "/first").await;
    let gone = start_request(&gateway, "/gone").await;
    let mut last = start_request(&gateway, "/last").await;
    drop(gone);
    let left = |line: &str| line.contains("/gone") && line.contains(" 499 ");
    gateway.access.wait_for(left).await;
    gate.pass(3);
    assert_eq!(first.response().await.status, 200);
    assert_eq!(last.response().await.status, 200);
    let requests = responder.requests();
    let served: Vec<_> = requests
        .iter()
        .map(|request| request.param("REQUEST_URI"))
        .collect();
    assert_eq!(served, ["/first", "/last"]);
}

#[tokio::test]
async fn a_slow_upload_takes_no_worker() {
    let responder = ScriptedResponder::start([Script::answer("\ndone")]).await;
    let gateway = one_thread(&responder, "").start().await;
    let mut client = Connection::open(gateway.address()).await;
    client
        .write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
        .await;
    settle(&gateway).await;
    assert_eq!(responder.requests(), [], "the content is not complete");
    client.write("67890").await;
    assert_eq!(client.response().await.text(), "done");
    assert_eq!(responder.requests()[0].stdin, b"1234567890");
}

#[tokio::test]
async fn a_turn_of_nothing_serves_the_queue_all_the_same() {
    let responder = ScriptedResponder::start([Script::answer("\nhello")]).await;
    let gateway = one_thread(&responder, "turn = \"0s\"").start().await;
    let mut clients = Vec::new();
    for number in 0..20 {
        clients.push(start_request(&gateway, &format!("/{number}")).await);
    }
    for client in &mut clients {
        assert_eq!(client.response().await.text(), "hello");
    }
    let seen = responder.seen();
    assert!(seen.connections >= 20, "a worker is given back after each");
}
