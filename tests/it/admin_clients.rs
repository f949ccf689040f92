//! Those who ask the admin listener: slow ones end and keep nobody out, web pages from elsewhere are refused, and
//! nobody is shown a value of the configuration.

use tokio::net::UnixStream;

use crate::harness::{
    Address, Connection, Gateway, PATIENCE, Request, Script, ScriptedResponder, eventually, http1,
    patiently,
};

/// Where a gateway answers about itself, by its log.
async fn admin_of(gateway: &Gateway) -> Address {
    let told = gateway
        .log
        .wait_for(|line| line.contains("admin listener ready"))
        .await;
    let (_, address) = told.split_once("admin=\"").unwrap();
    Address::parse(address.split('"').next().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const SITE: &str = "[[site]]\nrule = [{ respond = { body = \"here\" } }]\n";

/// A gateway that answers about itself on a unix socket in its folder.
async fn on_a_socket(config: &str) -> (Gateway, Address) {
    let gateway = Gateway::with(config).admin().start().await;
    let address = gateway.admin().clone();
    (gateway, address)
}

async fn on_a_port(config: &str, admin: &str) -> (Gateway, Address) {
    let admin = format!("[admin]\naddress = \"127.0.0.1:0\"\n{admin}");
    let gateway = Gateway::start(&format!("{config}{admin}")).await;
    let address = admin_of(&gateway).await;
    (gateway, address)
}

/// What slow clients send: nothing, a part of a head, and a whole one whose answer they do not read.
const SLOW: [&str; 3] = [
    "",
    "GET /ready HTTP/1.1\r\nHost: loca",
    "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n",
];

#[tokio::test]
async fn slow_clients_keep_nobody_out() {
    for config in [
        SITE.to_owned(),
        format!("[server.limits]\nconnections = 4\n{SITE}"),
    ] {
        let (gateway, admin) = on_a_socket(&config).await;
        // All connections of clients, where they are few, and one that waits for a place.
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(gateway.address().connect().await);
        }
        let mut slow = Vec::new();
        for _ in 0..40 {
            for begun in SLOW {
                let mut connection = Connection::open(&admin).await;
                connection.write(begun).await;
                slow.push(connection);
            }
            let health = gateway.command(&["health"]);
            assert!(health.status.success(), "{health:?}");
        }
        assert!(gateway.command(&["status"]).status.success());
    }
}

#[tokio::test]
async fn a_slow_client_ends() {
    for begun in &SLOW[..2] {
        for (gateway, admin) in [on_a_socket(SITE).await, on_a_port(SITE, "").await] {
            let mut connection = Connection::open(&admin).await;
            connection.write(begun).await;
            // By the gateway: this one goes on holding it.
            assert_eq!(connection.read_to_end().await, b"", "{begun:?}");
            drop(gateway);
        }
    }
}

/// How many descriptors a process has.
fn descriptors(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_gateway_without_descriptors_can_be_asked() {
    let responder = ScriptedResponder::start([Script::answer("\nok")]).await;
    let gateway = Gateway::before(&responder)
        .server("limits = { connections = 1000 }")
        .section("[[listen]]\naddress = \"unix:{folder}/http.sock\"\nbacklog = 1000")
        .admin()
        .under(&["prlimit", "--nofile=64", "--"]);
    let gateway = gateway.start().await;
    let socket = gateway.directory().join("http.sock");
    let mut clients = Vec::new();
    for _ in 0..200 {
        clients.push(UnixStream::connect(&socket).await.unwrap());
    }
    let process = gateway.server_id();
    eventually("as many as it takes", PATIENCE, async || {
        descriptors(process) >= 40
    })
    .await;
    for _ in 0..20 {
        let health = gateway.command(&["health"]);
        assert!(health.status.success(), "{health:?}");
        let status = gateway.command(&["status"]);
        assert!(
            text(&status.stdout).contains("\"ready\": true"),
            "{status:?}"
        );
    }
    drop(clients);
    patiently("an answer", async {
        let answer = http1::send(&Address::Unix(socket.clone()), &Request::get("/")).await;
        assert_eq!(answer.text(), "ok");
    })
    .await;
}

#[tokio::test]
async fn a_web_page_from_elsewhere_is_refused_on_a_port() {
    let hosts = "hosts = [\"gateway.example\"]\n";
    let (_gateway, admin) = on_a_port(SITE, hosts).await;
    let own = admin.to_string();
    let origin = format!("http://{own}");
    let same = ("Origin", origin.as_str());
    let foreign = ("Origin", "http://evil.example");
    for (host, fields, expected) in [
        (own.as_str(), &[][..], 200),
        ("localhost", &[], 200),
        ("10.0.0.7:9180", &[], 200),
        ("gateway.example:9180", &[], 200),
        ("evil.example", &[], 403),
        (&own, &[same], 200),
        (&own, &[foreign], 403),
        (&own, &[("Origin", "null")], 403),
        ("evil.example", &[foreign], 403),
        // As a page has it whose name has just been pointed here.
        (
            "evil.example:9180",
            &[("Origin", "http://evil.example:9180")],
            403,
        ),
    ] {
        for target in ["/live", "/ready", "/metrics", "/status", "/reload?dry-run"] {
            let mut request = match target.starts_with("/reload") {
                true => Request::post(target),
                false => Request::get(target),
            };
            request = request.field("Host", host);
            for (name, value) in fields {
                request = request.field(name, value);
            }
            let answer = http1::send(&admin, &request).await;
            assert_eq!(answer.status, expected, "{target} {host} {fields:?}");
        }
    }
    let request = Request::get("/metrics").field("Host", "evil.example");
    let answer = http1::send(&admin, &request).await.text();
    assert!(answer.contains("admin.hosts"), "{answer}");
}

#[tokio::test]
async fn a_socket_is_asked_by_any_name() {
    let (_gateway, admin) = on_a_socket(SITE).await;
    let request = Request::get("/live").field("Host", "anything");
    assert_eq!(http1::send(&admin, &request).await.status, 200);
}

/// Lines that are refused, each with a secret and with what is told in its place.
const REFUSED: [(&str, &str); 5] = [
    (
        "[[site]]\nroot = \"/tmp\"\nkey = \"hunter2\"\n",
        "unknown key `key`",
    ),
    (
        "[[site]]\nroot = \"/tmp\"\npassword = \"hunter2\n",
        "invalid basic string",
    ),
    (
        "[[site]]\nroot = \"/tmp\"\nrule = [{ path = \"/a\", redirect = { to = \"/$hunter2\" } }]\n",
        "site[1].rule[1].redirect.to: ",
    ),
    (
        "[[site]]\nroot = \"/tmp\"\n[upstream.php]\nservers = \"hunter2\"\n",
        "upstream.php.servers",
    ),
    (
        "[[site]]\nroot = \"/tmp\"\n[upstream.php]\nservers = \"hunter2 ${HOME}\"\n",
        "upstream.php.servers",
    ),
];

#[tokio::test]
async fn a_refused_reload_shows_places_and_no_values() {
    for on_port in [false, true] {
        let (gateway, admin) = match on_port {
            true => on_a_port(SITE, "").await,
            false => on_a_socket(SITE).await,
        };
        let file = gateway.directory().join("fcgate.toml");
        let original = std::fs::read_to_string(&file).unwrap();
        for (refused, told) in REFUSED {
            let (_, rest) = original.split_once("[admin]").unwrap();
            std::fs::write(&file, format!("{refused}[admin]{rest}")).unwrap();
            let line = refused.lines().position(|line| line.contains("hunter2"));
            let place = format!("fcgate.toml:{}:", line.unwrap() + 1);
            for target in ["/reload", "/reload?dry-run"] {
                let answer = http1::send(&admin, &Request::post(target)).await;
                let text = answer.text();
                assert_eq!(answer.status, 422, "{text}");
                assert!(text.contains(told) && text.contains(&place), "{text}");
                assert!(!text.contains("hunter2"), "{text}");
                assert!(!text.contains(&std::env::var("HOME").unwrap()), "{text}");
            }
            // The log is for those who run the gateway.
            gateway.log.wait_for(|line| line.contains("hunter2")).await;
            if !on_port {
                // Who may read the file sees its line.
                let reload = gateway.command(&["reload"]);
                assert_eq!(reload.status.code(), Some(1));
                let said = self::text(&reload.stderr);
                assert!(said.contains("hunter2"), "{said}");
            }
        }
    }
}
