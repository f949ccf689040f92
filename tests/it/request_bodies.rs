//! When PHP gets a request body: slow uploads occupy no worker, fast ones are streamed, and what is not whole is never
//! passed off as whole.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, sleep};

use crate::harness::load::scale;
use crate::harness::{
    Clients, Connection, Content, Gate, Gateway, GatewaySetup, PATIENCE, PhpFpm, Request, Script,
    ScriptedResponder, eventually, http2, patiently,
};
use crate::upstream::{settle, start_request};

const MIB: usize = 1 << 20;

/// A gateway with one thread in front of one worker, with these keys of the action and of `[server]`.
fn taking<'a>(
    responder: &'a ScriptedResponder,
    action: &str,
    server: &str,
) -> GatewaySetup<&'a ScriptedResponder> {
    Gateway::before(responder)
        .server("workers = 1")
        .server(server)
        .upstream("capacity = 1")
        .fastcgi(action)
        .ping()
}

async fn done() -> ScriptedResponder {
    ScriptedResponder::start([Script::answer("\ndone")]).await
}

/// The head of an upload of which the content is still to come.
async fn begin(gateway: &Gateway, length: usize) -> Connection {
    let mut client = Connection::open(gateway.address()).await;
    let head = format!("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    client.write(head).await;
    client
}

#[tokio::test]
async fn slow_uploads_occupy_no_worker() {
    const LENGTH: usize = 100 * 1024;
    let (_php, gateway) = Gateway::with_php(2)
        .file(
            "upload.php",
            "<?php echo strlen(file_get_contents('php://input'));",
        )
        .file("index.php", "<?php echo 'hello';")
        .start()
        .await;
    let mut uploads = Vec::new();
    for _ in 0..scale(40, 200) {
        let mut client = Connection::open(gateway.address()).await;
        let head = "POST /upload.php HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream";
        client
            .write(format!("{head}\r\nContent-Length: {LENGTH}\r\n\r\n"))
            .await;
        uploads.push(client);
    }
    let mut left = LENGTH;
    // 1 KiB each 100 ms from each of them, and an ordinary client meanwhile.
    let slowly = async {
        for _ in 0..scale(15, 80) {
            for client in &mut uploads {
                client.write([b'x'; 1024]).await;
            }
            left -= 1024;
            sleep(Duration::from_millis(100)).await;
        }
    };
    let tally = Clients::get("/", 1).ask(gateway.address(), slowly).await;
    tally.all_well();
    let uploading = uploads.len();
    println!(
        "beside {uploading} uploads: {} answers, the longest in {:?}",
        tally.answered(),
        tally.wait(100)
    );
    assert!(
        tally.wait(100) < Duration::from_secs(1),
        "{:?}",
        tally.wait(100)
    );
    for mut client in uploads {
        client.write(vec![b'x'; left]).await;
        assert_eq!(client.response().await.text(), LENGTH.to_string());
    }
}

#[tokio::test]
async fn a_fast_upload_is_streamed() {
    let gate = Gate::new();
    let script = Script::new()
        .read_params()
        .wait(&gate)
        .read_request()
        .stdout("\ndone")
        .end_request();
    let responder = ScriptedResponder::start([script]).await;
    let gateway = taking(&responder, "request_body = \"auto\"", "")
        .start()
        .await;
    let mut client = begin(&gateway, 16 * MIB).await;
    let half = vec![b'x'; 8 * MIB];
    let begun = responder.wait_until("it begins before the end", |seen| seen.busy == 1);
    tokio::join!(client.write(&half), async {
        begun.await;
        gate.pass(1);
    });
    client.write(&half).await;
    assert_eq!(client.response().await.text(), "done");
    let request = &responder.requests()[0];
    assert_eq!((request.stdin.len(), request.complete), (16 * MIB, true));
    assert_eq!(request.param("CONTENT_LENGTH"), (16 * MIB).to_string());
}

#[tokio::test]
async fn small_content_is_always_waited_for() {
    let responder = done().await;
    let gateway = taking(&responder, "request_body = \"auto\"", "")
        .start()
        .await;
    let mut client = begin(&gateway, 64 * 1024).await;
    client.write([b'x'; 64 * 1024 - 1]).await;
    settle(&gateway).await;
    assert_eq!(responder.seen().requests, []);
    client.write("x").await;
    assert_eq!(client.response().await.text(), "done");
}

#[tokio::test]
async fn spool_waits_for_the_end_however_fast_it_comes() {
    let responder = done().await;
    let gateway = taking(&responder, "request_body = \"spool\"", "")
        .start()
        .await;
    let mut client = begin(&gateway, 4 * MIB).await;
    client.write(vec![b'x'; 4 * MIB - 1]).await;
    settle(&gateway).await;
    assert_eq!(responder.seen().requests, []);
    client.write("x").await;
    assert_eq!(client.response().await.text(), "done");
    let request = &responder.requests()[0];
    assert_eq!((request.stdin.len(), request.complete), (4 * MIB, true));
}

#[tokio::test]
async fn stream_begins_at_once() {
    let responder = done().await;
    let gateway = taking(&responder, "request_body = \"stream\"", "")
        .start()
        .await;
    let mut client = begin(&gateway, 10).await;
    let arrived = |bytes: &'static [u8]| {
        responder.wait_until("what was sent", move |seen| {
            seen.requests
                .first()
                .is_some_and(|request| request.stdin == bytes)
        })
    };
    responder
        .wait_until("the head", |seen| seen.busy == 1)
        .await;
    client.write("12345").await;
    arrived(b"12345").await;
    client.write("67890").await;
    arrived(b"1234567890").await;
    assert_eq!(client.response().await.text(), "done");
}

#[tokio::test]
async fn content_of_unknown_length_gets_one() {
    for mode in ["auto", "stream", "spool"] {
        let responder = done().await;
        let gateway = taking(&responder, &format!("request_body = \"{mode}\""), "")
            .start()
            .await;
        let mut client = Connection::open(gateway.address()).await;
        client
            .write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n5\r\n67890\r\n")
            .await;
        settle(&gateway).await;
        assert_eq!(responder.seen().requests, [], "{mode}: the end is missing");
        client.write("0\r\n\r\n").await;
        assert_eq!(client.response().await.text(), "done");
        let large = Request::post("/").content(Content::mebibytes(2)).chunked();
        assert_eq!(gateway.send(&large).await.text(), "done", "{mode}");
        assert_eq!(
            http2::send(gateway.address(), &large).await.text(),
            "done",
            "{mode}"
        );
        for (request, length) in responder.requests().iter().zip([10, 2 * MIB, 2 * MIB]) {
            assert_eq!(
                request.param("CONTENT_LENGTH"),
                length.to_string(),
                "{mode}"
            );
            assert_eq!(
                (request.stdin.len(), request.complete),
                (length, true),
                "{mode}"
            );
        }
    }
}

/// Waits for a 408 with this cause, and that the one worker is free again.
async fn check_timed_out(gateway: &Gateway, client: &mut Connection, cause: &str) {
    assert_eq!(client.response().await.status, 408, "{cause}");
    let all = patiently("a free worker", gateway.get("/next")).await;
    assert_eq!(all.status, 200, "{cause}");
    let ours = |line: &str| line.contains("/upload") && line.contains("408");
    gateway.access.wait_for(ours).await;
}

#[tokio::test]
async fn an_upload_that_stops_frees_its_worker() {
    for mode in ["auto", "stream", "spool"] {
        let responder = done().await;
        let limits = "limits = { body_pause = \"300ms\" }";
        let gateway = taking(&responder, &format!("request_body = \"{mode}\""), limits)
            .start()
            .await;
        for length in [10, 200_000] {
            let mut client = begin(&gateway, length).await;
            client.write("12345").await;
            check_timed_out(&gateway, &mut client, mode).await;
        }
        let requests = responder.requests();
        let uploads = requests
            .iter()
            .filter(|request| request.param("REQUEST_METHOD") == "POST");
        assert!(uploads.clone().all(|request| !request.complete), "{mode}");
        assert_eq!(
            uploads.count(),
            if mode == "stream" { 2 } else { 0 },
            "{mode}"
        );
    }
}

#[tokio::test]
async fn an_upload_below_its_rate_frees_its_worker() {
    let responder = done().await;
    let limits = "limits = { body_rate = \"1KiB\" }";
    let gateway = taking(&responder, "request_body = \"stream\"", limits)
        .start()
        .await;
    let mut client = begin(&gateway, 100_000).await;
    responder
        .wait_until("it begins", |seen| seen.busy == 1)
        .await;
    // A byte now and then is no pause; the rate is judged over 10 s.
    for _ in 0..21 {
        client.write("x").await;
        sleep(Duration::from_millis(500)).await;
    }
    check_timed_out(&gateway, &mut client, "BODY_SLOW").await;
    assert!(!responder.requests()[0].complete);
}

#[tokio::test]
async fn there_is_no_room_for_more_than_the_quota() {
    let responder = done().await;
    let gateway = taking(
        &responder,
        "request_body = \"spool\"",
        "spool_quota = \"2MiB\"",
    )
    .start()
    .await;
    // Who is alone gets half.
    let upload = |mebibytes| Request::post("/").content(Content::mebibytes(mebibytes));
    for request in [upload(2), upload(2).chunked()] {
        assert_eq!(gateway.send(&request).await.status, 507);
        assert_eq!(http2::send(gateway.address(), &request).await.status, 507);
    }
    gateway
        .log
        .wait_for(|line| {
            line.contains("SPOOL_FULL")
                && line.contains("this client has used its share of server.spool_quota = \"2MiB\"")
        })
        .await;
    assert_eq!(responder.requests(), []);
    assert_eq!(
        gateway.send(&upload(1)).await.status,
        200,
        "what was taken is free again"
    );
}

#[tokio::test]
async fn short_content_is_refused_and_never_looks_whole() {
    for mode in ["auto", "stream", "spool"] {
        for framing in [
            "Content-Length: 10\r\n\r\n12345",
            "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
        ] {
            let responder = done().await;
            let gateway = taking(&responder, &format!("request_body = \"{mode}\""), "")
                .start()
                .await;
            let mut client = TcpStream::connect(("127.0.0.1", gateway.address().port()))
                .await
                .unwrap();
            client
                .write_all(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}").as_bytes())
                .await
                .unwrap();
            settle(&gateway).await;
            client.shutdown().await.unwrap();
            let mut answer = String::new();
            patiently("an answer", client.read_to_string(&mut answer))
                .await
                .unwrap();
            assert!(
                answer.starts_with("HTTP/1.1 400 "),
                "{mode}, {framing:?}: {answer:?}"
            );
            responder
                .wait_until("the close", |seen| seen.open == 0)
                .await;
            assert!(
                responder.requests().iter().all(|request| !request.complete),
                "{mode}"
            );
            assert_eq!(
                gateway.get("/").await.text(),
                "done",
                "{mode}: the worker is free"
            );
        }
    }
}

/// Waits until the gateway has read what it was sent: nothing is left in the receive queues of its connections (proc(5),
/// /proc/net/tcp).
async fn all_read(gateway: &Gateway) {
    let port = format!(":{:04X}", gateway.address().port());
    let waits = |line: &str| {
        let mut columns = line.split_whitespace().skip(1);
        columns.next().is_some_and(|local| local.ends_with(&port))
            && columns
                .nth(2)
                .is_some_and(|queues| !queues.ends_with(":00000000"))
    };
    eventually("all that was sent is read", PATIENCE, async || {
        let connections = std::fs::read_to_string("/proc/net/tcp").unwrap();
        match connections.lines().find(|line| waits(line)) {
            Some(line) => Err(line.to_owned()),
            None => Ok(()),
        }
    })
    .await;
}

#[tokio::test]
async fn who_leaves_with_an_upload_in_the_queue_is_noticed() {
    // What comes at once is more than what is always received first, and fast. No more than 64 KiB beyond it is read ahead.
    for (mode, at_once, tens) in [("auto", 70 * 1024, 3), ("stream", 0, 5)] {
        let gate = Gate::new();
        let script = Script::held(&gate, "\ndone");
        let responder = ScriptedResponder::start([script]).await;
        let gateway = taking(&responder, &format!("request_body = \"{mode}\""), "")
            .start()
            .await;
        let mut busy = start_request(&gateway, "/busy").await;
        responder
            .wait_until("it is busy", |seen| seen.busy == 1)
            .await;
        let mut client = begin(&gateway, 16 * MIB).await;
        client.write(vec![b'x'; at_once]).await;
        for _ in 0..tens {
            client.write([b'x'; 10 * 1024]).await;
            patiently("that all is read", all_read(&gateway)).await;
        }
        drop(client);
        gateway
            .access
            .wait_for(|line| line.contains("/upload") && line.contains(" 499 "))
            .await;
        assert_eq!(responder.seen().requests.len(), 1, "{mode}");
        gate.pass(2);
        assert_eq!(busy.response().await.text(), "done");
        assert_eq!(gateway.get("/").await.text(), "done");
        assert_eq!(
            responder.requests().len(),
            2,
            "{mode}: the upload never reached PHP"
        );
    }
}

#[tokio::test]
async fn a_large_upload_takes_no_memory() {
    let php = PhpFpm::start(1).await;
    php.write(
        "count.php",
        "<?php $n = 0; $f = fopen('php://input', 'r'); while (($p = fread($f, 65536)) !== '' && $p !== false) { $n += strlen($p); } echo $n;",
    );
    let mebibytes = scale(64, 2048);
    let directory = tempfile::tempdir().unwrap();
    let config = format!(
        "[server]\nspool_directory = \"{}\"\nspool_quota = \"4GiB\"\nlimits = {{ body = \"4GiB\" }}\n{}",
        directory.path().display(),
        php.site()
    );
    let gateway = Gateway::start(&config).await;
    let upload = Request::post("/count.php")
        .field("Content-Type", "application/octet-stream")
        .content(Content::mebibytes(mebibytes));
    let response = gateway.send(&upload).await;
    assert_eq!(response.text(), (mebibytes * MIB).to_string());
    let kibibytes = gateway.peak_rss_kib();
    println!("{mebibytes} MiB uploaded: {kibibytes} KiB of memory at most");
    assert!(kibibytes < 64 * 1024, "{kibibytes} KiB");
}
