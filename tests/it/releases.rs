//! Deploys by a link: `current` leads to a release, and a request gets files, scripts and what they include from the one
//! that it began with.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::admin::metric;
use crate::harness::php_fpm::{Setup, write_below};
use crate::harness::{
    Address, Connection, Gateway, PATIENCE, PhpFpm, Request, Response, eventually, gateway, http1,
    require,
};

/// What a request sees of its release: by the paths that it gets, by its own text, and by that of an included file.
const INDEX: &str = r#"<?php
$here = include __DIR__ . "/version.php";
$paths = ["DOCUMENT_ROOT", "CONTEXT_DOCUMENT_ROOT", "SCRIPT_FILENAME", "PATH_TRANSLATED"];
$seen = ["own" => "RELEASE", "included" => $here, "cached" => opcache_is_script_cached(__FILE__)];
foreach ($paths as $name) {
    $seen[$name] = $_SERVER[$name] ?? null;
}
header("Content-Type: application/json");
echo json_encode($seen);
"#;

const SEND_FILE: &str = r#"<?php
header("X-Release: RELEASE");
header("X-Mapping: " . ($_SERVER["HTTP_X_ACCEL_MAPPING"] ?? ""));
if (isset($_GET["uri"])) {
    header("X-Accel-Redirect: /internal/asset.txt");
} else {
    header("X-Sendfile: " . dirname(__DIR__) . "/files/asset.txt");
}
"#;

/// An application with releases 1 to 11 and `current`, a link to the first.
struct Application {
    directory: TempDir,
}

impl Application {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        for release in 1..=11 {
            let name = release.to_string();
            let folder = directory.path().join("releases").join(&name);
            let of_release = |text: &str| text.replace("RELEASE", &name);
            write(&folder, "public/index.php", &of_release(INDEX));
            write(
                &folder,
                "public/version.php",
                &of_release("<?php return \"RELEASE\";"),
            );
            write(&folder, "public/send.php", &of_release(SEND_FILE));
            write(&folder, "public/asset.txt", &name);
            write(
                &folder,
                "public/error.php",
                &of_release(
                    "<?php echo \"RELEASE \", include __DIR__ . '/version.php', ' ', basename(dirname($_SERVER['DOCUMENT_ROOT']));",
                ),
            );
            write(&folder, "api/index.php", &of_release(INDEX));
            write(
                &folder,
                "api/version.php",
                &of_release("<?php return \"RELEASE\";"),
            );
            write(&folder, "files/asset.txt", &name);
        }
        let application = Self { directory };
        application.deploy(1);
        application
    }

    /// Returns the path without links: the temporary folder may be below one.
    fn base(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap()
    }

    fn deploy(&self, release: usize) {
        deploy(&self.base(), release);
    }

    /// Returns sections for a site at `current/public` with `php`, and keys or rules of the site behind it.
    fn config(&self, php: &PhpFpm, upstream: &str, site: &str) -> String {
        let base = self.base().display().to_string();
        format!(
            "[upstream.php]\nservers = \"{}\"\n{upstream}\n[[site]]\nroot = \"{base}/current/public\"\nphp = \"php\"\n{site}\n",
            php.address()
        )
        .replace("BASE", &base)
    }
}

/// Writes a file that is older than what opcache waits for (opcache.file_update_protection).
fn write(folder: &Path, name: &str, content: &str) {
    write_below(folder, name, content);
    let file = std::fs::File::options().write(true).open(folder.join(name));
    let old = SystemTime::now() - Duration::from_secs(3600);
    file.unwrap().set_modified(old).unwrap();
}

/// Exchanges the link by a rename, as `mv -T` does.
fn deploy(base: &Path, release: usize) {
    symlink(format!("releases/{release}"), base.join("next")).unwrap();
    std::fs::rename(base.join("next"), base.join("current")).unwrap();
}

/// PHP-FPM without opcache, with it, and with one that never looks at a file again.
fn pools() -> [(&'static str, Setup); 3] {
    let pool = |lines: &[&str]| {
        lines
            .iter()
            .fold(Setup::new(4), |setup, line| setup.line(line))
    };
    [
        (
            "without opcache",
            pool(&["php_admin_value[opcache.enable] = 0"]),
        ),
        (
            "with opcache",
            pool(&[
                "php_admin_value[opcache.enable] = 1",
                "php_admin_value[opcache.revalidate_freq] = 60",
            ]),
        ),
        (
            "without timestamps",
            pool(&[
                "php_admin_value[opcache.enable] = 1",
                "php_admin_value[opcache.validate_timestamps] = 0",
            ]),
        ),
    ]
}

/// Returns the release of a path below `releases`.
fn release_of(path: &Value) -> Option<usize> {
    let (_, rest) = path.as_str()?.split_once("/releases/")?;
    rest.split('/').next()?.parse().ok()
}

/// An answer: when its request began and when it ended, and the release in it.
type Answer = (Instant, Instant, usize);

/// What clients ask for: a page with PATH_INFO, a file, files that PHP names in two ways, and an error page.
const TARGETS: [&str; 5] = [
    "/index.php/info",
    "/asset.txt",
    "/send.php",
    "/send.php?uri",
    "/missing.txt",
];

/// Paths that a page gets.
const PATHS: [&str; 4] = [
    "DOCUMENT_ROOT",
    "CONTEXT_DOCUMENT_ROOT",
    "SCRIPT_FILENAME",
    "PATH_TRANSLATED",
];

/// Returns each mention of a release in an answer.
fn releases_in(target: &str, response: &Response) -> Vec<Option<usize>> {
    let text = response.text();
    match target {
        "/index.php/info" => {
            let seen = response.json();
            let texts = ["own", "included"].map(|name| seen[name].as_str()?.parse().ok());
            let paths = PATHS.map(|name| release_of(&seen[name]));
            [&texts[..], &paths[..]].concat()
        }
        "/asset.txt" => vec![text.parse().ok()],
        "/missing.txt" => text.split(' ').map(|word| word.parse().ok()).collect(),
        _ => {
            let mapping = response.header("x-mapping").unwrap();
            let script = response.header("x-release").unwrap();
            vec![
                script.parse().ok(),
                text.parse().ok(),
                release_of(&Value::from(mapping)),
            ]
        }
    }
}

/// Asks again and again for all targets.
async fn ask(gateway: Address, over: Arc<AtomicBool>) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut connection = Connection::open(&gateway).await;
    while !over.load(Ordering::Relaxed) {
        for target in TARGETS {
            let begun = Instant::now();
            let response = connection.send(&Request::get(target)).await;
            let expected = if target == "/missing.txt" { 404 } else { 200 };
            assert_eq!(response.status, expected, "{target}: {}", response.text());
            let releases = releases_in(target, &response);
            let one = releases[0];
            assert!(
                one.is_some() && releases.iter().all(|it| *it == one),
                "{target}: {releases:?}\n{}",
                response.text()
            );
            answers.push((begun, Instant::now(), one.unwrap()));
            if response.header("connection") == Some("close") {
                connection = Connection::open(&gateway).await;
            }
        }
    }
    answers
}

const SITE: &str = "error_page = [{ status = [\"404\"], path = \"/error.php\" }]\n\
    send_file = { roots = [\"BASE/current/files\"], internal = { \"/internal/\" = \"BASE/current/files\" } }\n\
    front_controller = \"\"";

async fn check_ten_deploys(name: &str, setup: Setup) {
    let application = Application::new();
    let php = setup.start().await;
    let gateway = Gateway::start(&application.config(&php, "", SITE)).await;
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..6 {
        clients.spawn(ask(gateway.address().clone(), Arc::clone(&over)));
    }
    let mut deployed = vec![(Instant::now(), 1)];
    for release in 2..=11 {
        application.deploy(release);
        deployed.push((Instant::now(), release));
        eventually("the new release", PATIENCE, async || {
            let seen = gateway.get("/index.php").await.json();
            require(seen["included"].clone(), |it| {
                it.as_str() == Some(&release.to_string())
            })
        })
        .await;
    }
    let cached = gateway.get("/index.php").await.json()["cached"] == true;
    assert_eq!(cached, name != "without opcache", "{name}");
    over.store(true, Ordering::Relaxed);
    let answers: Vec<_> = clients.join_all().await.into_iter().flatten().collect();
    for (begun, ended, release) in answers {
        // What was current at some time from a second before the request to its end.
        let until = deployed.get(release).map(|(next, _)| *next + AGE);
        let since = deployed[release - 1].0;
        assert!(
            until.is_none_or(|until| begun <= until),
            "{name}: {release} too late"
        );
        assert!(since <= ended + AGE, "{name}: {release} too early");
    }
}

/// A second, and what a request may wait on its way from the client to the rules.
const AGE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn ten_deploys_without_opcache() {
    let [(name, setup), ..] = pools();
    check_ten_deploys(name, setup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_deploys_with_opcache() {
    let [_, (name, setup), _] = pools();
    check_ten_deploys(name, setup).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_deploys_with_an_opcache_that_never_looks_again() {
    let [.., (name, setup)] = pools();
    check_ten_deploys(name, setup).await;
}

/// What the tests above would see without `resolve_root`: the file of the new release, and the script of the old one.
#[tokio::test]
async fn without_it_php_stays_on_the_old_release() {
    let application = Application::new();
    let [_, (_, setup), _] = pools();
    let php = setup.start().await;
    let gateway = Gateway::start(&application.config(&php, "resolve_root = false", "")).await;
    let index = async || gateway.get("/index.php").await.json();
    let root = application.base().join("current/public");
    assert_eq!(index().await["DOCUMENT_ROOT"], root.to_str().unwrap());
    assert_eq!(index().await["own"], "1");
    application.deploy(2);
    eventually("the new file", PATIENCE, async || {
        gateway.get("/asset.txt").await.text() == "2"
    })
    .await;
    // Some of the workers may not have seen the old one.
    let mut own = Vec::new();
    for _ in 0..20 {
        own.push(index().await["own"].clone());
    }
    assert!(own.contains(&Value::from("1")), "{own:?}");
}

/// The roots of a site and of mounts, through the same link and through none, for each kind of application.
#[tokio::test]
async fn scripts_get_the_paths_of_the_release() {
    let application = Application::new();
    let php = PhpFpm::start(2).await;
    for kind in ["fpm", "apache-fpm", "generic"] {
        let upstream = format!("type = \"{kind}\"");
        check_paths(&application, &php, &upstream, "releases/1").await;
    }
    check_paths(&application, &php, "resolve_root = false", "current").await;
}

async fn check_paths(application: &Application, php: &PhpFpm, upstream: &str, release: &str) {
    let mounts = "[[site.mount]]\npath = \"/api/\"\nroot = \"BASE/current/api\"\n\
                  [[site.mount]]\npath = \"/first/\"\nroot = \"BASE/releases/1/api\"\n";
    let gateway = Gateway::start(&application.config(php, upstream, mounts)).await;
    let base = application.base();
    let at = |path: &str| Value::from(base.join(path).to_str().unwrap());
    let (public, api) = (format!("{release}/public"), format!("{release}/api"));
    for (target, context) in [
        ("/index.php/a", public.as_str()),
        ("/any/page", &public),
        ("/api/index.php/a", &api),
        ("/first/index.php/a", "releases/1/api"),
    ] {
        let seen = gateway.get(target).await.json();
        let script = format!("{context}/index.php");
        assert_eq!(seen["DOCUMENT_ROOT"], at(&public), "{upstream} {target}");
        assert_eq!(
            seen["CONTEXT_DOCUMENT_ROOT"],
            at(context),
            "{upstream} {target}"
        );
        assert_eq!(seen["SCRIPT_FILENAME"], at(&script), "{upstream} {target}");
        if target.ends_with("/a") {
            let translated = at(&format!("{public}/a"));
            assert_eq!(seen["PATH_TRANSLATED"], translated, "{upstream} {target}");
        }
    }
}

/// `explain` shows what would be sent.
#[tokio::test]
async fn explain_shows_the_release() {
    let application = Application::new();
    let php = PhpFpm::start(1).await;
    let gateway = Gateway::start(&application.config(&php, "", "")).await;
    let told = gateway.command(&["explain", "--json", "http://localhost/index.php"]);
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    let params = &told["outcome"]["params"];
    let script = application.base().join("releases/1/public/index.php");
    assert_eq!(
        params["SCRIPT_FILENAME"],
        script.to_str().unwrap(),
        "{told}"
    );
}

#[test]
fn it_contradicts_a_backend_root() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("fcgate.toml");
    for (upstream, expected) in [
        ("resolve_root = true\nbackend_root = \"/app\"", 1),
        ("resolve_root = true\nbackend_root = \"\"", 1),
        ("resolve_root = false\nbackend_root = \"/app\"", 0),
        ("resolve_root = true", 0),
    ] {
        let config = format!(
            "[upstream.php]\nservers = \"php:9000\"\n{upstream}\n[[site]]\nroot = \"/srv\"\nphp = \"php\"\n"
        );
        std::fs::write(&file, config).unwrap();
        let checked = gateway::check(&file);
        let told = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!(checked.status.code(), Some(expected), "{upstream}\n{told}");
        assert_eq!(
            told.contains("`backend_root`, which replaces the root"),
            expected == 1,
            "{told}"
        );
    }
}

const HOLD: &str = r#"<?php
touch($_GET["begun"]);
while (!file_exists($_GET["end"])) {
    usleep(5000);
    clearstatcache();
}
echo require __DIR__ . "/version.php";
"#;

/// One request is in PHP and one waits for its worker when their release is removed: both fail visibly, and the next is served.
#[tokio::test]
async fn a_release_that_is_removed_too_early_fails_its_requests_visibly() {
    let application = Application::new();
    let base = application.base();
    write(&base.join("releases/1"), "public/hold.php", HOLD);
    let php = PhpFpm::start(1).await;
    let gateway = Gateway::with(&application.config(&php, "", ""))
        .admin()
        .start()
        .await;
    let [begun, end] = ["begun", "end"].map(|name| base.join(name));
    let target = format!("/hold.php?begun={}&end={}", begun.display(), end.display());
    let send = |target: String| {
        let address = gateway.address().clone();
        tokio::spawn(async move { http1::send(&address, &Request::get(&target)).await })
    };
    let running = send(target);
    eventually("the script", PATIENCE, async || begun.exists()).await;
    let queued = send("/index.php".to_owned());
    eventually(
        "a request that waits for the worker",
        PATIENCE,
        async || {
            let scrape = gateway.ask("/metrics").await.text();
            metric(&scrape, &["fcgate_upstream_busy{"]) == 2.0
        },
    )
    .await;
    application.deploy(2);
    std::fs::remove_dir_all(base.join("releases/1")).unwrap();
    std::fs::write(&end, "").unwrap();
    let running = running.await.unwrap();
    assert_eq!((running.status, running.text().as_str()), (500, ""));
    let queued = queued.await.unwrap();
    assert_eq!(queued.status, 404, "{}", queued.text());
    let line = gateway
        .log
        .wait_for(|line| line.contains("PHP-FPM does not run the script"))
        .await;
    assert!(
        line.contains("has been removed") && line.contains("ERROR"),
        "{line}"
    );
    eventually("the new release", PATIENCE, async || {
        let response = gateway.get("/index.php").await;
        require(response, |it| {
            it.status == 200 && it.json()["included"] == "2"
        })
    })
    .await;
}
