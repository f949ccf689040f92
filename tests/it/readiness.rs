//! Readiness: of the gateway while some of its upstreams are dead, of one upstream, and of one site.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::admin::metric;
use crate::harness::php_fpm::free_port;
use crate::harness::{Gateway, PhpFpm, http1};

/// Five sites, of which the last has its files alone, and two upstreams for one of them. `php` is alive.
fn several(php: &PhpFpm) -> String {
    format!(
        "[upstream.php]\nservers = \"{alive}\"\n\
         [upstream.dead]\nservers = \"{dead}\"\n\
         [upstream.gone]\nservers = [\"unix:/nowhere/php.sock\", \"unix:/nowhere/other.sock\"]\n\
         [[site]]\nhosts = [\"alive.example\"]\nroot = \"{root}\"\nphp = \"php\"\n\
         [[site]]\nhosts = [\"dead.example\"]\nroot = \"{root}\"\nphp = \"dead\"\n\
         [[site]]\nhosts = [\"both.example\"]\nroot = \"{root}\"\nphp = \"php\"\n\
         [[site.mount]]\npath = \"/reports/\"\nroot = \"{root}\"\nphp = \"dead\"\n\
         [[site]]\nhosts = [\"*.gone.example\"]\nroot = \"{root}\"\nphp = \"gone\"\n\
         [[site]]\nhosts = [\"old.example\"]\nrule = [{{ redirect = {{ to = \"https://alive.example$path\" }} }}]\n",
        alive = php.address(),
        dead = free_port(),
        root = php.root().display(),
    )
}

#[tokio::test]
async fn a_dead_upstream_of_several_is_a_warning() {
    let php = PhpFpm::start(1).await;
    let gateway = Gateway::with(&several(&php)).admin().start().await;
    let answer = gateway.ask("/ready").await;
    let text = answer.text();
    assert_eq!(answer.status, 200, "{text}");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(lines[0], "ready");
    assert!(lines[1].starts_with("warning: upstream dead: "), "{text}");
    assert!(
        lines[2].starts_with("warning: upstream gone: ") && lines[2].contains("other.sock"),
        "{text}"
    );
    assert!(gateway.command(&["health"]).status.success());
}

#[tokio::test]
async fn one_upstream_and_one_site_can_be_asked_for() {
    let php = PhpFpm::start(1).await;
    let gateway = Gateway::with(&several(&php)).admin().start().await;
    for (query, status, words) in [
        ("upstream=php", 200, "ready\n"),
        ("upstream=dead", 503, "not ready\nupstream dead: 127.0.0.1:"),
        ("upstream=gone", 503, "unix:/nowhere/php.sock: "),
        (
            "upstream=x",
            404,
            "unknown upstream `x`; known: dead, gone, php\n",
        ),
        ("site=alive.example", 200, "ready\n"),
        ("site=ALIVE.example:443", 200, "ready\n"),
        ("site=dead.example", 503, "not ready\nupstream dead: "),
        (
            "site=both.example",
            200,
            "ready\nwarning: upstream dead: 127.0.0.1:",
        ),
        ("site=www.gone.example", 503, "upstream gone: "),
        ("site=%2A.gone.example", 503, "upstream gone: "),
        ("site=old.example", 200, "ready\n"),
        (
            "site=other.example",
            404,
            "known: *.gone.example, alive.example, both.example, dead.example, old.example\n",
        ),
        ("site=a/b", 404, "unknown site `a/b`"),
        ("host=alive.example", 400, "/ready?site=HOST"),
    ] {
        let answer = gateway.ask(&format!("/ready?{query}")).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        assert!(answer.text().contains(words), "{query}: {}", answer.text());
    }
    for (arguments, code, words) in [
        (["--upstream", "php"], 0, "ready"),
        (["--upstream", "gone"], 1, "php.sock"),
        (["--upstream", "a b&c"], 1, "unknown upstream `a b&c`"),
        (["--site", "alive.example"], 0, "ready"),
        (["--site", "dead.example"], 1, "upstream dead"),
        (["--site", "other.example"], 1, "known: "),
    ] {
        let health = gateway.command(&["health", arguments[0], arguments[1]]);
        let told = [health.stdout, health.stderr].concat();
        let told = String::from_utf8_lossy(&told).into_owned();
        assert_eq!(health.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(told.contains(words), "{arguments:?}: {told}");
    }
}

#[tokio::test]
async fn the_address_of_a_site_is_its_upstreams_name() {
    let php = PhpFpm::start(1).await;
    let gateway = Gateway::with(&php.site()).admin().start().await;
    let name = php.address().to_string();
    let health = gateway.command(&["health", "--upstream", &name]);
    assert!(health.status.success(), "{health:?}");
    // A site without hosts serves all of them.
    let answer = gateway.ask("/ready?site=any.example").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(gateway.ask("/ready?site=default").await.status, 200);
}

#[tokio::test]
async fn without_any_site_to_serve_it_is_not_ready() {
    let dead = format!(
        "[[site]]\nhosts = [\"a.example\"]\nroot = \"/tmp\"\nphp = \"{}\"\n\
         [[site]]\nhosts = [\"b.example\"]\nroot = \"/tmp\"\nphp = \"unix:/nowhere/php.sock\"\n",
        free_port()
    );
    let redirect = "[[site]]\nhosts = [\"c.example\"]\nrule = [{ redirect = { to = \"https://a.example/\" } }]\n";
    let files = "[[site]]\nhosts = [\"d.example\"]\nroot = \"/tmp\"\n";
    for (more, expected) in [("", 503), (redirect, 503), (files, 200)] {
        let gateway = Gateway::with(&format!("{dead}{more}"))
            .admin()
            .start()
            .await;
        let answer = gateway.ask("/ready").await;
        assert_eq!(answer.status, expected, "{more}\n{}", answer.text());
        assert!(
            answer.text().contains("/nowhere/php.sock"),
            "{}",
            answer.text()
        );
        let health = gateway.command(&["health"]);
        assert_eq!(health.status.success(), expected == 200, "{health:?}");
    }
}

#[tokio::test]
async fn upstreams_are_seen_in_status_and_metrics() {
    let php = PhpFpm::start(1).await;
    let gateway = Gateway::with(&several(&php)).admin().start().await;
    let status = gateway.ask("/status").await.json();
    assert_eq!(status["ready"], true);
    assert_eq!(
        status["not_ready_because"].as_array().map(Vec::len),
        Some(0)
    );
    assert_eq!(status["warnings"].as_array().map(Vec::len), Some(2));
    let named = |list: &str, name: &str| {
        let all = status[list].as_array().unwrap();
        all.iter().find(|it| it["name"] == name).unwrap().clone()
    };
    for (upstream, ready) in [("php", true), ("dead", false), ("gone", false)] {
        let told = named("upstreams", upstream);
        assert_eq!(told["ready"], ready, "{told}");
        assert_eq!(told["not_ready_because"].is_null(), ready, "{told}");
    }
    for (site, ready) in [
        ("alive.example", true),
        ("dead.example", false),
        ("both.example", true),
        ("old.example", true),
    ] {
        assert_eq!(named("sites", site)["ready"], ready, "{site}");
    }
    assert_eq!(
        named("sites", "both.example")["needs"],
        serde_json::json!(["dead", "php"])
    );
    let scrape = gateway.ask("/metrics").await.text();
    assert_eq!(metric(&scrape, &["fcgate_ready"]), 1.0);
    for (upstream, ready) in [("php", 1.0), ("dead", 0.0), ("gone", 0.0)] {
        let label = format!("upstream=\"{upstream}\"");
        let value = metric(&scrape, &["fcgate_upstream_ready", &label]);
        assert_eq!(value, ready, "{upstream}");
    }
}

/// All probes within a second, with whatever they ask for, are one connection to PHP.
#[tokio::test]
async fn many_probes_are_one_connect_a_second() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    let accepting = tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let config = format!(
        "[upstream.php]\nservers = \"{address}\"\n[[site]]\nhosts = [\"a.example\"]\nroot = \"/tmp\"\nphp = \"php\"\n"
    );
    let gateway = Gateway::with(&config).admin().start().await;
    let begun = Instant::now();
    let mut probes = JoinSet::new();
    for _ in 0..6 {
        for target in [
            "/ready",
            "/ready?upstream=php",
            "/ready?site=a.example",
            "/metrics",
            "/status",
        ] {
            let admin = gateway.admin().clone();
            let request = crate::harness::Request::get(target);
            probes.spawn(async move { http1::send(&admin, &request).await.status });
        }
    }
    for status in probes.join_all().await {
        assert_eq!(status, 200);
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    // The next one shows that all before it were accepted.
    tokio::net::TcpStream::connect(address).await.unwrap();
    crate::harness::eventually("the last connection", Duration::from_secs(60), async || {
        accepted.load(Ordering::Relaxed) >= 2
    })
    .await;
    let connects = accepted.load(Ordering::Relaxed) - 1;
    assert!(
        (1..=seconds + 1).contains(&connects),
        "{connects} in {seconds} s"
    );
    accepting.abort();
}
