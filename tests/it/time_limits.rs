//! A limit of time is told with its name, its value, and the line that set it.

use crate::harness::{Gateway, Script, ScriptedResponder};

/// What one rule and one upstream say, for an application that never answers.
fn config(responder: &ScriptedResponder, upstream: &str, rule: &str) -> String {
    let site = responder.site(upstream);
    site.replace("missing = \"pass\"", &format!("missing = \"pass\"{rule}"))
}

async fn silent() -> ScriptedResponder {
    ScriptedResponder::start([Script::new().read_request().read_to_end()]).await
}

#[tokio::test]
async fn a_gateway_timeout_names_the_line_of_the_upstream() {
    let responder = silent().await;
    let text = config(&responder, "timeouts = { first_byte = \"150ms\" }", "");
    let gateway = Gateway::start(&text).await;
    let response = gateway.get("/").await;
    assert_eq!(response.status, 504);
    assert!(response.text().contains("TIMEOUT_FIRST_BYTE"));
    let line = gateway
        .log
        .wait_for(|line| line.contains("TIMEOUT_FIRST_BYTE"))
        .await;
    assert!(
        line.contains("timeouts.first_byte = \"150ms\"") && line.contains("fcgate.toml:"),
        "{line}"
    );
    // The connection is closed, so that the application notices.
    responder
        .wait_until("the close", |seen| seen.open == 0)
        .await;
}

#[tokio::test]
async fn a_rule_has_time_limits_of_its_own() {
    let responder = silent().await;
    let text = config(
        &responder,
        "timeouts = { first_byte = \"60s\" }",
        ", timeouts = { first_byte = \"120ms\" }",
    );
    let gateway = Gateway::start(&text).await;
    assert_eq!(gateway.get("/").await.status, 504);
    gateway
        .log
        .wait_for(|line| line.contains("timeouts.first_byte = \"120ms\""))
        .await;
}

/// What the action says counts before the rule's own `timeouts`, and those of rules on the way.
#[tokio::test]
async fn the_narrowest_time_limit_counts() {
    let responder = silent().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("index.php");
    std::fs::write(&file, "").unwrap();
    let file = file.display();
    let long = "timeouts = { first_byte = \"60s\" }";
    let script = "script = \"/srv/app/index.php\", missing = \"pass\"";
    let rules = format!(
        "[[site.rule]]\nprefix = \"/way\"\n{long}\n\
         [[site.rule]]\nprefix = \"/way\"\n\
         fastcgi = {{ upstream = \"app\", {script}, timeouts = {{ first_byte = \"110ms\" }} }}\n\
         [[site.rule]]\nprefix = \"/own\"\n{long}\n\
         fastcgi = {{ upstream = \"app\", {script}, timeouts = {{ first_byte = \"120ms\" }} }}\n\
         [[site.rule]]\nproxy_pass = \"/target\"\n{long}\n\
         to = \"fcgi://app{file} timeout=1\"\n[[site.rule]]\n"
    );
    let config = responder.site(long).replace("[[site.rule]]\n", &rules);
    let gateway = Gateway::start(&config).await;
    for (target, limit) in [("/way", "110ms"), ("/own", "120ms"), ("/target", "1s")] {
        assert_eq!(gateway.get(target).await.status, 504, "{target}");
        let limit = format!("timeouts.first_byte = \"{limit}\" (");
        gateway.log.wait_for(|line| line.contains(&limit)).await;
    }
}

/// `timeouts` as what a rule changes, whatever answers; and the access log of a request that failed says where the time
/// went.
#[tokio::test]
async fn a_rule_that_answers_nothing_has_limits_for_those_that_do() {
    let responder = silent().await;
    let config = format!(
        "[server]\naccess_log = {{ format = \"json\" }}\n{}",
        responder.site("timeouts = { first_byte = \"60s\" }"),
    );
    let config = config.replace(
        "[[site.rule]]\n",
        "[[site.rule]]\nprefix = \"/slow\"\ntimeouts = { first_byte = \"110ms\" }\n[[site.rule]]\n",
    );
    let gateway = Gateway::start(&config).await;
    assert_eq!(gateway.get("/slow/a").await.status, 504);
    gateway
        .log
        .wait_for(|line| {
            line.contains("timeouts.first_byte = \"110ms\" (") && line.contains("fcgate.toml:")
        })
        .await;
    let line = gateway
        .access
        .wait_for(|line| line.contains("/slow/a"))
        .await;
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["cause"], "TIMEOUT_FIRST_BYTE");
    for key in ["upstream", "queue_ms", "connect_ms"] {
        assert!(!line[key].is_null(), "{key}: {line}");
    }
}

#[tokio::test]
async fn a_wait_in_vain_names_the_limit_and_when_to_come_again() {
    let responder = silent().await;
    let text = config(
        &responder,
        "capacity = 1\ntimeouts = { queue = \"200ms\", first_byte = \"5s\" }",
        "",
    );
    let gateway = Gateway::start(&text).await;
    let (_held, refused) = tokio::join!(
        tokio::time::timeout(std::time::Duration::from_secs(3), gateway.get("/first")),
        async {
            responder
                .wait_until("the first", |seen| !seen.requests.is_empty())
                .await;
            gateway.get("/second").await
        }
    );
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("QUEUE_TIMEOUT"));
    assert!(refused.header("retry-after").is_some());
    gateway
        .log
        .wait_for(|line| line.contains("timeouts.queue = \"200ms\""))
        .await;
}
