//! Identifiers of requests and traces: those of trusted proxies are kept, all others are made or left to the application,
//! and PHP, the logs and the error pages have the same ones.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::harness::php_fpm::Setup;
use crate::harness::{Gateway, GatewaySetup, Request, http2};

const DUMP: &str = "<?php header('Content-Type: application/json'); error_log('a note');
$names = ['REQUEST_ID', 'UNIQUE_ID', 'HTTP_X_REQUEST_ID', 'HTTP_TRACEPARENT', 'HTTP_TRACESTATE'];
$seen = [];
foreach ($names as $name) { $seen[$name] = $_SERVER[$name] ?? null; }
echo json_encode($seen);";

const TRUSTED: &str = "trusted_proxies = [\"127.0.0.1\"]";

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A gateway with a JSON log and these lines in `[server]`, in front of a script that says which identifiers it got.
fn gateway(server: &str) -> GatewaySetup<Setup> {
    Gateway::with_php(2)
        .server("access_log = { format = \"json\" }")
        .server(server)
        .file("dump.php", DUMP)
}

fn request(fields: &[(&str, &str)]) -> Request {
    let request = Request::get("/dump.php");
    fields
        .iter()
        .fold(request, |request, (name, value)| request.field(name, value))
}

/// Sends the request in both versions of HTTP. Returns what PHP saw, and the line of the access log.
async fn observe(gateway: &Gateway, fields: &[(&str, &str)]) -> [(Value, Value); 2] {
    let request = request(fields);
    let count = gateway.access.count();
    let one = gateway.send(&request).await;
    assert_eq!(one.status, 200, "{fields:?}: {}", one.text());
    let first = gateway.access.wait_after(count, |_| true).await;
    let count = gateway.access.count();
    let two = http2::send(gateway.address(), &request).await;
    assert_eq!(two.status, 200, "{fields:?}: {}", two.text());
    let second = gateway.access.wait_after(count, |_| true).await;
    let log = |line: &str| serde_json::from_str(line).unwrap();
    [(one.json(), log(&first)), (two.json(), log(&second))]
}

fn is_made(id: &Value) -> bool {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    id.as_str()
        .is_some_and(|id| id.len() == 32 && id.bytes().all(digit))
}

/// Asserts that PHP and the log have one identifier of the request, made by the gateway, and returns it.
#[track_caller]
fn made_id(seen: &Value, line: &Value) -> String {
    let id = &seen["REQUEST_ID"];
    assert!(is_made(id), "{seen}");
    for name in ["UNIQUE_ID", "HTTP_X_REQUEST_ID"] {
        assert_eq!(&seen[name], id, "{name}");
    }
    assert_eq!(&line["request_id"], id);
    id.as_str().unwrap().to_owned()
}

type Fields = &'static [(&'static str, &'static str)];

/// Requests whose identifiers are not kept, even from a trusted proxy.
const INVALID: [Fields; 7] = [
    &[],
    &[("X-Request-ID", "two words")],
    &[("X-Request-ID", "a,b"), ("tracestate", "a=1")],
    &[("X-Request-ID", "<script>")],
    &[("X-Request-ID", "one"), ("X-Request-ID", "two")],
    &[("traceparent", "00-0-0-0"), ("tracestate", "a=1")],
    &[("traceparent", TRACE), ("traceparent", TRACE)],
];

const VALID: Fields = &[
    ("X-Request-ID", "from-the-proxy"),
    ("traceparent", TRACE),
    ("tracestate", "rojo=1"),
    ("tracestate", "congo=2"),
];

#[tokio::test]
async fn identifiers_of_trusted_proxies_are_kept() {
    let (_php, gateway) = gateway(TRUSTED).start().await;
    for (seen, line) in observe(&gateway, VALID).await {
        let expected = json!({
            "REQUEST_ID": "from-the-proxy", "UNIQUE_ID": "from-the-proxy", "HTTP_X_REQUEST_ID": "from-the-proxy",
            "HTTP_TRACEPARENT": TRACE, "HTTP_TRACESTATE": "rojo=1, congo=2",
        });
        assert_eq!(seen, expected);
        assert_eq!(line["request_id"], "from-the-proxy");
        assert_eq!(line["trace_id"], TRACE_ID);
    }
    // A later version is passed on whole.
    let later = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
    for (seen, line) in observe(&gateway, &[("traceparent", later)]).await {
        made_id(&seen, &line);
        assert_eq!(seen["HTTP_TRACEPARENT"], later);
        assert_eq!(line["trace_id"], TRACE_ID);
    }
}

#[tokio::test]
async fn nobody_else_chooses_an_identifier() {
    for (server, rows) in [
        (TRUSTED, &INVALID[..]),
        ("", &[VALID]),
        ("trusted_proxies = [\"10.0.0.0/8\", \"unix\"]", &[VALID]),
        (
            "trusted_proxies = [\"127.0.0.1\"]\ntrusted_fields = [\"x-forwarded-for\"]",
            &[VALID],
        ),
    ] {
        let (_php, gateway) = gateway(server).start().await;
        let mut ids = HashSet::new();
        for fields in rows {
            for (seen, line) in observe(&gateway, fields).await {
                let id = made_id(&seen, &line);
                assert!(ids.insert(id), "{fields:?}: a repeated identifier");
                assert_eq!(seen["HTTP_TRACEPARENT"], Value::Null, "{fields:?}");
                assert_eq!(seen["HTTP_TRACESTATE"], Value::Null, "{fields:?}");
                assert_eq!(line.get("trace_id"), None, "{fields:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_trace_begins_at_the_gateway_where_that_is_wanted() {
    for (word, flags) in [("sampled", "01"), ("unsampled", "00")] {
        let server = format!("{TRUSTED}\nbegin_trace = \"{word}\"");
        let (_php, gateway) = gateway(&server).start().await;
        for fields in INVALID {
            for (seen, line) in observe(&gateway, fields).await {
                let id = made_id(&seen, &line);
                let expected = format!("00-{id}-{}-{flags}", &id[16..]);
                assert_eq!(seen["HTTP_TRACEPARENT"], expected, "{fields:?}");
                assert_eq!(seen["HTTP_TRACESTATE"], Value::Null, "{fields:?}");
                assert_eq!(line["trace_id"], id, "{fields:?}");
            }
        }
        for (seen, line) in observe(&gateway, VALID).await {
            assert_eq!(seen["HTTP_TRACEPARENT"], TRACE);
            assert_eq!(line["trace_id"], TRACE_ID);
        }
        // With the identifier of a proxy, a trace of the gateway's own.
        for (seen, line) in observe(&gateway, &VALID[..1]).await {
            let trace = line["trace_id"].as_str().unwrap();
            assert!(is_made(&line["trace_id"]), "{line}");
            assert_eq!(line["request_id"], "from-the-proxy");
            assert_eq!(&seen["HTTP_TRACEPARENT"].as_str().unwrap()[3..35], trace);
        }
    }
}

#[tokio::test]
async fn untrusted_identifiers_reach_php_alone_where_they_are_kept() {
    let server = "untrusted_fields = \"keep\"\nbegin_trace = \"sampled\"";
    let (_php, gateway) = gateway(server).start().await;
    for (seen, line) in observe(&gateway, VALID).await {
        assert!(is_made(&seen["REQUEST_ID"]), "{seen}");
        assert_eq!(line["request_id"], seen["REQUEST_ID"]);
        assert_eq!(seen["HTTP_X_REQUEST_ID"], "from-the-proxy");
        assert_eq!(seen["HTTP_TRACEPARENT"], TRACE);
        assert_eq!(line.get("trace_id"), None);
    }
}

#[tokio::test]
async fn rules_may_set_the_fields_themselves() {
    let rule = "[[site.rule]]\nresponse_headers = { set = { X-Request-ID = \"$request_id\" } }
request_headers = { set = { traceparent = \"none\", X-Request-ID = \"$request_id.1\" } }";
    let (_php, gateway) = gateway("begin_trace = \"sampled\"")
        .site(rule)
        .start()
        .await;
    let answer = gateway.send(&request(&[])).await;
    let seen = answer.json();
    let id = seen["REQUEST_ID"].as_str().unwrap();
    assert_eq!(answer.header("x-request-id"), Some(id));
    assert_eq!(seen["HTTP_X_REQUEST_ID"], format!("{id}.1"));
    assert_eq!(seen["HTTP_TRACEPARENT"], "none");
}

#[tokio::test]
async fn every_log_and_the_error_page_have_the_identifiers() {
    let (_php, gateway) = gateway(TRUSTED)
        .server("log = \"debug\"")
        .site("[[site.rule]]\npath = \"/gone\"\ndeny = true")
        .start()
        .await;
    gateway.send(&request(VALID)).await;
    let both = format!(" request_id=from-the-proxy trace_id={TRACE_ID} ");
    let of_php = gateway.log.wait_for(|line| line.contains("a note")).await;
    assert!(of_php.contains(&both), "{of_php}");
    let fields = VALID.iter().filter(|(name, _)| *name != "tracestate");
    let denied = fields.fold(Request::get("/gone"), |request, (name, value)| {
        request.field(name, value)
    });
    let page = gateway
        .send(&denied.field("Accept", "application/json"))
        .await;
    assert_eq!(page.status, 403);
    assert_eq!(page.json()["request_id"], "from-the-proxy");
    let of_failure = gateway
        .log
        .wait_for(|line| line.contains("/gone") && line.contains("cause="))
        .await;
    assert!(of_failure.contains(&both), "{of_failure}");
}

#[tokio::test]
async fn a_format_of_ones_own_has_both() {
    let format = "access_log = { format = '%L %{UNIQUE_ID}e %{trace_id}x %{traceparent}i %{X-Request-ID}i' }";
    let (_php, gateway) = Gateway::with_php(1)
        .server(format)
        .server(TRUSTED)
        .file("dump.php", DUMP)
        .start()
        .await;
    gateway.send(&request(VALID)).await;
    let line = gateway.access.wait_for(|_| true).await;
    let id = "from-the-proxy";
    assert_eq!(line, format!("{id} {id} {TRACE_ID} {TRACE} {id}"));
    let count = gateway.access.count();
    let seen = gateway.send(&request(&INVALID[1..2].concat())).await.json();
    let line = gateway.access.wait_after(count, |_| true).await;
    let id = seen["REQUEST_ID"].as_str().unwrap();
    assert_eq!(line, format!("{id} {id} - - -"));
}

#[tokio::test]
async fn explain_tells_them() {
    let server = format!("{TRUSTED}\nbegin_trace = \"sampled\"");
    let (_php, gateway) = gateway(&server).start().await;
    let explained = |from: &str| {
        let mut arguments = vec!["explain", "--json", "--from", from];
        let fields: Vec<_> = VALID
            .iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        for field in &fields {
            arguments.extend(["-H", field]);
        }
        arguments.push("/dump.php");
        let output = gateway.command(&arguments);
        let story: Value = serde_json::from_slice(&output.stdout).unwrap();
        story["outcome"]["params"].clone()
    };
    let kept = explained("127.0.0.1");
    for name in ["REQUEST_ID", "UNIQUE_ID", "HTTP_X_REQUEST_ID"] {
        assert_eq!(kept[name], "from-the-proxy", "{name}");
    }
    assert_eq!(kept["HTTP_TRACEPARENT"], TRACE);
    assert_eq!(kept["HTTP_TRACESTATE"], "rojo=1, congo=2");
    let made = explained("192.0.2.1");
    let id = made["REQUEST_ID"].as_str().unwrap();
    assert!(is_made(&made["HTTP_X_REQUEST_ID"]), "{made}");
    let expected = format!("00-{id}-{}-01", &id[16..]);
    assert_eq!(made["HTTP_TRACEPARENT"], expected);
    assert_eq!(made.get("HTTP_TRACESTATE"), None);
}
