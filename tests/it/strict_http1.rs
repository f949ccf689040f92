//! What is not HTTP/1 by the letter: it is answered once, by us, and the connection is closed; no rule and no
//! application sees it. And what is stays byte-exact and in order.

use serde_json::Value;
use tokio::time::{Duration, timeout};

use crate::harness::h2_frames::{self, Frames, PROTOCOL_ERROR};
use crate::harness::http1::raw;
use crate::harness::{Connection, Content, Gate, Gateway, Request, Script, ScriptedResponder};

#[path = "../corpus/http1.rs"]
mod corpus;

use corpus::{Case, Outcome, cases};

const JSON: &str = "[server]\naccess_log = { to = \"stdout\", format = \"json\" }\n";

/// What a smuggler would like to be read.
const SMUGGLED: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// After this one the gateway closes.
const LAST: &[u8] = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// The statuses of all answers until the connection is closed; `None` if it is not.
async fn statuses(gateway: &Gateway, bytes: &[u8]) -> Option<Vec<u16>> {
    let answer = timeout(Duration::from_secs(5), raw(gateway.address(), bytes));
    let answer = String::from_utf8_lossy(&answer.await.ok()?).into_owned();
    let statuses = answer.split("HTTP/1.").skip(1);
    Some(statuses.map(|rest| rest[2..5].parse().unwrap()).collect())
}

/// What must come back for a case, and how often the application must have been asked.
fn expected(case: &Case) -> (Vec<u16>, usize) {
    match case.outcome {
        Outcome::Served(count) => (vec![200; count + 1], count + 1),
        Outcome::Answered(200) => (vec![200], 1),
        Outcome::Answered(status) => (vec![status], 0),
        Outcome::Refused(status, _) => (vec![status], 0),
    }
}

#[tokio::test]
async fn the_corpus_is_answered_by_the_letter() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    let mut wrong = Vec::new();
    let mut asked = 0;
    for case in cases() {
        let behind = match case.outcome {
            Outcome::Served(_) => LAST,
            Outcome::Answered(_) => b"",
            Outcome::Refused(..) => SMUGGLED,
        };
        let bytes = [&case.bytes, behind].concat();
        let (answers, asks) = expected(&case);
        let found = match case.outcome {
            // Not each of these closes the connection.
            Outcome::Answered(status) if status != 200 => {
                let mut connection = Connection::open(gateway.address()).await;
                connection.write(&bytes).await;
                Some(vec![connection.interim().await])
            }
            Outcome::Answered(_) | Outcome::Served(_) | Outcome::Refused(..) => {
                statuses(&gateway, &bytes).await
            }
        };
        let now_asked = responder.requests().len();
        if found.as_ref() != Some(&answers) || now_asked - asked != asks {
            let text = String::from_utf8_lossy(&case.bytes).into_owned();
            wrong.push((case.section, text, found, now_asked - asked));
        }
        asked = now_asked;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let smuggled = |request: &str| request.contains("smuggled");
    let requests = responder.requests();
    assert!(
        !requests
            .iter()
            .any(|request| smuggled(request.param("REQUEST_URI")))
    );
}

#[tokio::test]
async fn a_refusal_has_its_line_in_the_access_log() {
    let responder = ScriptedResponder::start([Script::answer("\n")]).await;
    let gateway = Gateway::start(&format!("{JSON}{}", responder.site(""))).await;
    let logged = [
        (
            "GET /one HTTP/1.1\r\nX : a\r\n\r\n",
            "/one",
            400,
            "BAD_FIELD_NAME",
        ),
        (
            "GET /two HTTP/4.0\r\n\r\n",
            "/two",
            505,
            "VERSION_NOT_SUPPORTED",
        ),
        (
            "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "/3",
            400,
            "BAD_CHUNK_SIZE",
        ),
        ("nonsense\r\n", "-", 400, "BAD_REQUEST_LINE"),
    ];
    for (request, uri, status, cause) in logged {
        raw(gateway.address(), request).await;
        let line = gateway.access.wait_for(|line| line.contains(cause)).await;
        let record: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(record["uri"], uri, "{line}");
        assert_eq!(record["status"], status, "{line}");
        assert_eq!(record["complete"], true, "{line}");
    }
}

#[tokio::test]
async fn a_slow_head_is_answered_and_logged() {
    let limits = "limits = { header = \"200ms\" }\n";
    let responder = ScriptedResponder::start([Script::answer("\n")]).await;
    let gateway = Gateway::start(&format!("{JSON}{limits}{}", responder.site(""))).await;
    // The second head began while the first was answered.
    let slow = b"GET /fast HTTP/1.1\r\nHost: a\r\n\r\nGET /slow HTTP/1.1\r\nHo";
    assert_eq!(statuses(&gateway, slow).await, Some(vec![200, 408]));
    let line = gateway
        .access
        .wait_for(|line| line.contains("HEAD_TIMEOUT"));
    assert!(line.await.contains("/slow"));
}

#[tokio::test]
async fn a_bad_head_waits_for_the_answers_before_it() {
    let gate = Gate::new();
    let slow = Script::held(&gate, "\nslow");
    let (responder, gateway) = Gateway::with_app([slow, Script::answer("\nfast")])
        .start()
        .await;
    let mut connection = Connection::open(gateway.address()).await;
    let good = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    let bad =
        "GET /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection
        .write(format!("{good}{bad}0\r\n\r\n{good}"))
        .await;
    responder
        .wait_until("the first", |seen| seen.requests.len() == 1)
        .await;
    gate.pass(1);
    for body in ["slow", "fast"] {
        assert_eq!(connection.response().await.text(), body);
    }
    let refused = connection.response().await;
    assert_eq!(
        (refused.status, refused.header("connection")),
        (400, Some("close"))
    );
    assert_eq!(connection.read_to_end().await, b"");
    assert_eq!(responder.requests().len(), 2);
}

#[tokio::test]
async fn a_bad_head_behind_a_large_answer_does_not_cut_it() {
    let large = "x".repeat(8 << 20);
    let (_responder, gateway) = Gateway::with_app([Script::answer(format!("\n{large}"))])
        .start()
        .await;
    let mut connection = Connection::open(gateway.address()).await;
    connection
        .write("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET  / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    let response = connection.response().await;
    assert!(response.whole && response.body == large.as_bytes());
    assert_eq!(connection.response().await.status, 400);
    assert_eq!(connection.read_to_end().await, b"");
}

#[tokio::test]
async fn after_the_last_answer_nothing_is_refused() {
    let (_responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    let bytes = [LAST, b"nonsense\r\n\r\n"].concat();
    assert_eq!(statuses(&gateway, &bytes).await, Some(vec![200]));
}

#[tokio::test]
async fn a_refusal_is_read_though_the_client_still_sends() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    for head in [
        "Content-Length: 4194304\r\nContent-Length: 4194304",
        "X : a",
    ] {
        let mut bytes = format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n").into_bytes();
        bytes.resize(bytes.len() + (4 << 20), b'x');
        assert_eq!(statuses(&gateway, &bytes).await, Some(vec![400]), "{head}");
    }
    assert_eq!(responder.requests(), []);
}

#[tokio::test]
async fn a_head_may_come_byte_by_byte() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\n")]).start().await;
    let mut connection = Connection::open(gateway.address()).await;
    let post = "\r\nPOST / HTTP/1.3\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\n\r\n";
    for byte in post.as_bytes() {
        connection.write([*byte]).await;
    }
    assert_eq!(connection.response().await.status, 200);
    assert_eq!(responder.requests()[0].stdin, b"abc");
}

#[tokio::test]
async fn uploads_and_what_follows_them_are_byte_exact() {
    let responder = ScriptedResponder::start([Script::answer("\n")]).await;
    let limits = "[server]\nlimits = { body = \"128MiB\" }\n";
    let gateway = Gateway::start(&format!("{limits}{}", responder.site(""))).await;
    let content = Content::mebibytes(64);
    let expected: Vec<u8> = content.pieces().flatten().copied().collect();
    let upload = Request::post("/").content(content);
    let mut connection = Connection::open(gateway.address()).await;
    for request in [upload.clone(), upload.chunked(), Request::get("/next")] {
        assert_eq!(connection.send(&request).await.status, 200);
    }
    let requests = responder.requests();
    assert!(requests[0].stdin == expected, "announced");
    assert!(requests[1].stdin == expected, "chunked");
    assert_eq!(requests[2].param("REQUEST_URI"), "/next");
}

#[tokio::test]
async fn many_pipelined_requests_are_answered_in_order() {
    let rule = "{ match = '^/(.*)$', redirect = { to = \"/to/$1\" } }";
    let gateway = Gateway::start(&format!("[[site]]\nrule = [{rule}]\n")).await;
    let mut connection = Connection::open(gateway.address()).await;
    let request = |n| format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n");
    let requests: String = (0..500).map(request).collect();
    connection.write(requests).await;
    for n in 0..500 {
        let response = connection.response().await;
        assert!(
            response
                .header("location")
                .unwrap()
                .ends_with(&format!("/to/{n}")),
            "{response:?}"
        );
    }
}

/// RFC 3986 §3.3, §3.4: whether it may stand in a path and in a query as it is; what is no URI and passes all the same is
/// what browsers and Apache let pass.
const BYTES_OF_TARGETS: [(&str, bool, bool); 17] = [
    ("\"", true, false),
    ("<", false, false),
    (">", false, false),
    ("`", false, true),
    ("{", true, true),
    ("}", true, true),
    ("|", true, true),
    ("\\", true, true),
    ("^", true, true),
    ("[", true, true),
    ("]", true, true),
    ("'", true, true),
    ("~", true, true),
    ("\u{e9}", true, true),
    ("\u{20ac}", true, true),
    ("\u{7f}", false, false),
    (" ", false, false),
];

/// docs/cgi.md names those that Apache takes and fcgate does not.
#[tokio::test]
async fn a_target_has_the_bytes_that_the_documentation_says() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\nok")]).start().await;
    for (byte, in_path, in_query) in BYTES_OF_TARGETS {
        for (target, passes) in [
            (format!("/a{byte}b"), in_path),
            (format!("/a?b{byte}c"), in_query),
        ] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            let expected = if passes { 200 } else { 400 };
            let found = statuses(&gateway, request.as_bytes()).await;
            assert_eq!(found, Some(vec![expected]), "{target:?}");
            let mut frames = Frames::open(gateway.address()).await;
            let head = [
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "a"),
                (":path", target.as_str()),
            ];
            frames.head(1, &head, true).await;
            let outcome = frames.outcome(1).await;
            let is_expected = match outcome {
                h2_frames::Outcome::Answered { status, .. } => passes && status == 200,
                h2_frames::Outcome::Reset(error) => !passes && error == PROTOCOL_ERROR,
                h2_frames::Outcome::Gone(_) => false,
            };
            assert!(is_expected, "{target:?} over HTTP/2: {outcome:?}");
        }
    }
    // h2 drops a fragment before anybody sees it.
    let mut frames = Frames::open(gateway.address()).await;
    let path = (":path", "/fragment#b");
    let head = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        path,
    ];
    frames.head(1, &head, true).await;
    let outcome = frames.outcome(1).await;
    assert!(matches!(
        outcome,
        h2_frames::Outcome::Answered { status: 200, .. }
    ));
    let last = responder.requests().pop().unwrap();
    assert_eq!(last.param("REQUEST_URI"), "/fragment");
    // HTTP/1 has none, and beyond ASCII only what is UTF-8; no text of Rust has this.
    for target in [b"/a#b".as_slice(), b"/a\xe9b", b"/a?b\xffc"] {
        let request = [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        assert_eq!(statuses(&gateway, &request).await, Some(vec![400]));
    }
}

/// RFC 9110 §9.3.8, §9.3.6: no rule and no application sees them, whatever they name; a method that nobody knows is the
/// application's.
#[tokio::test]
async fn trace_and_connect_are_answered_by_the_gateway() {
    let (responder, gateway) = Gateway::with_app([Script::answer("\nok")]).start().await;
    for (method, target, expected) in [
        ("TRACE", "/", 501),
        ("TRACE", "/a?b", 501),
        ("TRACE", "*", 501),
        ("CONNECT", "a:80", 501),
        ("FOO", "/", 200),
        ("trace", "/", 200),
    ] {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let found = statuses(&gateway, request.as_bytes()).await;
        assert_eq!(found, Some(vec![expected]), "{method} {target}");
    }
    assert_eq!(responder.requests().len(), 2);
}
