//! What proxies in front of the gateway say of the client: believed from those that are trusted, and from nobody else.

use serde_json::{Value, json};

use crate::harness::{Gateway, PhpFpm, Request, http2};

const DUMP: &str = "<?php header('Content-Type: application/json');
$names = ['REMOTE_ADDR', 'REMOTE_PORT', 'HTTPS', 'REQUEST_SCHEME', 'SERVER_NAME', 'SERVER_PORT', 'HTTP_HOST'];
$seen = [];
foreach ($names as $name) { $seen[$name] = $_SERVER[$name] ?? null; }
foreach ($_SERVER as $name => $value) {
    if (preg_match('/^HTTP_(X_(?!REQUEST_ID)|FORWARDED|FRONT|CLIENT_IP|CF_|TRUE_)/', $name)) { $seen['fields'][$name] = $value; }
}
echo json_encode($seen);";

const TRUSTED: &str = "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]\n";

const ALL_FIELDS: &str = "trusted_fields = [\"x-forwarded-for\", \"x-forwarded-proto\", \"x-forwarded-host\", \"x-forwarded-port\", \"forwarded\", \"forwarded-host\"]\n";

/// A gateway with these lines in `[server]`.
async fn gateway(php: &PhpFpm, server: &str) -> Gateway {
    php.write("dump.php", DUMP);
    Gateway::start(&format!("[server]\n{server}{}", php.site())).await
}

fn request(fields: &[(&str, &str)]) -> Request {
    let request = Request::get("/dump.php").field("Host", "site.example:8080");
    fields
        .iter()
        .fold(request, |request, (name, value)| request.field(name, value))
}

async fn seen(gateway: &Gateway, fields: &[(&str, &str)]) -> Value {
    let request = request(fields);
    let one = gateway.send(&request).await;
    assert_eq!(one.status, 200, "{fields:?}: {}", one.text());
    let mut one = one.json();
    let mut two = http2::send(gateway.address(), &request).await.json();
    // Two connections: no port of a client is the other's.
    for seen in [&mut one, &mut two] {
        if seen["REMOTE_PORT"] != "" {
            seen["REMOTE_PORT"] = json!("some");
        }
    }
    assert_eq!(one, two, "HTTP/1.1 and HTTP/2, {fields:?}");
    one
}

/// What is seen without any claim.
fn plain() -> Value {
    json!({
        "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "some", "HTTPS": null, "REQUEST_SCHEME": "http",
        "SERVER_NAME": "site.example", "SERVER_PORT": "8080", "HTTP_HOST": "site.example:8080",
    })
}

/// Every way to say who one is.
const CLAIMS: [&[(&str, &str)]; 11] = [
    &[("X-Forwarded-For", "192.0.2.9")],
    &[("X-Forwarded-For", "127.0.0.1, 192.0.2.9")],
    &[("Forwarded", "for=192.0.2.9;proto=https;host=evil.example")],
    &[("X-Forwarded-Proto", "https")],
    &[("X-Forwarded-Host", "evil.example")],
    &[("X-Forwarded-Port", "443")],
    &[("X-Real-IP", "192.0.2.9")],
    &[("Client-IP", "192.0.2.9"), ("True-Client-IP", "192.0.2.9")],
    &[
        ("CF-Connecting-IP", "192.0.2.9"),
        ("X-Original-URL", "/admin"),
    ],
    &[("Front-End-Https", "on"), ("X-Forwarded-Ssl", "on")],
    &[
        ("X-Forwarded-For", "192.0.2.9"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Port", "443"),
        ("X-Forwarded-Prefix", "/admin"),
    ],
];

#[tokio::test]
async fn nobody_who_is_not_trusted_says_who_he_is() {
    let php = PhpFpm::start(2).await;
    for server in ["", "trusted_proxies = [\"10.0.0.0/8\", \"unix\"]\n"] {
        let gateway = gateway(&php, server).await;
        for claim in CLAIMS {
            assert_eq!(seen(&gateway, claim).await, plain(), "{claim:?}");
        }
    }
}

#[tokio::test]
async fn untrusted_fields_are_kept_where_that_is_wanted() {
    let php = PhpFpm::start(2).await;
    let gateway = gateway(&php, "untrusted_fields = \"keep\"\n").await;
    let mut expected = plain();
    expected["fields"] = json!({ "HTTP_X_FORWARDED_FOR": "192.0.2.9" });
    assert_eq!(
        seen(&gateway, &[("X-Forwarded-For", "192.0.2.9")]).await,
        expected
    );
}

type Pairs = &'static [(&'static str, &'static str)];

const CLIENT: Pairs = &[("REMOTE_ADDR", "192.0.2.9")];
const SECURE: Pairs = &[
    ("HTTPS", "on"),
    ("REQUEST_SCHEME", "https"),
    ("SERVER_PORT", "8080"),
];

/// What a trusted proxy sends, and what PHP sees then.
const BELIEVED: [(Pairs, Pairs); 11] = [
    (&[("X-Forwarded-For", "192.0.2.9")], CLIENT),
    (&[("X-Forwarded-For", "6.6.6.6, 192.0.2.9")], CLIENT),
    (
        &[("X-Forwarded-For", "6.6.6.6, 192.0.2.9, 10.1.2.3")],
        CLIENT,
    ),
    (
        &[
            ("X-Forwarded-For", "6.6.6.6"),
            ("X-Forwarded-For", "192.0.2.9"),
        ],
        CLIENT,
    ),
    (&[("Forwarded", "for=6.6.6.6, for=192.0.2.9")], CLIENT),
    (
        &[("Forwarded", "for=\"[2001:db8::9]:4711\"")],
        &[("REMOTE_ADDR", "2001:db8::9")],
    ),
    // What is no address says nothing, and does not let the next in line speak.
    (
        &[("X-Forwarded-For", "6.6.6.6, junk")],
        &[("REMOTE_ADDR", "127.0.0.1")],
    ),
    (&[("X-Forwarded-Proto", "https")], SECURE),
    (&[("Forwarded", "proto=https")], SECURE),
    (
        &[
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "Shop.example"),
        ],
        &[
            ("HTTPS", "on"),
            ("SERVER_NAME", "shop.example"),
            ("SERVER_PORT", "443"),
            ("HTTP_HOST", "shop.example"),
        ],
    ),
    (&[("X-Forwarded-Port", "8443")], &[("SERVER_PORT", "8443")]),
];

#[tokio::test]
async fn a_trusted_proxy_is_believed_in_what_it_wrote_itself() {
    let php = PhpFpm::start(2).await;
    let gateway = gateway(&php, &format!("{TRUSTED}{ALL_FIELDS}")).await;
    for (fields, expected) in BELIEVED {
        let seen = seen(&gateway, fields).await;
        for (name, value) in expected {
            assert_eq!(seen[name], *value, "{name} of {fields:?}: {seen}");
        }
    }
}

#[tokio::test]
async fn php_templates_and_the_log_have_one_port() {
    let php = PhpFpm::start(2).await;
    php.write("dump.php", DUMP);
    let gateway = Gateway::start(&format!(
        "[server]\n{TRUSTED}{ALL_FIELDS}access_log = {{ format = \"port %p\" }}\n{}\n\
         [[site.rule]]\nresponse_headers = {{ set = {{ X-Port = \"$port\" }} }}\n",
        php.site()
    ))
    .await;
    const HTTPS: (&str, &str) = ("X-Forwarded-Proto", "https");
    let rows: [(Pairs, &str); 4] = [
        (&[], "8080"),
        (&[("X-Forwarded-Port", "8443")], "8443"),
        (&[HTTPS, ("X-Forwarded-Host", "shop.example")], "443"),
        (&[HTTPS, ("X-Forwarded-Port", "81")], "81"),
    ];
    for (fields, expected) in rows {
        let logged = gateway.access.count();
        let response = gateway.send(&request(fields)).await;
        assert_eq!(response.json()["SERVER_PORT"], expected, "{fields:?}");
        assert_eq!(response.header("x-port"), Some(expected), "{fields:?}");
        let line = gateway
            .access
            .wait_after(logged, |line| line.starts_with("port "))
            .await;
        assert_eq!(line, format!("port {expected}"), "{fields:?}");
    }
}

/// What a trusted proxy passes on of others, and what PHP sees of it: applications read these fields themselves, and many
/// take the first element.
#[tokio::test]
async fn applications_see_what_is_believed() {
    let php = PhpFpm::start(2).await;
    let gateway = gateway(&php, &format!("{TRUSTED}{ALL_FIELDS}")).await;
    let rows: [(Pairs, Value); 6] = [
        (
            &[("X-Forwarded-For", "6.6.6.6, 192.0.2.9, 10.1.2.3")],
            json!({ "HTTP_X_FORWARDED_FOR": "192.0.2.9, 10.1.2.3" }),
        ),
        (
            &[("X-Forwarded-Host", "evil.example, shop.example")],
            json!({ "HTTP_X_FORWARDED_HOST": "shop.example" }),
        ),
        (
            &[("X-Forwarded-Proto", "https, http")],
            json!({ "HTTP_X_FORWARDED_PROTO": "http" }),
        ),
        (
            &[
                ("X-Forwarded-Proto", "javascript"),
                ("X-Forwarded-Port", "99999"),
                ("X-Forwarded-Host", "a b"),
            ],
            Value::Null,
        ),
        (
            &[("Forwarded", "for=6.6.6.6, for=192.0.2.9;proto=https")],
            json!({ "HTTP_FORWARDED": "for=192.0.2.9;proto=https" }),
        ),
        (&[("X-Forwarded-For", "6.6.6.6, junk")], Value::Null),
    ];
    for (fields, expected) in rows {
        let seen = seen(&gateway, fields).await;
        assert_eq!(seen["fields"], expected, "{fields:?}");
    }
}

/// Behind a proxy that sets X-Forwarded-For alone, what a client sends of the others.
#[tokio::test]
async fn a_client_says_nothing_through_a_proxy_that_does_not_write_it() {
    let php = PhpFpm::start(2).await;
    let forged: Pairs = &[
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Port", "444"),
        ("Forwarded", "for=6.6.6.6;host=evil.example;proto=https"),
        ("X-Forwarded-For", "192.0.2.9"),
    ];
    let server = format!("{TRUSTED}trusted_fields = \"x-forwarded-for\"\n");
    let gateway_of_one = gateway(&php, &server).await;
    let mut expected = plain();
    expected["REMOTE_ADDR"] = json!("192.0.2.9");
    expected["REMOTE_PORT"] = json!("");
    expected["fields"] = json!({ "HTTP_X_FORWARDED_FOR": "192.0.2.9" });
    assert_eq!(seen(&gateway_of_one, forged).await, expected);
    // By default nobody but Host says the host and its port.
    let gateway = gateway(&php, TRUSTED).await;
    for fields in [
        &forged[..3],
        &[("Forwarded", "proto=https;host=\"evil.example:444\"")],
    ] {
        let seen = seen(&gateway, fields).await;
        assert_eq!(seen["HTTP_HOST"], "site.example:8080", "{fields:?}");
        assert_eq!(seen["SERVER_NAME"], "site.example", "{fields:?}");
        assert_eq!(seen["SERVER_PORT"], "8080", "{fields:?}");
        assert!(!seen.to_string().contains("evil"), "{fields:?}: {seen}");
    }
}

/// Who could hide behind a field that the proxy passes on would be the proxy, whose network may come in.
#[tokio::test]
async fn no_field_of_a_client_hides_the_address_that_its_proxy_wrote() {
    let php = PhpFpm::start(2).await;
    let gateway = gateway(&php, TRUSTED).await;
    for forwarded in ["proto=http", "a=b", "\"", ";", "for=\""] {
        let fields = [("X-Forwarded-For", "192.0.2.9"), ("Forwarded", forwarded)];
        let seen = seen(&gateway, &fields).await;
        assert_eq!(seen["REMOTE_ADDR"], "192.0.2.9", "{forwarded}");
    }
    for fields in [
        [
            ("X-Forwarded-For", "192.0.2.9"),
            ("Forwarded", "for=unknown"),
        ],
        [
            ("X-Forwarded-For", "unknown"),
            ("Forwarded", "for=192.0.2.9"),
        ],
    ] {
        let response = gateway.send(&request(&fields)).await;
        assert_eq!(response.status, 400, "{fields:?}");
    }
}

#[tokio::test]
async fn proxies_that_contradict_each_other_are_refused() {
    let php = PhpFpm::start(2).await;
    let fields = [
        ("X-Forwarded-For", "192.0.2.9"),
        ("Forwarded", "for=6.6.6.6"),
    ];
    let gateway_of_any = gateway(&php, TRUSTED).await;
    assert_eq!(gateway_of_any.send(&request(&fields)).await.status, 400);
    gateway_of_any
        .access
        .wait_for(|line| line.contains("\" 400 "))
        .await;
    for (family, expected) in [("x-forwarded-for", "192.0.2.9"), ("forwarded", "6.6.6.6")] {
        let server = format!("{TRUSTED}trusted_fields = \"{family}\"\n");
        let gateway = gateway(&php, &server).await;
        assert_eq!(seen(&gateway, &fields).await["REMOTE_ADDR"], expected);
    }
}

#[tokio::test]
async fn the_log_access_and_redirects_follow_the_client() {
    let php = PhpFpm::start(1).await;
    let site = php.site();
    let gateway = Gateway::start(&format!(
        "[server]\n{TRUSTED}{site}https = true\ndeny = [\"203.0.113.0/24\"]\n"
    ))
    .await;
    php.write("dump.php", DUMP);
    let ask = |client: &str, scheme: &str| {
        request(&[("X-Forwarded-For", client), ("X-Forwarded-Proto", scheme)])
    };
    let answer = gateway.send(&ask("192.0.2.1", "http")).await;
    assert_eq!(answer.status, 308);
    let answer = gateway.send(&ask("192.0.2.2", "https")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("strict-transport-security").is_some());
    assert_eq!(gateway.send(&ask("203.0.113.9", "https")).await.status, 403);
    gateway
        .access
        .wait_for(|line| line.starts_with("192.0.2.2 ") && line.contains("\" 200 "))
        .await;
    gateway
        .access
        .wait_for(|line| line.starts_with("203.0.113.9 ") && line.contains("\" 403 "))
        .await;
}

#[tokio::test]
async fn allow_keeps_everybody_else_out_before_any_rule() {
    let rules = "rule = [{ respond = { body = \"in\" } }]\n";
    for (keys, status) in [
        ("allow = [\"127.0.0.1\"]\n", 200),
        ("allow = [\"private\"]\n", 200),
        ("allow = [\"192.0.2.0/24\"]\n", 403),
        ("allow = [\"127.0.0.0/8\"]\ndeny = [\"127.0.0.1\"]\n", 403),
        ("deny = [\"192.0.2.0/24\"]\n", 200),
    ] {
        let gateway = Gateway::start(&format!("[[site]]\n{keys}{rules}")).await;
        assert_eq!(gateway.get("/").await.status, status, "{keys}");
    }
}
