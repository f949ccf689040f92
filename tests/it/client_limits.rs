//! What one client may do: requests a second, requests at once, connections, requests on one.

use std::net::TcpStream;
use std::path::PathBuf;

use crate::harness::gateway::check;
use crate::harness::{
    Address, Connection, Gate, Gateway, PATIENCE, Request, Script, ScriptedResponder, eventually,
};

fn responding(limits: &str) -> String {
    format!("[[site]]\nlimits = {{ {limits} }}\nrule = [{{ respond = {{ body = \"ok\" }} }}]\n")
}

#[tokio::test]
async fn more_than_the_rate_is_refused_and_told_when_to_come_again() {
    let gateway = Gateway::start(&responding("requests_per_second = 1, burst = 3")).await;
    for _ in 0..4 {
        assert_eq!(gateway.get("/").await.status, 200);
    }
    let refused = gateway.get("/").await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(
        refused.header("ratelimit-policy"),
        Some("\"client\";q=1;w=1")
    );
    assert_eq!(refused.header("ratelimit"), Some("\"client\";r=0;t=1"));
}

#[tokio::test]
async fn more_at_once_is_refused_until_one_has_ended() {
    let gate = Gate::new();
    let slow = Script::held(&gate, "\nslow");
    let responder = ScriptedResponder::start([slow]).await;
    let config = responder.site("").replace(
        "[[site]]",
        "[[site]]
limits = { requests_at_once = 1 }",
    );
    let gateway = Gateway::start(&config).await;
    let mut first = Connection::open(gateway.address()).await;
    first.start(&Request::get("/")).await;
    responder
        .wait_until("the request", |seen| !seen.requests.is_empty())
        .await;
    let refused = gateway.get("/").await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (429, Some("1"))
    );
    gate.pass(2);
    assert_eq!(first.response().await.text(), "slow");
    assert_eq!(gateway.get("/").await.text(), "slow");
}

#[tokio::test]
async fn a_client_holds_so_many_connections() {
    let config = format!(
        "[server]\nlimits = {{ connections_per_client = 2 }}\n{}",
        responding("body = \"1MiB\"")
    );
    let gateway = Gateway::start(&config).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut connection = Connection::open(gateway.address()).await;
        assert_eq!(connection.send(&Request::get("/")).await.status, 200);
        held.push(connection);
    }
    assert_eq!(gateway.get("/").await.status, 0, "closed without an answer");
    held.pop();
    let Address::Tcp(address) = gateway.address().clone() else {
        panic!("not a TCP address")
    };
    eventually("a place is free", PATIENCE, async || {
        use std::io::{Read, Write};
        let mut stream = TcpStream::connect(address).unwrap();
        let _ = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200")
    })
    .await;
}

#[tokio::test]
async fn a_connection_serves_so_many_requests() {
    let config = format!(
        "[server]\nlimits = {{ keep_alive_requests = 3 }}\n{}",
        responding("body = \"1MiB\"")
    );
    let gateway = Gateway::start(&config).await;
    let mut connection = Connection::open(gateway.address()).await;
    for last in [false, false, true] {
        let response = connection.send(&Request::get("/")).await;
        let closes = response.header("connection") == Some("close");
        assert_eq!((response.status, closes), (200, last));
    }
    assert_eq!(connection.read_to_end().await, b"");
}

#[tokio::test]
async fn a_rule_has_a_limit_on_bodies_of_its_own() {
    let responder = ScriptedResponder::start([Script::answer("\nread")]).await;
    let rule = |prefix: &str, body: &str| {
        format!(
            "[[site.rule]]\nprefix = \"{prefix}\"\nfastcgi = {{ upstream = \"app\", script = \"/srv/app/index.php\", missing = \"pass\", limits = {{ body = \"{body}\" }} }}\n"
        )
    };
    let site = responder.site("").replace(
        "[[site.rule]]",
        &format!(
            "limits = {{ body = \"2KiB\" }}\n{}{}[[site.rule]]",
            rule("/small/", "1KiB"),
            rule("/large/", "4KiB")
        ),
    );
    let gateway = Gateway::start(&site).await;
    for (target, length, status) in [
        ("/small/", 1024, 200),
        ("/small/", 1025, 413),
        ("/large/", 4096, 200),
        ("/large/", 4097, 413),
        ("/", 2048, 200),
        ("/", 2049, 413),
    ] {
        let request = Request::post(target).body(vec![b'x'; length]);
        let response = gateway.send(&request).await;
        assert_eq!(response.status, status, "{target} {length}");
        let chunked = gateway.send(&request.chunked()).await;
        assert_eq!(chunked.status, status, "{target} {length} chunked");
    }
}

/// What the action says, else the last rule on the way, else the site; `check` names both places where a rule has both.
#[tokio::test]
async fn the_narrowest_limit_on_bodies_counts() {
    let responder = ScriptedResponder::start([Script::answer("\nread")]).await;
    let limits = |bytes: u64| match bytes {
        0 => String::new(),
        bytes => format!("limits = {{ body = \"{bytes}B\" }}"),
    };
    // On the way, of the rule, of its action; and what counts of them.
    let rows = [
        (0, 1000, 3000, 3000),
        (0, 3000, 1000, 1000),
        (1000, 0, 3000, 3000),
        (3000, 2500, 1000, 1000),
        (1000, 3000, 0, 3000),
        (3000, 0, 0, 3000),
        (0, 0, 0, 2000),
    ];
    let rule = |(number, (way, rule, action, _)): (usize, &(u64, u64, u64, u64))| {
        let (way, rule) = (limits(*way), limits(*rule));
        let action = Some(limits(*action)).filter(|action| !action.is_empty());
        let action = action.map_or_else(String::new, |action| format!(", {action}"));
        format!(
            "[[site.rule]]\nprefix = \"/{number}\"\nexpires = \"1d\"\n{way}\n\
             [[site.rule]]\nprefix = \"/{number}\"\n{rule}\n\
             fastcgi = {{ upstream = \"app\", script = \"/srv/app/index.php\", missing = \"pass\"{action} }}\n"
        )
    };
    let rules: String = rows.iter().enumerate().map(rule).collect();
    let rules = format!("{}\n{rules}[[site.rule]]", limits(2000));
    let site = responder.site("").replace("[[site.rule]]", &rules);
    let gateway = Gateway::start(&site).await;
    for (number, (_, _, _, most)) in rows.into_iter().enumerate() {
        for (length, status) in [(most, 200), (most + 1, 413)] {
            let length = usize::try_from(length).unwrap();
            let request = Request::post(&format!("/{number}")).body(vec![b'x'; length]);
            let response = gateway.send(&request).await;
            assert_eq!(response.status, status, "row {number}, {length} bytes");
        }
    }
    assert_both_places_are_told(&gateway.directory().join("fcgate.toml"));
}

/// Of the rows in which the rule and its action say the same.
fn assert_both_places_are_told(file: &PathBuf) {
    let checked = check(file);
    let told = String::from_utf8_lossy(&checked.stderr);
    let warnings: Vec<_> = told
        .lines()
        .filter(|line| line.starts_with("warning: "))
        .collect();
    assert_eq!(warnings.len(), 3, "{told}");
    let config = std::fs::read_to_string(file).unwrap();
    for (warning, number) in warnings.iter().zip([0, 1, 3]) {
        let action = config.lines().enumerate();
        let mut action = action.filter(|(_, line)| line.starts_with("fastcgi = "));
        let (line, _) = action.nth(number).unwrap();
        let place = format!("fcgate.toml:{}", line + 1);
        assert!(warning.contains(&place), "{place}: {warning}");
        let wider = format!("fcgate.toml:{line}:");
        assert!(told.contains(&wider), "{wider}: {told}");
    }
}
