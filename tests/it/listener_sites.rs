//! Sites that are there for some listeners, and rules that ask by which one a client came: Apache's
//! `<VirtualHost *:8080>`.

use std::process::Output;

use crate::harness::gateway::{check, run};
use crate::harness::http1::send;
use crate::harness::{Address, Gateway, Request};

const TWO: &str = "
[[listen]]
address = \"127.0.0.1:0\"
[[listen]]
address = \"127.0.0.1:0\"
name = \"admin\"
";

fn site(lines: &str, body: &str) -> String {
    format!("[[site]]\n{lines}\nrule = [{{ respond = {{ body = \"{body}\" }} }}]\n")
}

/// The two listeners, the public one first: they come up in their order.
fn listeners(gateway: &Gateway) -> [&Address; 2] {
    let [public, admin] = gateway.addresses() else {
        panic!("not two listeners")
    };
    [public, admin]
}

async fn ask(address: &Address, host: &str) -> String {
    let request = Request::get("/").field("Host", host);
    send(address, &request).await.text()
}

#[tokio::test]
async fn a_listener_has_the_sites_that_name_it_and_no_other() {
    let config = [
        TWO,
        &site("hosts = [\"a.example\"]", "a"),
        &site("hosts = [\"b.example\", \"*.c.example\"]", "b"),
        &site(
            "hosts = [\"a.example\"]\nlisten = [\"admin\"]",
            "admin of a",
        ),
        &site("listen = \"admin\"", "admin"),
    ]
    .concat();
    let gateway = Gateway::start(&config).await;
    let [public, admin] = listeners(&gateway);
    for (host, on_public, on_admin) in [
        ("a.example", "a", "admin of a"),
        ("b.example", "b", "admin"),
        ("x.c.example", "b", "admin"),
        ("other.example", "a", "admin"),
    ] {
        assert_eq!(ask(public, host).await, on_public, "{host}");
        assert_eq!(ask(admin, host).await, on_admin, "{host}");
    }
}

#[tokio::test]
async fn listeners_may_share_a_name_and_a_site_may_name_several() {
    let config = "
        [[listen]]
        address = \"127.0.0.1:0\"
        name = \"inside\"
        [[listen]]
        address = \"127.0.0.1:0\"
        name = \"inside\"
        [[listen]]
        address = \"127.0.0.1:0\"
        name = \"outside\"
        [[site]]
        listen = [\"inside\", \"outside\"]
        [[site.rule]]
        listener = \"inside\"
        path = \"/metrics\"
        respond = { body = \"metrics\" }
        [[site.rule]]
        not = { listener = [\"outside\"] }
        respond = { body = \"inside\" }
        [[site.rule]]
        respond = { body = \"outside\" }
    ";
    let gateway = Gateway::start(config).await;
    let mut found = Vec::new();
    for address in gateway.addresses() {
        let metrics = send(address, &Request::get("/metrics")).await.text();
        found.push((metrics, ask(address, "x").await));
    }
    let pair = |metrics: &str, rest: &str| (metrics.to_owned(), rest.to_owned());
    let inside = pair("metrics", "inside");
    assert_eq!(found, [inside.clone(), inside, pair("outside", "outside")]);
}

#[tokio::test]
async fn a_listener_is_known_behind_a_proxy_too() {
    let config = [
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n[[listen]]\naddress = \"127.0.0.1:0\"\n[[listen]]\naddress = \"127.0.0.1:0\"\nname = \"admin\"\nproxy_protocol = { from = [\"127.0.0.1\"] }\n",
        &site("", "public"),
        &site("listen = \"admin\"", "admin"),
    ]
    .concat();
    let gateway = Gateway::start(&config).await;
    let [public, admin] = listeners(&gateway);
    let told = Request::get("/").field("X-Forwarded-For", "192.0.2.1");
    assert_eq!(send(public, &told).await.text(), "public");
    let bytes = "PROXY TCP4 192.0.2.1 192.0.2.2 1 80\r\nGET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n";
    let answer = crate::harness::http1::raw(admin, bytes).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nadmin"), "{answer}");
}

#[tokio::test]
async fn names_change_with_a_reload_and_logs_tell_the_sites_apart() {
    let config = |name: &str| {
        let log = "[server]\naccess_log = { format = '%v' }\n";
        let listeners = TWO.replace("admin", name);
        let sites = site("hosts = \"a.example\"", "public")
            + &site(&format!("hosts = \"a.example\"\nlisten = \"{name}\""), name);
        format!("{log}{listeners}{sites}")
    };
    let gateway = Gateway::start(&config("one")).await;
    let line = gateway.reload(&config("two")).await;
    assert!(line.contains("reloaded"), "{line}");
    let [public, admin] = listeners(&gateway).map(Clone::clone);
    assert_eq!(ask(&admin, "a.example").await, "two");
    assert_eq!(ask(&public, "a.example").await, "public");
    let lines = gateway.access.wait_many(0, 2, |_| true).await;
    assert_eq!(lines, ["a.example@two", "a.example"]);
}

#[tokio::test]
async fn a_connection_whose_listener_lost_its_sites_is_sent_away() {
    let named = "[[listen]]\naddress = \"127.0.0.1:0\"\nname = \"NAME\"\n";
    let config =
        |name: &str| named.replace("NAME", name) + &site(&format!("listen = \"{name}\""), name);
    let gateway = Gateway::start(&config("one")).await;
    let mut connection = crate::harness::Connection::open(gateway.address()).await;
    assert_eq!(connection.send(&Request::get("/")).await.text(), "one");
    gateway.reload(&config("two")).await;
    let refused = connection.send(&Request::get("/")).await;
    assert_eq!(
        (refused.status, refused.header("connection")),
        (421, Some("close"))
    );
    assert_eq!(gateway.get("/").await.text(), "two");
}

/// What answers on all other listeners answered on this one at no time.
#[tokio::test]
async fn a_connection_whose_listener_lost_its_name_gets_no_other_site() {
    let config = |name: &str| {
        let sites = site("", "public") + &site(&format!("listen = \"{name}\""), name);
        TWO.replace("admin", name) + &sites
    };
    let gateway = Gateway::start(&config("one")).await;
    let [public, admin] = listeners(&gateway).map(Clone::clone);
    let mut before = Vec::new();
    for (address, body) in [(&public, "public"), (&admin, "one")] {
        let mut connection = crate::harness::Connection::open(address).await;
        assert_eq!(connection.send(&Request::get("/")).await.text(), body);
        before.push(connection);
    }
    gateway.reload(&config("two")).await;
    let [on_public, on_admin] = before.as_mut_slice() else {
        panic!("not two connections")
    };
    assert_eq!(on_public.send(&Request::get("/")).await.text(), "public");
    assert_eq!(on_admin.send(&Request::get("/")).await.status, 421);
    assert_eq!(ask(&admin, "x").await, "two");
}

fn checked(config: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fcgate.toml");
    std::fs::write(&file, config).unwrap();
    check(&file)
}

#[test]
fn names_that_are_not_there_are_errors() {
    let public = site("", "public");
    for (config, expected) in [
        (
            TWO.to_owned() + &site("listen = \"admim\"", "x") + &public,
            "did you mean `admin`?",
        ),
        (
            TWO.to_owned() + &site("listen = []", "x") + &public,
            "an empty list",
        ),
        (
            format!(
                "{TWO}[[site]]\n[[site.rule]]\nany = [{{ not = {{ listener = \"x\" }} }}]\ndeny = true\n"
            ),
            "no listener has the name `x`",
        ),
        (
            TWO.to_owned() + &site("listen = \"admin\"", "x"),
            "no site is served on this listener",
        ),
        (
            TWO.replace("admin", "") + &public,
            "a listener's name is empty",
        ),
        (
            TWO.to_owned()
                + &public
                + &site("listen = \"admin\"", "x")
                + &site("listen = \"admin\"", "y"),
            "two sites have no `hosts`",
        ),
        (
            TWO.to_owned()
                + &public
                + &site("hosts = \"a\"\nlisten = \"admin\"", "x")
                + &site("hosts = \"a\"\nlisten = \"admin\"", "y"),
            "two sites serve `a`",
        ),
    ] {
        let output = checked(&config);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && told.contains(expected),
            "{config}\n{told}"
        );
    }
    let named = TWO.to_owned() + &public + &site("listen = \"admin\"", "x");
    assert!(checked(&named).status.success());
}

/// The listener has no site because of that, which is nothing to tell.
#[test]
fn a_mistyped_name_is_the_only_error() {
    for (listen, expected) in [
        ("\"admim\"", "no listener has the name `admim`"),
        ("[]", "`listen` is an empty list"),
    ] {
        let config = TWO.to_owned() + &site(&format!("listen = {listen}"), "x");
        let output = checked(&config);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(expected), "{told}");
        assert!(!told.contains("no site is served"), "{told}");
    }
}

#[test]
fn explain_takes_the_sites_of_the_listener() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fcgate.toml");
    let listeners = TWO.replacen(":0", ":8080", 1).replace(":0", ":8081");
    let config = listeners + &site("", "public") + &site("listen = \"admin\"", "admin");
    std::fs::write(&file, config).unwrap();
    for (port, name) in [(8080, "default"), (8081, "default@admin")] {
        let url = format!("http://x.example:{port}/");
        let output = run(&["explain", "-c", file.to_str().unwrap(), &url]);
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains(&format!("site {name}\n")), "{told}");
    }
}
