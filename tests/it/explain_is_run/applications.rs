//! Applications by one word, and applications and files below a path.

use super::comparison::Expected;
use super::question::{ANY_HOST, PLAIN, Question, Table};
use super::stand::{Stand, compare_each, text};

const PRESETS: [&str; 8] = [
    "slim",
    "laravel",
    "symfony",
    "wordpress",
    "drupal",
    "mediawiki",
    "nextcloud",
    "phpmyadmin",
];

const FILES: [&str; 26] = [
    "public/index.php",
    "public/other.php",
    "public/remote.php",
    "public/wp-login.php",
    "public/wp-config.php",
    "public/wp-admin/index.php",
    "public/wp-content/uploads/evil.php",
    "public/wp-content/uploads/photo.jpg",
    "public/wp-content/debug.log",
    "public/core/install.php",
    "public/sites/default/files/evil.php",
    "public/sites/default/private/secret.txt",
    "public/storage/photo.jpg",
    "public/build/assets/app-4ed993c7.js",
    "public/build/app.3f2a9c1e.css",
    "public/images/deleted/x.jpg",
    "public/LocalSettings.php",
    "public/data/secret.txt",
    "public/config/config.php",
    "public/config.inc.php",
    "public/setup/index.php",
    "public/libraries/evil.php",
    "public/composer.json",
    "public/style.css",
    "public/folder/readme.txt",
    "public/folder/index.html",
];

const OTHER_FILES: [&str; 5] = [
    "other/start.php",
    "other/index.php",
    "other/photo.jpg",
    "other/list/a.txt",
    "other/list/a.txt.gz",
];

const TARGETS: &[&str] = &[
    "/",
    "/hello/World?x=1",
    "/index.php/route",
    "/other.php",
    "/remote.php/dav/files",
    "/remote/dav",
    "/wp-login.php",
    "/wp-config.php",
    "/wp-admin",
    "/wp-admin/",
    "/wp-content/uploads/evil.php",
    "/wp-content/uploads/evil.php/x.jpg",
    "/wp-content/uploads/photo.jpg",
    "/wp-content/uploads/missing.jpg",
    "/wp-content/debug.log",
    "/core/install.php",
    "/sites/default/files/evil.php",
    "/sites/default/private/secret.txt",
    "/storage/photo.jpg",
    "/build/assets/app-4ed993c7.js",
    "/build/app.3f2a9c1e.css",
    "/images/deleted/x.jpg",
    "/LocalSettings.php",
    "/wiki/Main_Page",
    "/.well-known/carddav",
    "/.well-known/webfinger",
    "/data/secret.txt",
    "/occ",
    "/setup/index.php",
    "/composer.json",
    "/style.css",
    "/style.css?v=1",
    "/favicon.ico",
    "/folder/",
];

const MOUNTS: &str = r#"
[upstream.app]
servers = ["{php}"]

[[site]]
hosts = ["mounts.test"]
root = "{folder}/public"
php = "app"
compress = { precompressed = true }
files = { listing = true }

[[site.rule]]
prefix = "/my"
response_headers = { set = { X-Mine = "$rest" } }
set_env = { MINE = "$rest" }

[[site.mount]]
path = "/my/app/"
root = "{folder}/public"
preset = "slim"

[[site.mount]]
path = "/my/"
root = "{folder}/other"
front_controller = "start.php"

[[site.mount]]
path = "/media/"
root = "{folder}/other"
php = ""
files = { listing = true, cache = [{ expires = "1d" }] }

[[site.error_page]]
status = ["404"]
path = "/my/app/error"

[[site]]
hosts = ["rootless.test"]
php = "app"

[[site.mount]]
path = "/app"
root = "{folder}/public"
index = ["style.css"]
front_controller = ""
"#;

fn files() -> Vec<(&'static str, String)> {
    let names = FILES.iter().chain(&OTHER_FILES);
    names.map(|name| (*name, text(1500))).collect()
}

#[tokio::test]
async fn presets() {
    let table = Table {
        hosts: ANY_HOST,
        methods: &["GET", "POST"],
        targets: TARGETS,
        fields: &[PLAIN],
    };
    let is_kept =
        |question: &Question| question.method == "GET" || question.target.ends_with(".php");
    let configs = PRESETS.map(|preset| {
        let config = format!(
            "[[site]]\nroot = \"{{folder}}/public\"\nphp = \"{{php}}\"\npreset = \"{preset}\"\n"
        );
        (preset, config)
    });
    compare_each(configs, &table.some(is_kept), &files())
        .await
        .finish(&Expected {
            questions: 336,
            calls: 130,
            statuses: &[200, 301, 404],
            causes: &["DENIED", "NOT_FOUND"],
        });
}

#[tokio::test]
async fn mounts() {
    let stand = Stand::start(MOUNTS, &files()).await;
    let table = Table {
        hosts: &["mounts.test", "rootless.test"],
        methods: &["GET", "HEAD", "POST", "OPTIONS"],
        targets: &[
            "/",
            "/folder/",
            "/my",
            "/my/",
            "/my/start.php/x",
            "/my/nothing",
            "/my/app",
            "/my/app/",
            "/my/app/hello?x=1",
            "/my/app/style.css",
            "/my/app/index.php/a",
            "/my/app/other.php",
            "/media",
            "/media/",
            "/media/list/",
            "/media/photo.jpg",
            "/media/index.php",
            "/media/missing.jpg",
            "/media/list/a.txt",
            "/app",
            "/app/",
            "/app/other.php/x",
            "/app/nothing",
        ],
        fields: &[PLAIN, &[("Accept-Encoding", "gzip")]],
    };
    // What is coded is no matter of these.
    let is_kept = |question: &Question| {
        question.fields.is_empty() || matches!(question.method, "GET" | "POST")
    };
    stand.compare(&table.some(is_kept)).await.finish(&Expected {
        questions: 276,
        calls: 80,
        statuses: &[200, 301, 404, 405],
        causes: &["METHOD_NOT_ALLOWED", "NAME_WITHHELD", "NOT_FOUND"],
    });
}
