//! Applications at paths of a site: what they are told of where they stand, and what nobody reaches by it.

use std::path::Path;

use serde_json::Value;

use crate::harness::apache::{Apache, let_it_read};
use crate::harness::php_fpm::{Setup, write_below};
use crate::harness::{Gateway, PhpFpm, Request, Response};

const SERVER: &str = "<?php header('Content-Type: application/json'); echo json_encode($_SERVER);";

/// The Slim application of the examples, as it is, below a path.
#[tokio::test]
async fn slim_finds_its_routes_below_a_path() {
    let php = PhpFpm::start(2).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/slim/public");
    let config = format!(
        "[[site]]\nphp = \"{}\"\n[[site.mount]]\npath = \"/my/app/\"\nroot = \"{}\"\npreset = \"slim\"\n",
        php.address(),
        root.display()
    );
    let gateway = Gateway::start(&config).await;
    let home = gateway.get("/my/app/").await;
    assert_eq!(home.status, 200, "{}", home.text());
    for link in [
        "/my/app/style.css",
        "/my/app/form",
        "/my/app/hello/w%C3%B6rld",
    ] {
        assert!(home.text().contains(&format!("\"{link}\"")), "{link}");
        assert_eq!(gateway.get(link).await.status, 200, "{link}");
    }
    let style = gateway.get("/my/app/style.css").await;
    assert_eq!(
        style.header("content-type"),
        Some("text/css; charset=utf-8")
    );
    let hello = gateway.get("/my/app/hello/Ada").await;
    assert!(hello.text().contains("Ada"), "{}", hello.text());
    let form = Request::post("/my/app/form")
        .field("Content-Type", "application/x-www-form-urlencoded")
        .body("name=Ada&message=hi");
    assert!(gateway.send(&form).await.text().contains("Ada"));
    let shown = gateway.get("/my/app/json?color=blue").await.json();
    assert_eq!(shown["query"]["color"], "blue");
    assert_eq!(shown["server"]["SCRIPT_NAME"], "/my/app/index.php");
    let direct = gateway.get("/my/app/index.php/hello/Ada").await;
    assert_eq!(direct.status, 200, "{}", direct.text());
    let folder = gateway.get("/my/app?a=b").await;
    assert_eq!(folder.status, 301);
    assert_eq!(folder.header("location"), Some("/my/app/?a=b"));
    // Slim's own page, not the gateway's.
    let missing = gateway.get("/my/app/no/such/page").await;
    assert_eq!(missing.status, 404);
    assert!(missing.text().contains("/my/app/"), "{}", missing.text());
    for outside in ["/", "/my/", "/my/apple", "/hello/Ada", "/style.css"] {
        let response = gateway.get(outside).await;
        assert_eq!(
            (response.status, first_line(&response).as_str()),
            (404, "404 Not Found"),
            "{outside}"
        );
    }
}

/// Of a page of the gateway's own, what does not differ from request to request.
fn first_line(response: &Response) -> String {
    response
        .text()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

const TOLD: [&str; 10] = [
    "SCRIPT_NAME",
    "SCRIPT_FILENAME",
    "PATH_INFO",
    "PATH_TRANSLATED",
    "PHP_SELF",
    "DOCUMENT_ROOT",
    "CONTEXT_PREFIX",
    "CONTEXT_DOCUMENT_ROOT",
    "REQUEST_URI",
    "QUERY_STRING",
];

pub(crate) fn told(server: &Value) -> Vec<(&'static str, String)> {
    let value = |name| (name, server[name].to_string());
    TOLD.map(value).into()
}

#[tokio::test]
async fn a_script_is_told_the_same_as_behind_an_alias_of_apache() {
    let php = Setup::new(2).tcp().start().await;
    php.write("unused.txt", "");
    let app = php.root().with_file_name("app");
    for script in ["index.php", "info.php", "sub/index.php"] {
        write_below(&app, script, SERVER);
    }
    let (site, app) = (php.root().display().to_string(), app.display().to_string());
    let_it_read(php.root().parent().unwrap());
    let apache = Apache::start(&format!(
        "DocumentRoot {site}\nAlias /my/app {app}\n<Directory {app}>\nRequire all granted\nDirectoryIndex index.php\nFallbackResource /my/app/index.php\n</Directory>\n<FilesMatch \\.php$>\nSetHandler \"proxy:fcgi://{}\"\n</FilesMatch>\n",
        php.address()
    ))
    .await;
    let mount = format!("[[site.mount]]\npath = \"/my/app\"\nroot = \"{app}\"\n");
    let gateway = Gateway::start(&(php.site() + &mount)).await;
    for target in [
        "/my/app/info.php",
        "/my/app/info.php?a=1",
        "/my/app/info.php/x/y%20z",
        "/my/app/",
        "/my/app/sub/",
        "/my/app/sub/index.php/",
        "/my/app/hello/w%C3%B6rld?b=2",
    ] {
        let request = Request::get(target).field("Host", "localhost");
        let ours = told(&gateway.send(&request).await.json());
        let theirs = told(&apache.send(&request).await.json());
        assert_eq!(ours, theirs, "{target}");
    }
}

#[tokio::test]
async fn a_mount_without_php_sends_files_and_runs_nothing() {
    let php = PhpFpm::start(1).await;
    php.write("index.php", "<?php echo 'site';");
    let media = php.root().with_file_name("media");
    for (name, content) in [
        ("a.txt", "a"),
        ("sub/index.html", "sub"),
        ("evil.php", "<?php echo 'evil';"),
        (".env", "secret"),
        ("index.php", "<?php echo 'evil';"),
    ] {
        write_below(&media, name, content);
    }
    let mount = format!(
        "[[site.mount]]\npath = \"/media/\"\nroot = \"{}\"\nphp = \"\"\nindex = \"index.html\"\n",
        media.display()
    );
    let gateway = Gateway::start(&(php.site() + &mount)).await;
    for (target, expected) in [
        ("/media/a.txt", (200, "a")),
        ("/media/sub/", (200, "sub")),
        ("/media/evil.php", (404, "404 Not Found")),
        ("/media/evil.php/a.txt", (404, "404 Not Found")),
        ("/media/index.php", (404, "404 Not Found")),
        ("/media/.env", (404, "404 Not Found")),
        ("/media/missing", (404, "404 Not Found")),
        ("/media/", (404, "404 Not Found")),
        ("/media/../evil.php", (200, "site")),
        ("/mediaevil.php", (200, "site")),
        ("/a.txt", (200, "site")),
    ] {
        let response = gateway.get(target).await;
        assert_eq!(
            (response.status, first_line(&response).as_str()),
            expected,
            "{target}"
        );
    }
    let folder = gateway.get("/media/sub").await;
    assert_eq!(folder.header("location"), Some("/media/sub/"));
    let script = gateway
        .send(&Request::post("/media/evil.php").body("x"))
        .await;
    assert_eq!(script.status, 404);
}

#[tokio::test]
async fn mounts_may_lie_in_one_another_and_shadow_the_site() {
    let php = PhpFpm::start(2).await;
    let script = |name: &str| format!("<?php echo '{name} ', $_SERVER['SCRIPT_NAME'];");
    php.write("index.php", script("site"));
    php.write("shop/index.php", script("hidden"));
    php.write("shop/only-here.txt", "hidden");
    let shop = php.root().with_file_name("shop");
    let blog = php.root().with_file_name("blog");
    write_below(&shop, "index.php", script("shop"));
    write_below(&shop, "blog/index.php", script("hidden"));
    write_below(&blog, "index.php", script("blog"));
    write_below(&blog, "admin/index.php", script("admin"));
    let mounts = format!(
        "[[site.mount]]\npath = \"/shop\"\nroot = \"{}\"\n[[site.mount]]\npath = \"/shop/blog\"\nroot = \"{}\"\nphp = \"php\"\n[upstream.php]\nservers = \"{}\"\n",
        shop.display(),
        blog.display(),
        php.address()
    );
    let gateway = Gateway::start(&(php.site() + &mounts)).await;
    for (target, expected) in [
        ("/", "site /index.php"),
        ("/x", "site /index.php"),
        ("/shop/", "shop /shop/index.php"),
        ("/shop/only-here.txt", "shop /shop/index.php"),
        ("/shop/index.php/x", "shop /shop/index.php"),
        ("/shop/blog/", "blog /shop/blog/index.php"),
        ("/shop/blog/post", "blog /shop/blog/index.php"),
        ("/shop/blog/admin/", "admin /shop/blog/admin/index.php"),
        ("/shop/blogs", "shop /shop/index.php"),
    ] {
        assert_eq!(gateway.get(target).await.text(), expected, "{target}");
    }
}

#[tokio::test]
async fn the_list_of_a_mounted_folder_has_its_path() {
    let site = "[[site]]\n[[site.mount]]\npath = \"/my/media\"\nroot = \"{root}\"\nfiles = { listing = true }\n";
    let gateway = Gateway::with(site).files(&["sub/a.txt", "sub/.hidden"], "a");
    let gateway = gateway.start().await;
    let request = Request::get("/my/media/sub/").field("Accept", "application/json");
    let list = gateway.send(&request).await.text();
    assert!(
        list.contains("/my/media/sub/") && list.contains("a.txt"),
        "{list}"
    );
    assert!(!list.contains(".hidden"), "{list}");
}

/// A folder that the site lists, and two mounts beside it.
#[tokio::test]
async fn a_mount_is_listed_where_it_says_so_itself() {
    let site = "[[site]]
root = \"{root}/site\"
files = { listing = true, types = { md = \"text/x-site\" } }
[[site.mount]]
path = \"/quiet\"
root = \"{root}/quiet\"
[[site.mount]]
path = \"/open\"
root = \"{root}/open\"
files = { listing = true, types = { md = \"text/x-mount\" }, cache = [{ expires = \"1h\" }] }
";
    let files = ["site/sub/a.md", "quiet/sub/a.md", "open/sub/a.md"];
    let gateway = Gateway::with(site).files(&files, "a").start().await;
    for (target, status) in [("/sub/", 200), ("/quiet/sub/", 404), ("/open/sub/", 200)] {
        assert_eq!(gateway.get(target).await.status, status, "{target}");
    }
    for (target, media_type, cache) in [
        ("/sub/a.md", "text/x-site; charset=utf-8", None),
        ("/quiet/sub/a.md", "text/x-site; charset=utf-8", None),
        (
            "/open/sub/a.md",
            "text/x-mount; charset=utf-8",
            Some("max-age=3600"),
        ),
    ] {
        let response = gateway.get(target).await;
        assert_eq!(
            response.header("content-type"),
            Some(media_type),
            "{target}"
        );
        assert_eq!(response.header("cache-control"), cache, "{target}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_files_of_a_mount_is_told_at_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fcgate.toml");
    let config = "[[site]]\nroot = \"/tmp\"\n[[site.mount]]\npath = \"/a\"\nroot = \"/tmp\"\nfiles = { types = { md = \"\\n\" } }\n";
    std::fs::write(&file, config).unwrap();
    let output = crate::harness::gateway::check(&file);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && text.contains("fcgate.toml:6"),
        "{text}"
    );
    assert_eq!(text.matches("error").count(), 1, "{text}");
}
