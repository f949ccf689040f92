//! Which rule answers, and the actions that need no application.

use crate::harness::php_fpm::write_below;
use crate::harness::{Files, Gateway, GatewaySetup, Request, Script, ScriptedResponder};

/// The body that `method` on `host` and `target` gets.
async fn check(gateway: &Gateway, (method, host, target): (&str, &str, &str), expected: &str) {
    let response = gateway
        .send(&Request::new(method, target).field("Host", host))
        .await;
    assert_eq!(response.text(), expected, "{method} {host} {target}");
}

#[tokio::test]
async fn every_condition_and_its_negation() {
    let config = r#"
        [[site]]
        rule = [
            { path = ["/exact", "/also exact"], respond = { body = "path" } },
            { prefix = "/api/", method = ["POST", "PUT"], respond = { body = "method" } },
            { prefix = "/api/", not = { method = ["DELETE"], path = "/api/no" }, respond = { body = "prefix" } },
            { match = '^/(?<year>\d{4})/', respond = { body = "match" } },
            { extension = ["css", "js"], respond = { body = "extension" } },
            { host = ["a.example", "*.b.example"], path = "/host", respond = { body = "host" } },
            { not = { prefix = "/last" }, respond = { body = "none" } },
            { respond = { body = "last" } },
        ]
    "#;
    let gateway = Gateway::start(config).await;
    let expected = [
        (("GET", "x", "/exact"), "path"),
        (("GET", "x", "/also%20exact?q"), "path"),
        (("GET", "x", "//./ex%61ct"), "path"),
        (("GET", "x", "/exact/"), "none"),
        (("POST", "x", "/api/1"), "method"),
        (("PUT", "x", "/api/1"), "method"),
        (("GET", "x", "/api/1"), "prefix"),
        (("DELETE", "x", "/api/1"), "none"),
        (("GET", "x", "/api/no"), "none"),
        (("GET", "x", "/apis"), "none"),
        (("GET", "x", "/2024/x"), "match"),
        (("GET", "x", "/a/style.css"), "extension"),
        (("GET", "x", "/a/style.scss"), "none"),
        (("GET", "x", "/css"), "none"),
        (("GET", "a.example", "/host"), "host"),
        (("GET", "c.b.example:80", "/host"), "host"),
        (("GET", "x", "/host"), "none"),
        (("GET", "x", "/last/x"), "last"),
        (("GET", "x", "/laster"), "none"),
    ];
    for (request, body) in expected {
        check(&gateway, request, body).await;
    }
}

#[tokio::test]
async fn redirects_carry_what_the_rule_found() {
    let config = r#"
        [[site]]
        encoded_slash = "keep"
        rule = [
            { prefix = "/old/", redirect = { to = "/new/$rest", status = 301 } },
            { match = '^/wiki/(?<page>.+)/(\d+)$', redirect = { to = "/w/$2/${page}", status = 307 } },
            { match = '^/q/(.*)$', redirect = { to = "/search?for=$1" } },
            { path = "/out", redirect = { to = "https://$host/over$path", status = 308 } },
        ]
    "#;
    let gateway = Gateway::start(config).await;
    let expected = [
        ("/old/a/b?x=1", 301, "/new/a/b?x=1"),
        ("/old/a%20b/%C3%A4", 301, "/new/a%20b/%C3%A4"),
        ("/wiki/main/7", 307, "/w/7/main"),
        ("/q/x?y=2", 302, "/search?for=x"),
        ("/out", 308, "https://a.example/over/out"),
    ];
    for (target, status, location) in expected {
        let response = gateway
            .send(&Request::get(target).field("Host", "a.example"))
            .await;
        assert_eq!(
            (response.status, response.header("location")),
            (status, Some(location)),
            "{target}"
        );
    }
}

#[tokio::test]
async fn no_client_chooses_where_others_are_sent() {
    let config = r#"
        [[site]]
        rule = [
            { match = '^/open(.*)$', redirect = { to = "$1" } },
            { prefix = "/rest", redirect = { to = "$rest" } },
            { match = '^/host(.*)$', redirect = { to = "https://example.com$1" } },
            { match = '^/sub/(.*)/x$', redirect = { to = "https://$1.example.com/x" } },
            { path = "/header", redirect = { to = "${header:X-To}" } },
            { prefix = "/cdn/", redirect = { to = "//cdn.example.com/$rest" } },
        ]
    "#;
    let gateway = Gateway::start(config).await;
    let expected = [
        (
            "/rest/https:/evil.example/login",
            "/https:/evil.example/login",
        ),
        ("/rest", "/"),
        ("/openjavascript:alert(1)", "/javascript:alert(1)"),
        ("/open", "/"),
        (
            "/host@evil.example/x",
            "https://example.com/@evil.example/x",
        ),
        ("/host.evil.example", "https://example.com/.evil.example"),
        ("/host/a", "https://example.com/a"),
        ("/host", "https://example.com/"),
        ("/sub/de/x", "https://de.example.com/x"),
        (
            "/sub/evil.example/y/x",
            "https://evil.exampley.example.com/x",
        ),
        ("/header", "/https://evil.example/"),
        ("/cdn/a.js", "//cdn.example.com/a.js"),
    ];
    for (target, location) in expected {
        let request = Request::get(target).field("X-To", "https://evil.example/");
        let response = gateway.send(&request).await;
        assert_eq!(response.header("location"), Some(location), "{target}");
    }
}

#[tokio::test]
async fn no_name_in_a_path_becomes_a_host() {
    let config = r#"
        [[site]]
        encoded_slash = "keep"
        rule = [
            { match = '^/open(.*)$', redirect = { to = "$1" } },
            { prefix = "/old/", redirect = { to = "/new/$rest" } },
        ]
    "#;
    let gateway = Gateway::start(config).await;
    for target in [
        "/open//evil.example",
        "/open/%2Fevil.example",
        "/open/%5Cevil.example",
        "/old//evil.example/%0d%0aX:1",
    ] {
        let response = gateway.get(target).await;
        let location = response.header("location").unwrap_or_default();
        assert!(
            !location.starts_with("//") && !location.starts_with("/\\"),
            "{target} leads to {location}"
        );
        assert_eq!(response.header("x"), None, "{target}");
    }
}

#[tokio::test]
async fn answers_and_refusals() {
    let config = r#"
        [[site]]
        rule = [
            { path = "/teapot", respond = { status = 418, body = "{}", content_type = "application/json" } },
            { path = "/plain", respond = { body = "text" } },
            { path = "/empty", respond = { status = 204 } },
            { path = "/secret", deny = true },
            { path = "/hidden", deny = { status = 404 } },
        ]
    "#;
    let gateway = Gateway::start(config).await;
    let teapot = gateway.get("/teapot").await;
    assert_eq!((teapot.status, teapot.text().as_str()), (418, "{}"));
    assert_eq!(teapot.header("content-type"), Some("application/json"));
    assert_eq!(
        gateway.get("/plain").await.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    for (target, status) in [
        ("/empty", 204),
        ("/secret", 403),
        ("/hidden", 404),
        ("/nothing", 404),
    ] {
        assert_eq!(gateway.get(target).await.status, status, "{target}");
    }
}

#[tokio::test]
async fn rules_are_tried_in_order_and_may_decline() {
    let responder = ScriptedResponder::start([Script::answer("\nscript")]).await;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("public");
    write_below(&root, "file.txt", "file");
    write_below(&root, "script.php", "");
    let config = format!(
        r#"
        [[site]]
        root = "{root}"
        rule = [
            {{ fastcgi = {{ upstream = "{application}", missing = "decline" }} }},
            {{ prefix = "/no/", static_files = {{}} }},
            {{ static_files = {{ missing = "decline" }} }},
            {{ respond = {{ body = "last" }} }},
        ]
        "#,
        root = root.display(),
        application = responder.address(),
    );
    let gateway = Gateway::start(&config).await;
    for (target, body) in [
        ("/script.php/x", "script"),
        ("/file.txt", "file"),
        ("/other", "last"),
        ("/other.php", "last"),
    ] {
        check(&gateway, ("GET", "x", target), body).await;
    }
    assert_eq!(gateway.get("/no/file.txt").await.status, 404);
    let request = responder.requests().remove(0);
    assert_eq!(
        (request.param("SCRIPT_NAME"), request.param("PATH_INFO")),
        ("/script.php", "/x")
    );
}

#[tokio::test]
async fn a_fastcgi_rule_names_script_and_path_info() {
    let responder = ScriptedResponder::start([Script::answer("\n")]).await;
    let config = format!(
        r#"
        [upstream.app]
        servers = "{}"
        backend_root = "/app/public"
        [[site]]
        root = "/srv/app/public"
        [[site.rule]]
        match = '^/wiki/(.*)$'
        fastcgi = {{ upstream = "app", script = "/srv/app/public/wiki.php", path_info = "/$1", missing = "pass" }}
        "#,
        responder.address()
    );
    let gateway = Gateway::start(&config).await;
    assert_eq!(
        gateway.get("/wiki/Main%20Page?action=edit").await.status,
        200
    );
    let request = responder.requests().remove(0);
    let expected = [
        ("SCRIPT_FILENAME", "/app/public/wiki.php"),
        ("DOCUMENT_ROOT", "/app/public"),
        ("PATH_INFO", "/Main Page"),
        ("PATH_TRANSLATED", "/app/public/Main Page"),
        ("QUERY_STRING", "action=edit"),
        ("REQUEST_URI", "/wiki/Main%20Page?action=edit"),
    ];
    for (name, value) in expected {
        assert_eq!(request.param(name), value, "{name}");
    }
}

/// A site whose root has the files `a.php` and `sub/b.php`, with these rules.
fn of_apache(responder: &ScriptedResponder, rules: &str) -> GatewaySetup<Files> {
    let address = responder.address().to_string();
    let site =
        format!("[upstream.app]\nservers = [\"{address}\"]\n[[site]]\nroot = \"{{root}}\"\n");
    Gateway::with(&site)
        .section(&rules.replace("APP", &address))
        .files(&["a.php", "sub/b.php"], "")
}

#[tokio::test]
async fn proxy_pass_match_is_understood() {
    let responder = ScriptedResponder::start([Script::answer("\nscript")]).await;
    let rules = r#"
        [[site.rule]]
        proxy_pass_match = '^/a\.php$'
        to = "APP|fcgi://localhost{root}"
        [[site.rule]]
        proxy_pass_match = '^/(.*\.php(/.*)?)$'
        to = "fcgi://app{root}/$1"
    "#;
    let gateway = of_apache(&responder, rules).start().await;
    let root = gateway.root().display().to_string();
    for target in ["/a.php", "/sub/b.php/more/x?q=1"] {
        assert_eq!(gateway.get(target).await.text(), "script", "{target}");
    }
    let expected = [("/a.php", ""), ("/sub/b.php", "/more/x")];
    for (request, (script, path_info)) in responder.requests().iter().zip(expected) {
        assert_eq!(request.param("SCRIPT_FILENAME"), format!("{root}{script}"));
        assert_eq!(
            (request.param("SCRIPT_NAME"), request.param("PATH_INFO")),
            (script, path_info)
        );
    }
}

#[tokio::test]
async fn proxy_pass_match_excludes() {
    let responder = ScriptedResponder::start([Script::answer("\nscript")]).await;
    let rules = r#"
        [[site.rule]]
        proxy_pass_match = '^/sub/'
        to = "!"
        [[site.rule]]
        proxy_pass_match = '^/(.*\.php)$'
        to = "fcgi://app{root}/$1"
    "#;
    let gateway = of_apache(&responder, rules).start().await;
    assert_eq!(
        gateway.get("/sub/b.php").await.status,
        404,
        "never sent as a file either"
    );
    assert_eq!(responder.requests(), []);
    assert_eq!(gateway.get("/a.php").await.text(), "script");
}

#[tokio::test]
async fn an_encoded_slash_means_what_the_site_says() {
    let site = |host: &str, meaning: &str| {
        format!(
            "[[site]]\nhosts = [\"{host}\"]\nencoded_slash = \"{meaning}\"\nrule = [{{ prefix = \"/a/b\", respond = {{ body = \"two\" }} }}, {{ respond = {{ body = \"one\" }} }}]\n"
        )
    };
    let gateway = Gateway::start(
        &["reject", "keep", "decode"]
            .map(|meaning| site(meaning, meaning))
            .concat(),
    )
    .await;
    let answer = async |host: &str| {
        gateway
            .send(&Request::get("/a%2Fb").field("Host", host))
            .await
    };
    assert_eq!(answer("reject").await.status, 404);
    assert_eq!(answer("keep").await.text(), "one");
    assert_eq!(answer("decode").await.text(), "two");
}

#[tokio::test]
async fn a_rule_about_scripts_sees_those_that_path_info_follows() {
    let config = r#"
        [[site]]
        rule = [
            { prefix = "/uploads/", extension = ["php"], deny = true },
            { respond = { body = "served" } },
        ]
    "#;
    let gateway = Gateway::start(config).await;
    for (target, status) in [
        ("/uploads/evil.php", 403),
        ("/uploads/evil.PHP", 403),
        ("/uploads/evil.php/", 403),
        ("/uploads/evil.php/x.jpg", 403),
        ("/uploads/evil%2ephp/x", 403),
        ("/uploads/a.jpg", 200),
        ("/uploads/php", 200),
        ("/evil.php", 200),
    ] {
        assert_eq!(gateway.get(target).await.status, status, "{target}");
    }
}

/// What is asked for, and where that leads.
const QUERIES: [(&str, &str); 28] = [
    ("/all", "https://other.example/all"),
    ("/all?x=1&y=2", "https://other.example/all?x=1&y=2"),
    ("/%61ll?x=%26", "https://other.example/%61ll?x=%26"),
    ("/more", "/new/more?a=b"),
    ("/more?x=1", "/new/more?x=1&a=b"),
    ("/login", "/in?next=/login"),
    ("/login?x=1&y=%20", "/in?next=/login%3Fx%3D1%26y%3D%2520"),
    ("/own", "/new"),
    ("/own?", "/new"),
    ("/own?x=1", "/new?x=1"),
    ("/own?x=1&", "/new?x=1"),
    ("/add", "/new?a=b"),
    ("/add?x=1", "/new?a=b&x=1"),
    ("/front", "/new?a=b"),
    ("/front?x=1&", "/new?x=1&a=b"),
    ("/none", "/new"),
    ("/none?x=1", "/new"),
    ("/kept?", "/new"),
    ("/kept?x=1", "/new?x=1"),
    ("/kept?&", "/new"),
    ("/kept?x=\u{fc}", "/new?x=%C3%BC"),
    ("/part", "/new#part"),
    ("/part?x=1", "/new?x=1#part"),
    ("/parts?x=1", "/new?a=b#part?x"),
    ("/same", "/same?a=b"),
    ("/same?x=1", "/same?a=b"),
    ("/find/a%26b=c", "/search?for=a%26b%3Dc"),
    (
        "/find2/x?evil.example/",
        "https://evil.example.example.com/x?evil.example/",
    ),
];

#[tokio::test]
async fn a_query_is_neither_doubled_nor_misplaced() {
    let config = r#"
        [[site]]
        rule = [
            { path = "/all", redirect = { to = "https://other.example$uri" } },
            { path = "/more", redirect = { to = "/new$uri?a=b" } },
            { path = "/login", redirect = { to = "/in?next=$uri" } },
            { path = "/own", redirect = { to = "/new?$query" } },
            { path = "/add", redirect = { to = "/new?a=b&$query" } },
            { path = "/front", redirect = { to = "/new?$query&a=b" } },
            { path = "/none", redirect = { to = "/new?" } },
            { path = "/kept", redirect = { to = "/new" } },
            { path = "/part", redirect = { to = "/new#part" } },
            { path = "/parts", redirect = { to = "/new?a=b#part?x" } },
            { path = "/same", redirect = { to = "?a=b" } },
            { match = '^/find/(.*)$', redirect = { to = "/search?for=$1" } },
            { match = '^/find2/(.*)$', redirect = { to = "https://${query}.example.com/$1" } },
        ]
    "#;
    let gateway = Gateway::start(config).await;
    for (target, location) in QUERIES {
        let response = gateway.get(target).await;
        assert_eq!(response.header("location"), Some(location), "{target}");
    }
}

#[tokio::test]
async fn a_rewrite_gives_the_query_that_it_says() {
    let responder = ScriptedResponder::start([Script::answer("\n")]).await;
    let rules = r#"
        rule = [
            { request_headers = { set = { X-Path = "$path" } } },
            { prefix = "/done", fastcgi = { upstream = "APP", script = "/srv/app/index.php", missing = "pass" } },
            { path = ["/all", "/a b"], rewrite = { to = "/done$uri" } },
            { path = "/more", rewrite = { to = "/done$uri?a=b" } },
            { path = "/value", rewrite = { to = "/done?next=$uri" } },
            { path = "/add", rewrite = { to = "/done?a=b&$query" } },
            { path = "/none", rewrite = { to = "/done?$query" } },
            { path = "/kept", rewrite = { to = "/done" } },
            { path = "/first", rewrite = { to = "/second?z=1" } },
            { path = "/second", rewrite = { to = "/done$uri" } },
        ]
    "#;
    let rules = rules.replace("APP", &responder.address().to_string());
    let gateway = Gateway::start(&format!("[[site]]\nroot = \"/srv/app\"\n{rules}")).await;
    for (target, path, query) in [
        ("/all", "/done/all", ""),
        ("/all?x=1&y=2", "/done/all", "x=1&y=2"),
        ("/a%20b?x=1", "/done/a b", "x=1"),
        ("/more?x=1", "/done/more", "x=1&a=b"),
        ("/more", "/done/more", "a=b"),
        ("/value?x=1", "/done", "next=/value%3Fx%3D1"),
        ("/add", "/done", "a=b"),
        ("/add?x=1", "/done", "a=b&x=1"),
        ("/none", "/done", ""),
        ("/none?x=1&", "/done", "x=1"),
        ("/kept?x=1&", "/done", "x=1&"),
        // What the client asked for, whatever became of it on the way.
        ("/first?x=1", "/done/first", "x=1"),
    ] {
        let seen = responder.requests().len();
        assert_eq!(gateway.get(target).await.status, 200, "{target}");
        let request = responder.requests().remove(seen);
        let told = ["REQUEST_URI", "QUERY_STRING", "HTTP_X_PATH"];
        let told = told.map(|name| request.param(name));
        assert_eq!(told, [target, query, path], "{target}");
    }
}

#[tokio::test]
async fn what_refuses_a_method_names_those_that_are_left() {
    let config = r#"
        [[site]]
        rule = [
            { path = "/page", not = { method = ["GET", "POST"] }, deny = { status = 405 } },
            { path = "/list", method = ["PUT", "DELETE"], deny = { status = 405 } },
            { path = "/any", any = [{ method = "PUT" }, { method = "PATCH", header = { name = "X-A" } }], deny = { status = 405 } },
            { path = "/never", deny = { status = 405 } },
            { path = "/fixed", not = { method = "GET" }, respond = { status = 405, body = "no" } },
            { path = "/said", respond = { status = 405, headers = { Allow = "MOVE" } } },
            { path = "/hidden", deny = { status = 404 } },
            { respond = { body = "ok" } },
        ]
        error_page = [{ status = ["405"], body = "not so" }]
    "#;
    let gateway = Gateway::start(config).await;
    for (method, target, allow) in [
        ("PUT", "/page", Some("GET, HEAD, POST")),
        ("DELETE", "/list", Some("GET, HEAD, POST, PATCH, OPTIONS")),
        ("PUT", "/any", Some("GET, HEAD, POST, DELETE, OPTIONS")),
        ("GET", "/never", Some("")),
        ("POST", "/fixed", Some("GET, HEAD")),
        ("GET", "/said", Some("MOVE")),
        ("GET", "/hidden", None),
    ] {
        let response = gateway.send(&Request::new(method, target)).await;
        assert_eq!(response.header("allow"), allow, "{method} {target}");
        let status = if allow.is_some() { 405 } else { 404 };
        assert_eq!(response.status, status, "{method} {target}");
    }
    assert_eq!(gateway.get("/page").await.text(), "ok");
}
