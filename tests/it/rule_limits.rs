//! Limits of requests in rules: what they are counted by, once a request and rule, and what a reload keeps of the counts.
//!
//! An allowance grows with time, so no test expects an exact number of requests: [`admitted`] asks until one is refused,
//! which is at least [`FRESH`] where nothing was used, and at most [`SPENT`], which takes seconds, where all was.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::time::Instant;

use crate::harness::{
    Address, Gate, Gateway, PATIENCE, Request, Response, Script, ScriptedResponder, eventually,
    http1, http2,
};

/// The smallest rate with a burst that no test waits for.
const RATE: &str = "requests_per_second = 1, burst = 20";

/// Requests of an unused allowance.
const FRESH: usize = 21;

/// More than a used one gives while a test looks.
const SPENT: usize = 15;

/// How requests come in.
#[derive(Clone, Copy, Debug)]
enum Way {
    Http1,
    Http2,
    Ipv6,
    Unix,
}

const WAYS: [Way; 4] = [Way::Http1, Way::Http2, Way::Ipv6, Way::Unix];

/// The listeners of all ways; the one for IPv4 is the first.
fn listeners(folder: &std::path::Path) -> String {
    let unix = format!("unix:{}", folder.join("sock").display());
    let addresses = ["127.0.0.1:0", "[::1]:0", unix.as_str()];
    addresses
        .map(|address| format!("[[listen]]\naddress = \"{address}\"\n"))
        .concat()
}

impl Way {
    fn address(self, gateway: &Gateway) -> Address {
        let mut addresses = gateway.addresses().iter();
        let found = addresses.find(|address| match (self, address) {
            (Self::Http1 | Self::Http2, Address::Tcp(address)) => address.is_ipv4(),
            (Self::Ipv6, Address::Tcp(address)) => address.is_ipv6(),
            (Self::Unix, Address::Unix(_)) => true,
            _ => false,
        });
        found.unwrap().clone()
    }

    async fn send(self, address: &Address, request: &Request) -> Response {
        match self {
            Self::Http2 => http2::send(address, request).await,
            Self::Http1 | Self::Ipv6 | Self::Unix => http1::send(address, request).await,
        }
    }
}

/// Sends a request until it is refused with 429, and returns the number of those before.
async fn admitted(mut send: impl AsyncFnMut() -> Response) -> usize {
    for count in 0..1000 {
        if send().await.status == 429 {
            return count;
        }
    }
    panic!("1000 requests, and none is refused")
}

async fn admitted_of(gateway: &Gateway, request: &Request) -> usize {
    admitted(async || gateway.send(request).await).await
}

/// A request with a value of each field that limits below count by.
fn valued(target: &str, value: &str) -> Request {
    Request::get(target)
        .field("X-Key", value)
        .field("Cookie", &format!("a=1; sid={value}"))
}

/// Keys, and what is refused once the allowance of a client with a value is used: a request of another value, and of
/// none.
const KEYS: [(&str, &str, bool, bool); 4] = [
    ("client", "client", true, true),
    ("header:X-Key", "header", false, false),
    ("cookie:sid", "cookie", false, false),
    ("site", "site", true, true),
];

/// Rules with these limits, one for each key and way.
fn rules(limits: &str, action: &str) -> String {
    let keys = KEYS.iter().enumerate();
    let rules = keys.flat_map(|(number, (key, ..))| {
        WAYS.map(|way| {
            format!("[[site.rule]]\nprefix = \"/{way:?}/{number}\"\nlimits = {{ {limits}, key = \"{key}\" }}\n{action}")
        })
    });
    rules.collect()
}

/// Whether a limit by client has no client to count by.
fn is_unlimited(way: Way, key: &str) -> bool {
    matches!(way, Way::Unix) && key == "client"
}

#[tokio::test]
async fn a_rate_is_counted_by_its_key_in_every_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let rules = rules(RATE, "respond = { body = \"ok\" }\n");
    let config = format!("[[site]]\n{rules}{}", listeners(folder.path()));
    let gateway = Gateway::start_in(folder, &config).await;
    for (number, (key, name, other, none)) in KEYS.into_iter().enumerate() {
        for way in WAYS {
            let what = format!("{key} {way:?}");
            let address = way.address(&gateway);
            let target = format!("/{way:?}/{number}");
            let one = valued(&target, "one");
            let send = async |request: &Request| way.send(&address, request).await;
            if is_unlimited(way, key) {
                for _ in 0..3 * FRESH {
                    assert_eq!(send(&one).await.status, 200, "{what}");
                }
                continue;
            }
            let mut refused = Response::none();
            let count = admitted(async || {
                refused = send(&one).await;
                refused.clone()
            })
            .await;
            assert!(count >= FRESH, "{what}: {count}");
            let policy = format!("\"{name}\";q=1;w=1");
            assert_eq!(refused.header("ratelimit-policy"), Some(&*policy), "{what}");
            let state = format!("\"{name}\";r=0;t=1");
            assert_eq!(refused.header("ratelimit"), Some(&*state), "{what}");
            assert_eq!(refused.header("retry-after"), Some("1"), "{what}");
            let is_spent = |count| {
                if other {
                    count <= SPENT
                } else {
                    count >= FRESH
                }
            };
            let count = admitted(async || send(&valued(&target, "another")).await).await;
            assert!(is_spent(count), "{what}: {count} of another value");
            // Without a value it is the client, whom nobody knows on a unix socket.
            if none || !matches!(way, Way::Unix) {
                let count = admitted(async || send(&Request::get(&target)).await).await;
                assert!(is_spent(count), "{what}: {count} without a value");
            }
        }
    }
}

#[tokio::test]
async fn what_runs_is_counted_by_its_key_in_every_protocol() {
    let gate = Gate::new();
    let responder = ScriptedResponder::start([Script::held(&gate, "\nslow")]).await;
    let folder = tempfile::tempdir().unwrap();
    let rules = rules("requests_at_once = 1", "") + "[[site.rule]]";
    let site = responder.site("").replacen("[[site.rule]]", &rules, 1);
    let config = format!("{site}\n{}", listeners(folder.path()));
    let gateway = Gateway::start_in(folder, &config).await;
    let mut asked = 0;
    for (number, (key, _, other, none)) in KEYS.into_iter().enumerate() {
        for way in WAYS {
            let address = way.address(&gateway);
            let target = format!("/{way:?}/{number}");
            let is_limited = !is_unlimited(way, key);
            let mut running = Vec::new();
            for (request, is_refused) in [
                (valued(&target, "one"), false),
                (valued(&target, "one"), is_limited),
                (valued(&target, "another"), other && is_limited),
                (Request::get(&target), none && is_limited),
            ] {
                let what = format!("{key} {way:?}: {request:?}");
                if is_refused {
                    let response = way.send(&address, &request).await;
                    let seen = (response.status, response.header("retry-after"));
                    assert_eq!(seen, (429, Some("1")), "{what}");
                    continue;
                }
                let address = address.clone();
                running.push(tokio::spawn(
                    async move { way.send(&address, &request).await },
                ));
                asked += 1;
                responder
                    .wait_until(&what, |seen| seen.requests.len() == asked)
                    .await;
            }
            gate.pass(running.len() + 1);
            for one in running {
                assert_eq!(one.await.unwrap().text(), "slow", "{key} {way:?}");
            }
            eventually("a place is free", PATIENCE, async || {
                way.send(&address, &valued(&target, "one")).await.status == 200
            })
            .await;
            asked += 1;
        }
    }
}

/// Clients behind a trusted proxy.
fn from(client: &str, target: &str) -> Request {
    Request::get(target).field("X-Forwarded-For", client)
}

const TRUSTING: &str =
    "[server]\ntrusted_proxies = [\"127.0.0.1\"]\ntrusted_fields = [\"x-forwarded-for\"]\n";

#[tokio::test]
async fn a_client_of_ipv6_is_its_network() {
    let config = format!(
        "{TRUSTING}[[site]]\n[[site.rule]]\nlimits = {{ {RATE} }}\nrespond = {{ body = \"ok\" }}\n"
    );
    let gateway = Gateway::start(&config).await;
    let count = async |client: &str| admitted_of(&gateway, &from(client, "/")).await;
    assert!(count("2001:db8:0:1::1").await >= FRESH);
    for same in ["2001:db8:0:1::2", "2001:db8:0:1:ffff:ffff:ffff:ffff"] {
        let admitted = count(same).await;
        assert!(admitted <= SPENT, "{same}: {admitted}");
    }
    for other in ["2001:db8:0:2::1", "192.0.2.1", "192.0.2.2"] {
        let admitted = count(other).await;
        assert!(admitted >= FRESH, "{other}: {admitted}");
    }
}

/// 32 values have the allowance of 32; the inventor of more has no more.
#[tokio::test]
async fn who_invents_values_is_refused() {
    let site = "[[site]]\n[[site.rule]]\nlimits = { requests_per_second = 1, burst = 1, key = \"header:X-Key\" }\nrespond = { body = \"ok\" }\n";
    let gateway = Gateway::start(&format!("{TRUSTING}{site}")).await;
    let begun = Instant::now();
    let mut connection = http2::Connection::open(gateway.address()).await;
    let (mut admitted, mut refusal) = (0, None);
    for number in 0..1500 {
        let request = from("192.0.2.1", "/").field("X-Key", &format!("invented-{number}"));
        let response = connection.send(&request).await;
        if response.status == 429 {
            refusal = Some(response);
        } else {
            admitted += 1;
        }
    }
    let most = 32.0 * (2.0 + begun.elapsed().as_secs_f64()) + 2.0;
    assert!(admitted >= 64 && f64::from(admitted) <= most, "{admitted}");
    let refusal = refusal.expect("a refusal");
    let policy = refusal.header("ratelimit-policy");
    assert_eq!(policy, Some("\"client\";q=32;w=1"));
    // The other client with one of these values, and this client without any, have what is theirs.
    for other in [
        from("192.0.2.2", "/").field("X-Key", "invented-1499"),
        from("192.0.2.1", "/"),
    ] {
        assert_eq!(gateway.send(&other).await.status, 200);
    }
}

#[tokio::test]
async fn a_request_of_many_rounds_is_counted_once() {
    let mut config = format!("[[site]]\n[[site.rule]]\nlimits = {{ {RATE} }}\n");
    for round in 0..9 {
        config += &format!(
            "[[site.rule]]\npath = \"/{round}\"\nrewrite = {{ to = \"/{}\" }}\n",
            round + 1
        );
    }
    config += "[[site.rule]]\npath = \"/9\"\nrespond = { body = \"the end\" }\n";
    let gateway = Gateway::start(&config).await;
    let mut last = String::new();
    let count = admitted(async || {
        let response = gateway.get("/0").await;
        if response.status == 200 {
            last = response.text();
        }
        response
    })
    .await;
    assert!(count >= FRESH, "{count}");
    assert_eq!(last, "the end");
}

#[tokio::test]
async fn rules_count_each_for_itself_and_beside_the_site() {
    let config = "[[site]]\nlimits = { requests_per_second = 1, burst = 60 }\n\
        [[site.rule]]\nlimits = { requests_per_second = 1, burst = 40, key = \"site\" }\n\
        [[site.rule]]\nprefix = \"/a\"\nlimits = { requests_per_second = 1, burst = 20 }\nrespond = { body = \"a\" }\n\
        [[site.rule]]\nrespond = { body = \"b\" }\n";
    let gateway = Gateway::start(config).await;
    // `/a` is refused by its own rule: 21 requests are counted by all of the three, and what it refuses by the two others.
    let first = admitted_of(&gateway, &Request::get("/a")).await;
    assert!((FRESH..FRESH + SPENT).contains(&first), "{first}");
    let second = admitted_of(&gateway, &Request::get("/b")).await;
    assert!(
        (41 - FRESH - SPENT..=41 - FRESH + SPENT).contains(&second),
        "{second}"
    );
}

/// The front controller routes by PATH_INFO and REQUEST_URI: what an application reads in the target is counted too.
#[tokio::test]
async fn no_other_spelling_of_a_path_evades_its_limit() {
    let responder = ScriptedResponder::start([Script::answer("\nok")]).await;
    let rule = format!("[[site.rule]]\npath = \"/login\"\nlimits = {{ {RATE} }}\n[[site.rule]]");
    let site = responder.site("").replacen("[[site.rule]]", &rule, 1);
    let gateway = Gateway::start(&site).await;
    assert!(admitted_of(&gateway, &Request::get("/login")).await >= FRESH);
    for target in ["//login", "/x/../login", "/index.php/login", "/%6cogin"] {
        let count = admitted_of(&gateway, &Request::get(target)).await;
        assert!(count <= SPENT, "{target}: {count}");
    }
    assert_eq!(gateway.get("/logins").await.status, 200);
}

const PAGE: &str = "<?php header('X-Page: ' . $_SERVER['REDIRECT_STATUS']); echo 'page';";

/// An error page is part of the request that failed, and no script runs for one that is over a limit.
#[tokio::test]
async fn an_error_page_is_not_counted_again() {
    let pages = "[[site.error_page]]\nstatus = \"4xx\"\npath = \"/page.php\"\n";
    let rules = format!(
        "[[site.rule]]\nprefix = \"/all\"\nlimits = {{ {RATE} }}\n\
         [[site.rule]]\nprefix = \"/page.php\"\nlimits = {{ requests_per_second = 1, burst = 60 }}\n\
         [[site.rule]]\npath = \"/all\"\nrespond = {{ body = \"ok\" }}\n"
    );
    let (_php, gateway) = Gateway::with_php(1)
        .file("page.php", PAGE)
        .site(&rules)
        .site(pages)
        .start()
        .await;
    let page = async |target: &str| {
        let response = gateway.get(target).await;
        (
            response.status,
            response.header("x-page").map(str::to_owned),
        )
    };
    let with_page = |status: u16| (status, Some(status.to_string()));
    // Both rules are about it: each counts it once.
    let mut pages = 0;
    let count = admitted(async || {
        let response = gateway.get("/all/missing.css").await;
        pages += usize::from(response.header("x-page") == Some("404"));
        assert!(response.status == 404 || response.header("x-page").is_none());
        response
    })
    .await;
    assert!(count >= FRESH && pages == count, "{count}, {pages} pages");
    // The page's own rule has counted those, and refuses the page alone once it has 61.
    let mut left = 0;
    while page("/missing.css").await == with_page(404) {
        left += 1;
        assert!(left < 1000, "no end");
    }
    assert!(
        (61 - FRESH - SPENT..=61 - FRESH + SPENT).contains(&left),
        "{left}"
    );
    assert_eq!(page("/missing.css").await.0, 404);
}

/// What is refused before any rule is counted by none.
#[tokio::test]
async fn a_request_that_reaches_no_rule_is_not_counted() {
    let config = format!(
        "[[site]]\ndeny = [\"127.0.0.9\"]\n[[site.rule]]\nlimits = {{ {RATE} }}\n\
         response_headers = {{ set = {{ X-Rule = \"1\" }} }}\n[[site.rule]]\nrespond = {{ body = \"ok\" }}\n"
    );
    let gateway = Gateway::start(&config).await;
    for _ in 0..3 * FRESH {
        let refused = gateway.get("/%zz").await;
        assert_eq!((refused.status, refused.header("x-rule")), (400, Some("1")));
    }
    let count = admitted_of(&gateway, &Request::get("/")).await;
    assert!(count >= FRESH, "{count}");
}

#[tokio::test]
async fn a_site_counts_by_a_key_too() {
    let config = format!(
        "[[site]]\nlimits = {{ {RATE}, key = \"cookie:sid\" }}\nrule = [{{ respond = {{ body = \"ok\" }} }}]\n"
    );
    let gateway = Gateway::start(&config).await;
    assert!(admitted_of(&gateway, &valued("/", "one")).await >= FRESH);
    assert!(admitted_of(&gateway, &valued("/", "another")).await >= FRESH);
    let count = admitted_of(&gateway, &valued("/", "one")).await;
    assert!(count <= SPENT, "{count}");
}

#[tokio::test]
async fn a_refusal_names_its_key_in_the_log_and_to_explain() {
    let config = format!(
        "[server]\nlog = \"debug\"\naccess_log = {{ format = \"json\" }}\n[[site]]\n[[site.rule]]\nprefix = \"/\"\n\
         limits = {{ {RATE}, key = \"header:X-Key\" }}\n[[site.rule]]\nrespond = {{ body = \"ok\" }}\n"
    );
    let gateway = Gateway::start(&config).await;
    admitted_of(
        &gateway,
        &Request::get("/").field("X-Key", "secret-of-somebody"),
    )
    .await;
    let file = gateway.directory().join("fcgate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let before = text.lines().take_while(|line| !line.contains(RATE)).count();
    let place = format!("{}:{}", file.display(), before + 1);
    let key = format!("limits.requests_per_second = 1 ({place})");
    let line = gateway
        .log
        .wait_for(|line| line.contains("more than"))
        .await;
    let told = format!("more than {key} of one value of the field x-key");
    assert!(line.contains(&told), "{told}: {line}");
    let logged = gateway
        .access
        .wait_for(|line| line.contains("RATE_LIMIT"))
        .await;
    for line in [line, logged] {
        assert!(!line.contains("secret-of-somebody"), "{line}");
    }
    let output = gateway.command(&["explain", "/"]);
    let explained = String::from_utf8(output.stdout).unwrap();
    let limit = format!("    {key}, burst = 20, key = \"header:x-key\"\n");
    assert_eq!(explained.matches(&limit).count(), 1, "{explained}");
}

/// `{SHA}` of `right`.
const HASH: &str = "{SHA}0nofEXcSAJSXFLGvmfBIpBb11vQ=";

/// A request of a user with the right password, from this client.
fn by(user: &str, client: &str, target: &str) -> Request {
    let credentials = STANDARD.encode(format!("{user}:right"));
    from(client, target).field("Authorization", &format!("Basic {credentials}"))
}

/// Of a rule's own `auth` and of that of a rule before; who is refused by `auth` is counted by no user.
#[tokio::test]
async fn users_are_counted_wherever_they_come_from() {
    let auth = "auth = { basic = { realm = \"a\", users = \"{folder}/users\" } }";
    let limits = format!("limits = {{ {RATE}, key = \"user\" }}\nrespond = {{ body = \"in\" }}");
    let config = format!(
        "{TRUSTING}[[site]]\n[[site.rule]]\nprefix = \"/own\"\n{auth}\n{limits}\n\
         [[site.rule]]\nprefix = \"/before\"\n{auth}\n[[site.rule]]\n{limits}\n"
    );
    let users: Vec<_> = ["alice", "bob"]
        .map(|user| format!("{user}:{HASH}\n"))
        .into();
    let gateway = Gateway::with(&config)
        .beside("users", users.concat())
        .start()
        .await;
    let count = async |request: Request| admitted_of(&gateway, &request).await;
    for target in ["/own", "/before"] {
        let wrong = from("192.0.2.1", target);
        for _ in 0..3 * FRESH {
            assert_eq!(gateway.send(&wrong).await.status, 401);
        }
        let first = count(by("alice", "192.0.2.1", target)).await;
        assert!(first >= FRESH, "{target}: {first}");
        let elsewhere = count(by("alice", "192.0.2.2", target)).await;
        assert!(elsewhere <= SPENT, "{target}: {elsewhere}");
        let other = count(by("bob", "192.0.2.1", target)).await;
        assert!(other >= FRESH, "{target}: {other}");
    }
    // Without a user it is the client.
    assert!(count(from("192.0.2.1", "/")).await >= FRESH);
    assert!(count(from("192.0.2.2", "/")).await >= FRESH);
    assert!(count(from("192.0.2.1", "/")).await <= SPENT);
}

/// The `n`th configuration: its rules have other lines and fields than the one before, and this limit.
fn reloaded(responder: &ScriptedResponder, n: usize, limit: &str) -> String {
    let before: String = (0..n % 3)
        .map(|number| {
            format!("[[site.rule]]\npath = \"/{number}\"\nrespond = {{ body = \"{n}\" }}\n")
        })
        .collect();
    let rules = format!(
        "{before}[[site.rule]]\nprefix = \"/rate\"\nlimits = {{ {limit} }}\n\
         response_headers = {{ set = {{ X-N = \"{n}\" }} }}\n\
         [[site.rule]]\nprefix = \"/slow\"\nlimits = {{ requests_at_once = 1 }}\n[[site.rule]]"
    );
    responder.site("").replacen("[[site.rule]]", &rules, 1)
}

/// What clients saw that asked until they were told to end.
#[derive(Debug, Default)]
struct Seen {
    admitted: AtomicUsize,
    refused: AtomicUsize,
}

impl Seen {
    async fn ask(&self, gateway: &Gateway, target: &str, done: &AtomicBool) {
        while !done.load(Ordering::Relaxed) {
            let response = gateway.get(target).await;
            let count = match response.status {
                200 => &self.admitted,
                429 => &self.refused,
                _ => panic!("{response:?}"),
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_reload_keeps_the_counts_of_limits_that_it_does_not_change() {
    let gate = Gate::new();
    let held = gate.clone();
    let script = Script::by(move |received| match received.param("REQUEST_URI") {
        "/slow" => Script::held(&held, "\nslow"),
        _ => Script::answer("\nok"),
    });
    let responder = ScriptedResponder::start([script]).await;
    let gateway = Gateway::start(&reloaded(&responder, 0, RATE)).await;
    let address = gateway.address().clone();
    let running = tokio::spawn(async move { http1::send(&address, &Request::get("/slow")).await });
    responder
        .wait_until("the request", |seen| !seen.requests.is_empty())
        .await;
    let (begun, seen, done) = (Instant::now(), Seen::default(), AtomicBool::new(false));
    let reloads = async {
        for n in 1..=12 {
            let before = seen.refused();
            eventually("requests that are refused", PATIENCE, async || {
                seen.refused() > before + 20
            })
            .await;
            let line = gateway.reload(&reloaded(&responder, n, RATE)).await;
            assert!(line.contains("reloaded"), "{line}");
            // It runs on, and is counted by the limit of the new rule.
            assert_eq!(gateway.get("/slow").await.status, 429, "{n}");
        }
        done.store(true, Ordering::Relaxed);
    };
    let load = [(); 3].map(|()| seen.ask(&gateway, "/rate", &done));
    tokio::join!(futures_util::future::join_all(load), reloads);
    let most = FRESH + usize::try_from(begun.elapsed().as_secs()).unwrap() + 2;
    let admitted = seen.admitted.load(Ordering::Relaxed);
    assert!((FRESH..=most).contains(&admitted), "{admitted} of {most}");
    gate.pass(2);
    assert_eq!(running.await.unwrap().text(), "slow");
    eventually("the end of the request", PATIENCE, async || {
        gateway.get("/slow").await.status == 200
    })
    .await;
    // Another limit begins anew.
    let other = "requests_per_second = 1, burst = 50";
    let line = gateway.reload(&reloaded(&responder, 0, other)).await;
    assert!(line.contains("reloaded"), "{line}");
    let count = admitted_of(&gateway, &Request::get("/rate")).await;
    assert!(count > 50, "{count}");
}

#[tokio::test]
async fn a_reload_keeps_the_counts_of_a_site() {
    let site = |host: &str, limits: &str, body: &str| {
        format!(
            "[[site]]\nhosts = \"{host}\"\nlimits = {{ {limits} }}\nrule = [{{ respond = {{ body = \"{body}\" }} }}]\n"
        )
    };
    let of = |host: &str| Request::get("/").field("Host", host);
    let two = |limits: &str, body: &str| site("a.test", RATE, body) + &site("b.test", limits, body);
    let gateway = Gateway::start(&two(RATE, "1")).await;
    for host in ["a.test", "b.test"] {
        let count = admitted_of(&gateway, &of(host)).await;
        assert!(count >= FRESH, "{host}: {count}");
    }
    gateway
        .reload(&two("requests_per_second = 1, burst = 30", "2"))
        .await;
    let kept = admitted_of(&gateway, &of("a.test")).await;
    assert!(kept <= SPENT, "{kept}");
    let anew = admitted_of(&gateway, &of("b.test")).await;
    assert!(anew > 30, "{anew}");
}
