//! An application that does what none should: what the client sees is exactly what the table says, over both versions
//! of HTTP; the next request on the same pool gets its own answer; and clients beside it never see a byte of it.

mod answers;
mod breaks;
mod case;
mod heads;
mod stalls;

use std::sync::Arc;

use serde_json::Value;

use crate::harness::records::{self, Record};
use crate::harness::scripted_responder::{Received, Setup};
use crate::harness::{
    Backend, Connection, Gate, Gateway, GatewaySetup, Request, Script, ScriptedResponder, http2,
    patiently,
};
use case::{Case, Client, View};

/// Limits of time that only those meet that stall. Connections are kept as long as they can be: what is left on one
/// would reach the next request.
fn before<B: Backend>(responder: B) -> GatewaySetup<B> {
    let rule = |prefix: &str, timeouts: &str| {
        format!(
            "[[site.rule]]\nprefix = \"/{prefix}/\"\nfastcgi = {{ upstream = \"app\", \
             script = \"/srv/app/index.php\", missing = \"pass\", timeouts = {{ {timeouts} }} }}\n"
        )
    };
    Gateway::before(responder)
        .server("limits = { body = \"128MiB\", keep_alive_requests = 1000000 }\naccess_log = { format = \"json\" }")
        .upstream("keep = \"10s\"\nturn = \"10s\"")
        .site(&rule("first", "first_byte = \"400ms\""))
        .site(&rule("idle", "idle = \"400ms\""))
        .site(&rule("total", "total = \"2s\""))
}

/// The application plays the case that the last part of the path names; anything else is an ordinary request.
fn playing(cases: &Arc<Vec<Case>>) -> Setup {
    let cases = Arc::clone(cases);
    let script = Script::by(move |received| {
        let number = number_in(received);
        number.map_or_else(
            || ordinary(received),
            |number: usize| cases[number].script.clone(),
        )
    });
    Setup::new([script])
}

fn number_in(received: &Received) -> Option<usize> {
    let (path, _) = received.param("REQUEST_URI").split_once('?')?;
    path.rsplit('/').next()?.parse().ok()
}

fn ordinary(received: &Received) -> Script {
    Script::answer(format!("\nordinary {}", received.param("REQUEST_URI")))
}

/// Sends an ordinary request and fails unless it gets its own answer.
async fn check_ordinary(client: &mut Client, target: &str, when: &str) {
    let response = client.send(&Request::get(target)).await;
    assert_eq!(
        (response.status, response.text(), response.whole),
        (200, format!("ordinary {target}"), true),
        "{when}"
    );
}

/// Ordinary requests one after another, as long as it is polled.
async fn go_on(mut client: Client) {
    for number in 0.. {
        let target = format!("/beside?{}-{number}", client.version());
        check_ordinary(&mut client, &target, "beside").await;
        // The cases need the processor too.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

/// One case, the next request, and what the access log says of it.
async fn play(gateway: &Gateway, client: &mut Client, number: usize, case: &Case) {
    let name = format!("{}, {}", case.name, client.version());
    let target = format!("/{}{number}?{}", case.limits, client.version());
    let seen = gateway.access.count();
    let mut request = Request::new(case.method, &target);
    if case.upload > 0 {
        request = request.body(vec![b'u'; case.upload]);
    }
    let response = client.ask(&request, case.pause.as_ref()).await;
    // An answer that is cut ends its HTTP/1.1 connection, as does an upload that nobody has read.
    if !response.whole || case.upload > 0 {
        *client = client.another(gateway).await;
    }
    case.view.check(&name, &response);
    check_ordinary(
        client,
        &format!("/after?{number}"),
        &format!("after {name}"),
    )
    .await;
    let named = format!("\"{target}\"");
    let line = gateway
        .access
        .wait_after(seen, |line| line.contains(&named));
    let record: Value = serde_json::from_str(&line.await).unwrap();
    assert_eq!(
        (&record["cause"], &record["complete"]),
        (&case.view.cause(), &response.whole.into()),
        "{name}: {record}"
    );
}

/// All cases over both versions, one after another, beside two clients that go on and on.
async fn check_all(cases: Vec<Case>) {
    let cases = Arc::new(cases);
    let (_responder, gateway) = before(playing(&cases)).start().await;
    let over = |client: Client| async {
        let mut client = client;
        for (number, case) in cases.iter().enumerate() {
            play(&gateway, &mut client, number, case).await;
        }
    };
    let all = async {
        over(Client::http1(&gateway).await).await;
        over(Client::http2(&gateway).await).await;
    };
    tokio::select! {
        () = all => {}
        () = go_on(Client::http1(&gateway).await) => {}
        () = go_on(Client::http2(&gateway).await) => {}
    }
}

#[tokio::test]
async fn odd_answers_are_whole() {
    check_all(answers::all()).await;
}

#[tokio::test]
async fn heads_are_what_they_are() {
    check_all(heads::all()).await;
}

#[tokio::test]
async fn broken_answers_are_refused_or_cut() {
    check_all(breaks::all()).await;
}

/// All at once, as each takes as long as its limit.
#[tokio::test]
async fn who_stalls_is_waited_for_no_longer_than_the_limit() {
    let cases = Arc::new(stalls::all());
    let (_responder, gateway) = before(playing(&cases)).start().await;
    let gateway = &gateway;
    let both = cases.iter().enumerate().map(|(number, case)| async move {
        let over = |mut client: Client| async move {
            play(gateway, &mut client, number, case).await;
        };
        tokio::join!(
            over(Client::http1(gateway).await),
            over(Client::http2(gateway).await)
        )
    });
    let both = both.collect::<Vec<_>>();
    futures_util::future::join_all(both).await;
}

/// The records of an answer, cut at every byte by a close: the client never takes a part for the whole.
#[tokio::test]
async fn an_answer_cut_at_any_byte_is_never_taken_for_whole() {
    const LENGTH: &str = "Content-Length: 7\n";
    for announced in ["", LENGTH] {
        let head = format!("X-A: 1\n{announced}\n");
        let wire = [
            Record::new(records::STDOUT, 1, head.clone()).encode(),
            Record::new(records::STDERR, 1, "a note\n").encode_padded(1),
            Record::new(records::STDOUT, 1, "content").encode_padded(3),
            Record::new(records::STDOUT, 1, "").encode(),
            Record::end(1, 0, 0).encode(),
        ]
        .concat();
        let content = wire.windows(7).position(|window| window == b"content");
        let enough = match announced {
            LENGTH => content.unwrap() + 7,
            _ => wire.len(),
        };
        let cut = |at: usize| {
            let script = Script::new().read_request().raw(&wire[..at]).close();
            // A POST is not sent again.
            Case::new("cut", script, View::whole("content")).method("POST")
        };
        let cases: Arc<Vec<_>> = Arc::new((0..=wire.len()).map(cut).collect());
        let (_responder, gateway) = before(playing(&cases)).start().await;
        for mut client in [Client::http1(&gateway).await, Client::http2(&gateway).await] {
            for at in 0..=wire.len() {
                let name = format!(
                    "{announced:?}, cut at {at} of {}, {}",
                    wire.len(),
                    client.version()
                );
                let request = Request::post(&format!("/{at}?{}", client.version()));
                let response = client.send(&request).await;
                let expected = match response.status {
                    200 if at >= enough => response.whole && response.text() == "content",
                    // The break may overtake the head.
                    200 | 0 => {
                        !response.whole
                            && at >= head.len()
                            && "content".starts_with(&response.text())
                    }
                    502 => response.whole && at < enough && !response.text().contains("content"),
                    _ => false,
                };
                assert!(expected, "{name}: {response:?}");
                if !response.whole {
                    client = client.another(&gateway).await;
                }
                check_ordinary(&mut client, &format!("/after?{at}"), &name).await;
            }
        }
    }
}

/// The same answer cut at every byte into two writes, which most likely are two reads.
#[tokio::test]
async fn an_answer_in_two_parts_is_one() {
    let wire = [
        Record::new(records::STDOUT, 1, "X-A: 1\r\n\r\ncon").encode_padded(2),
        Record::new(records::STDOUT, 1, "tent").encode(),
        Record::end(1, 0, 0).encode_padded(1),
    ]
    .concat();
    let parted = |at: usize| {
        let (first, second) = wire.split_at(at);
        let script = Script::new().read_request().raw(first).pause().raw(second);
        Case::new("in two parts", script, View::whole("content"))
    };
    check_all((1..wire.len()).map(parted).collect()).await;
}

/// What an application says between two requests, or a moment too late: nobody ever gets it.
#[tokio::test]
async fn what_comes_on_an_idle_connection_reaches_nobody() {
    let stolen = [
        Record::new(records::STDOUT, 1, "\nstolen").encode(),
        Record::end(1, 0, 0).encode(),
    ]
    .concat();
    let unasked: [(&str, Vec<u8>); 6] = [
        ("an answer", stolen),
        ("one byte", vec![1]),
        ("an end", Record::end(1, 0, 0).encode()),
        (
            "an error",
            Record::new(records::STDERR, 1, "late\n").encode(),
        ),
        (
            "an acknowledgement",
            Record::new(records::GET_VALUES_RESULT, 0, "").encode(),
        ),
        ("HTTP", b"HTTP/1.1 200 OK\r\n\r\nstolen".to_vec()),
    ];
    for (name, bytes) in unasked {
        for version in ["h1", "h2"] {
            let (gate, told) = (Gate::new(), Gate::new());
            let late = Script::answer("\nfirst")
                .wait(&gate)
                .last_words(bytes.clone(), &told);
            let responder = ScriptedResponder::start([late, Script::answer("\nsecond")]).await;
            let gateway = before(&responder).start().await;
            let mut client = match version {
                "h1" => Client::http1(&gateway).await,
                _ => Client::http2(&gateway).await,
            };
            assert_eq!(client.send(&Request::get("/")).await.text(), "first");
            gate.pass(1);
            patiently("the last words", told.wait()).await;
            for _ in 0..2 {
                let response = client.send(&Request::get("/")).await;
                assert_eq!(
                    (response.status, response.text().as_str(), response.whole),
                    (200, "second", true),
                    "{name}, {version}"
                );
            }
        }
    }
}

/// How PHP ends is no part of an answer whose announced bytes are all there, be it in the same read.
#[tokio::test]
async fn what_was_announced_and_came_is_whole_however_the_connection_ends() {
    let text = "Content-Length: 7\n\ncontent";
    let begun = || Script::new().read_request().stdout(text);
    for (name, script) in [("closed", begun().close()), ("reset", begun().reset())] {
        for setup in [
            Setup::new([script.clone()]),
            Setup::new([script.clone()]).tcp(),
        ] {
            let responder = setup.start().await;
            let gateway = before(&responder).start().await;
            for _ in 0..20 {
                for method in ["GET", "POST"] {
                    let request = Request::new(method, "/");
                    let responses = [
                        gateway.send(&request).await,
                        http2::send(gateway.address(), &request).await,
                    ];
                    for response in responses {
                        // RFC 9293 §3.10.7.4: a reset throws away what was not read yet, which nobody can make good.
                        let lost = name == "reset" && response.status == 502 && response.whole;
                        let whole = response.status == 200 && response.whole;
                        assert!(
                            lost || whole && response.text() == "content",
                            "{name}: {response:?}"
                        );
                    }
                }
            }
        }
    }
}

impl Client {
    async fn http1(gateway: &Gateway) -> Self {
        Self::Http1(Box::new(Connection::open(gateway.address()).await))
    }

    async fn http2(gateway: &Gateway) -> Self {
        Self::Http2(http2::Connection::open(gateway.address()).await)
    }

    async fn another(&self, gateway: &Gateway) -> Self {
        match self {
            Self::Http1(_) => Self::http1(gateway).await,
            Self::Http2(_) => Self::http2(gateway).await,
        }
    }
}
