//! Presets: what of an application runs, what is sent, and what nobody ever sees, with real scripts and
//! files: at a site, below a mount, and from the configuration that `config --expanded` prints.

use std::path::Path;
use std::process::Command;

use crate::harness::php_fpm::write_below;
use crate::harness::{Gateway, PhpFpm, Request, Response};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Becomes {
    /// This script answers.
    Runs(&'static str),
    /// The file is sent.
    Sent,
    /// The file is sent, and kept by caches for ever.
    Kept,
    /// An answer of the gateway's own.
    Status(u16),
    /// A redirect, below the mount.
    To(&'static str),
}

use Becomes::{Kept, Runs, Sent, Status, To};

type Cases = [(&'static str, Becomes)];

/// Where applications are mounted; every character of it is one of regular expressions.
const MOUNT: &str = "/my.app/(1+)";

/// Each case three times: at a site, below a mount, and both from the printed configuration.
async fn check(preset: &str, root: &str, files: &[&str], cases: &Cases) {
    let php = PhpFpm::start(2).await;
    let home = php.root().join("home");
    for file in files {
        write_below(&home, file, content(file));
    }
    let root = home.join(root).display().to_string();
    let config = format!(
        "[[site]]\nhosts = \"site.test\"\nroot = \"{root}\"\nphp = \"{0}\"\npreset = \"{preset}\"\n\
         [[site]]\nhosts = \"mount.test\"\n[[site.mount]]\npath = \"{MOUNT}\"\nroot = \"{root}\"\nphp = \"{0}\"\npreset = \"{preset}\"\n",
        php.address()
    );
    let written = Gateway::start(&config).await;
    let expanded = expanded(written.directory());
    assert!(!expanded.contains("\npreset"), "{expanded}");
    assert!(!expanded.contains("site.mount"), "{expanded}");
    let printed = Gateway::start(&expanded).await;
    for gateway in [&written, &printed] {
        for (target, becomes) in cases {
            look(gateway, "site.test", "", target, *becomes).await;
            look(gateway, "mount.test", MOUNT, target, *becomes).await;
        }
    }
}

/// A script says which it is and where it believes to be; a file says its name.
fn content(file: &str) -> String {
    if file.ends_with(".php") {
        format!("<?php echo 'ran {file} ', $_SERVER['SCRIPT_NAME'], ' ', $_SERVER['REQUEST_URI'];")
    } else {
        format!("file {file}")
    }
}

async fn look(gateway: &Gateway, host: &str, base: &str, target: &str, becomes: Becomes) {
    let (target, agent) = target.split_once(' ').unwrap_or((target, "it"));
    let target = format!("{base}{target}");
    let request = Request::get(&target)
        .field("Host", host)
        .field("User-Agent", agent);
    let response = gateway.send(&request).await;
    let text = response.text();
    let place = format!("{host} {target}: {} {text}", response.status);
    match becomes {
        Runs(script) => {
            assert_eq!(response.status, 200, "{place}");
            let mut words = text.split(' ').skip(1);
            let (file, name) = (words.next().unwrap(), words.next().unwrap());
            assert!(file.ends_with(script), "{place}");
            assert!(text.ends_with(&format!(" {target}")), "{place}");
            assert_eq!(name, format!("{base}/{script}"), "{place}");
            assert!(!is_kept(&response), "{place}");
        }
        Sent | Kept => {
            assert_eq!(response.status, 200, "{place}");
            assert!(text.starts_with("file "), "{place}");
            assert_eq!(is_kept(&response), becomes == Kept, "{place}");
        }
        Status(status) => {
            assert_eq!(response.status, status, "{place}");
            assert!(!is_kept(&response), "{place}");
            let shown = ["ran ", "file ", "<?php"]
                .iter()
                .any(|word| text.starts_with(word));
            assert!(!shown, "{place}");
        }
        To(path) => {
            let location = response.header("location");
            assert_eq!(location, Some(format!("{base}{path}").as_str()), "{place}");
        }
    }
}

fn is_kept(response: &Response) -> bool {
    let control = response.header("cache-control").unwrap_or_default();
    control.contains("immutable")
}

/// What `fcgate config --expanded` prints of the configuration in a folder.
fn expanded(folder: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fcgate"));
    let file = folder.join("fcgate.toml");
    let output = command
        .args(["config", "--expanded"])
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    // The tests' own listener, in whose place the next gateway has one.
    let text = String::from_utf8(output.stdout).unwrap();
    let text = text.replace("[[listen]]\naddress = \"127.0.0.1:0\"\n", "");
    assert!(!text.contains("[[listen]]"), "{text}");
    text
}

const WORDPRESS_FILES: &[&str] = &[
    "index.php",
    "wp-config.php",
    "wp-config-sample.php",
    "wp-config.txt",
    "wp-login.php",
    "xmlrpc.php",
    "dump.sql.gz",
    "wp-admin/index.php",
    "wp-admin/admin-ajax.php",
    "wp-admin/includes/file.php",
    "wp-includes/version.php",
    "wp-includes/ms-files.php",
    "wp-includes/js/tinymce/wp-tinymce.php",
    "wp-includes/css/style.css",
    "wp-content/debug.log",
    "wp-content/plugins/shop/callback.php",
    "wp-content/themes/a/style.css",
    "wp-content/uploads/2026/photo.jpg",
    "wp-content/uploads/2026/evil.php",
    "wp-content/cache/evil.php",
    "wp-content/upgrade/x/evil.php",
    "app/uploads/evil.php",
    "files/evil.php",
];

const WORDPRESS: &Cases = &[
    ("/", Runs("index.php")),
    ("/2026/11/hello-world/", Runs("index.php")),
    ("/category/news?paged=2", Runs("index.php")),
    ("/wp-configuration-guide/", Runs("index.php")),
    ("/wp-login.php", Runs("wp-login.php")),
    ("/xmlrpc.php", Runs("xmlrpc.php")),
    ("/wp-admin/", Runs("wp-admin/index.php")),
    ("/wp-admin", To("/wp-admin/")),
    (
        "/wp-admin/admin-ajax.php?action=x",
        Runs("wp-admin/admin-ajax.php"),
    ),
    (
        "/wp-content/plugins/shop/callback.php",
        Runs("wp-content/plugins/shop/callback.php"),
    ),
    (
        "/wp-includes/ms-files.php",
        Runs("wp-includes/ms-files.php"),
    ),
    (
        "/wp-includes/js/tinymce/wp-tinymce.php",
        Runs("wp-includes/js/tinymce/wp-tinymce.php"),
    ),
    ("/wp-includes/css/style.css", Sent),
    ("/wp-content/themes/a/style.css?ver=6", Sent),
    ("/wp-content/uploads/2026/photo.jpg", Sent),
    ("/wp-content/uploads/2026/missing.jpg", Status(404)),
    ("/wp-content/uploads/2026/evil.php", Status(404)),
    ("/wp-content/uploads/2026/evil.php/photo.jpg", Status(404)),
    ("/wp-content/uploads/2026/evil%2Ephp", Status(404)),
    ("/wp-content/uploads/2026//evil.php", Status(404)),
    ("/wp-content/plugins/../uploads/2026/evil.php", Status(404)),
    ("/wp-content/uploads/2026/evil.PHP", Status(404)),
    ("/wp-content/uploads/2026/evil.php?x", Status(404)),
    ("/wp-content/uploads%2F2026/evil.php", Status(404)),
    ("/wp-content/cache/evil.php", Status(404)),
    ("/wp-content/upgrade/x/evil.php", Status(404)),
    ("/app/uploads/evil.php", Status(404)),
    ("/files/evil.php", Status(404)),
    ("/wp-config.php", Status(404)),
    ("/wp-config%2Ephp", Status(404)),
    ("/./wp-config.php", Status(404)),
    ("/x/../wp-config.php", Status(404)),
    ("//wp-config.php", Status(404)),
    ("/wp-config.php/", Status(404)),
    ("/wp-config.php/x.css", Status(404)),
    ("/WP-CONFIG.php", Status(404)),
    ("/wp-config.php~", Status(404)),
    ("/wp-config.php.bak", Status(404)),
    ("/wp-config.txt", Status(404)),
    ("/wp-config-sample.php", Status(404)),
    ("/wp-includes/version.php", Status(404)),
    ("/wp-admin/includes/file.php", Status(404)),
    ("/wp-content/debug.log", Status(404)),
    ("/dump.sql.gz", Status(404)),
];

#[tokio::test]
async fn wordpress() {
    check("wordpress", "", WORDPRESS_FILES, WORDPRESS).await;
}

/// What the three that have but one script share.
const ONE_SCRIPT: [(&str, Becomes); 10] = [
    ("/", Runs("index.php")),
    ("/users/1?a=b", Runs("index.php")),
    ("/index.php/users", Runs("index.php")),
    ("/uploads/evil.php", Status(404)),
    ("/uploads/evil.php/x.jpg", Status(404)),
    ("/admin/", Status(404)),
    ("/.env", Runs("index.php")),
    ("/robots.txt", Sent),
    ("/build/app-3f2a1b9c.js", Kept),
    ("/build/missing-3f2a1b9c.js", Runs("index.php")),
];

const ITS_FILES: [&str; 6] = [
    "public/index.php",
    "public/uploads/evil.php",
    "public/admin/index.php",
    "public/.env",
    "public/robots.txt",
    "public/build/app-3f2a1b9c.js",
];

#[tokio::test]
async fn slim() {
    check("slim", "public", &ITS_FILES, &ONE_SCRIPT).await;
}

#[tokio::test]
async fn symfony() {
    check("symfony", "public", &ITS_FILES, &ONE_SCRIPT).await;
}

#[tokio::test]
async fn laravel() {
    let own = [
        "storage/app/public/photo.jpg",
        "storage/app/public/evil.php",
        "storage/app/private.txt",
        "storage/logs/laravel.log",
        ".env",
    ];
    let files = [ITS_FILES.as_slice(), &own].concat();
    let cases = [
        ("/storage/photo.jpg", Sent),
        ("/storage/missing.jpg", Runs("index.php")),
        ("/storage/evil.php", Status(404)),
        ("/storage/../.env", Runs("index.php")),
        ("/storage/private.txt", Runs("index.php")),
        ("/storage/../logs/laravel.log", Runs("index.php")),
        ("/storage/%2e%2e/private.txt", Runs("index.php")),
    ];
    let cases = [ONE_SCRIPT.as_slice(), &cases].concat();
    check("laravel", "public", &files, &cases).await;
}

const DRUPAL_FILES: &[&str] = &[
    "web/index.php",
    "web/update.php",
    "web/autoload.php",
    "web/composer.json",
    "web/web.config",
    "web/core/install.php",
    "web/core/lib/Drupal.php",
    "web/core/misc/drupal.js",
    "web/core/core.services.yml",
    "web/modules/a/a.module",
    "web/modules/a/a.install",
    "web/themes/a/page.html.twig",
    "web/sites/default/settings.php",
    "web/sites/default/files/photo.jpg",
    "web/sites/default/files/evil.php",
    "web/sites/default/files/php/twig/x.txt",
    "web/sites/default/files/config_abc/sync/a.txt",
    "web/sites/default/private/a.txt",
    "web/sites/default/files/css/css_GyPbOn9xzVkU1vCs-Q_eCh2dWDlVxVMzNIlK5eBcT3s.css",
    "web/vendor/autoload.txt",
];

const DRUPAL: &Cases = &[
    ("/", Runs("index.php")),
    ("/node/1", Runs("index.php")),
    ("/user/login?destination=/", Runs("index.php")),
    ("/update.php/selection", Runs("update.php")),
    ("/core/install.php", Runs("core/install.php")),
    ("/core/misc/drupal.js", Sent),
    ("/sites/default/files/photo.jpg", Sent),
    (
        "/sites/default/files/styles/thumb/photo.jpg",
        Runs("index.php"),
    ),
    (
        "/sites/default/files/css/css_GyPbOn9xzVkU1vCs-Q_eCh2dWDlVxVMzNIlK5eBcT3s.css?delta=0",
        Kept,
    ),
    (
        "/sites/default/files/css/css_AyPbOn9xzVkU1vCs-Q_eCh2dWDlVxVMzNIlK5eBcT3s.css",
        Runs("index.php"),
    ),
    ("/autoload.php", Runs("index.php")),
    ("/core/lib/Drupal.php", Status(404)),
    ("/sites/default/settings.php", Runs("index.php")),
    ("/sites/default/files/evil.php", Status(404)),
    ("/sites/default/files/evil.php/x.jpg", Status(404)),
    ("/sites/default/files/%65vil.php", Status(404)),
    ("/sites/default/files/php/twig/x.txt", Status(404)),
    ("/sites/default/files/config_abc/sync/a.txt", Status(404)),
    ("/sites/default/private/a.txt", Status(404)),
    ("/core/core.services.yml", Status(404)),
    ("/modules/a/a.module", Status(404)),
    ("/modules/a/a.install", Status(404)),
    ("/themes/a/page.html.twig", Status(404)),
    ("/composer.json", Status(404)),
    ("/web.config", Status(404)),
    ("/vendor/autoload.txt", Status(404)),
];

#[tokio::test]
async fn drupal() {
    check("drupal", "web", DRUPAL_FILES, DRUPAL).await;
}

const MEDIAWIKI_FILES: &[&str] = &[
    "index.php",
    "api.php",
    "load.php",
    "rest.php",
    "LocalSettings.php",
    "LocalSettings.txt",
    "autoload.php",
    "mw-config/index.php",
    "includes/Setup.php",
    "includes/a.txt",
    "maintenance/update.php",
    "languages/a.json",
    "vendor/a.txt",
    "cache/l10n.cdb",
    "resources/assets/wiki.png",
    "skins/Vector/skin.css",
    "extensions/Cite/Cite.php",
    "images/a/ab/Photo.jpg",
    "images/evil.php",
    "images/deleted/x/old.jpg",
    "w/index.php",
    "w/images/evil.php",
    "w/LocalSettings.php",
];

const MEDIAWIKI: &Cases = &[
    ("/", Runs("index.php")),
    ("/wiki/Main_Page", Runs("index.php")),
    ("/wiki/C++/Index.php?action=raw", Runs("index.php")),
    ("/wiki/AC/DC", Runs("index.php")),
    ("/index.php/Main_Page", Runs("index.php")),
    ("/api.php?action=query", Runs("api.php")),
    ("/rest.php/v1/page/A", Runs("rest.php")),
    ("/load.php?modules=a", Runs("load.php")),
    ("/w/index.php?title=A", Runs("w/index.php")),
    ("/mw-config/", Runs("mw-config/index.php")),
    ("/resources/assets/wiki.png", Sent),
    ("/skins/Vector/skin.css", Sent),
    ("/images/a/ab/Photo.jpg", Sent),
    ("/autoload.php", Runs("index.php")),
    ("/extensions/Cite/Cite.php", Runs("index.php")),
    ("/images/evil.php", Status(404)),
    ("/images/evil.php/Photo.jpg", Status(404)),
    ("/w/images/evil.php", Status(404)),
    ("/images/deleted/x/old.jpg", Status(404)),
    ("/LocalSettings.php", Status(404)),
    ("/LocalSettings.txt", Status(404)),
    ("/w/LocalSettings.php", Status(404)),
    ("/includes/Setup.php", Status(404)),
    ("/includes/a.txt", Status(404)),
    ("/maintenance/update.php", Status(404)),
    ("/languages/a.json", Status(404)),
    ("/vendor/a.txt", Status(404)),
    ("/cache/l10n.cdb", Status(404)),
];

#[tokio::test]
async fn mediawiki() {
    check("mediawiki", "", MEDIAWIKI_FILES, MEDIAWIKI).await;
}

const NEXTCLOUD_FILES: &[&str] = &[
    "index.php",
    "remote.php",
    "public.php",
    "cron.php",
    "status.php",
    "console.php",
    "occ",
    "ocs/v2.php",
    "core/ajax/update.php",
    "core/register_command.php",
    "core/css/server.css",
    "core/img/logo.svg",
    "apps/files/appinfo/routes.php",
    "apps/richdocumentscode/proxy.php",
    "config/config.php",
    "config/a.txt",
    "data/admin/files/secret.txt",
    "lib/base.php",
    "3rdparty/a.txt",
    "templates/a.txt",
    "updater/index.php",
];

const NEXTCLOUD: &Cases = &[
    ("/", Runs("index.php")),
    ("/apps/files/?dir=/", Runs("index.php")),
    ("/login", Runs("index.php")),
    ("/index.php/apps/files", Runs("index.php")),
    ("/remote.php/dav/files/admin/a.txt", Runs("remote.php")),
    ("/ocs/v2.php/cloud/user?format=json", Runs("ocs/v2.php")),
    ("/status.php", Runs("status.php")),
    ("/public.php/webdav", Runs("public.php")),
    ("/core/ajax/update.php", Runs("core/ajax/update.php")),
    (
        "/apps/richdocumentscode/proxy.php?req=/",
        Runs("apps/richdocumentscode/proxy.php"),
    ),
    ("/updater/", Runs("updater/index.php")),
    ("/core/css/server.css", Sent),
    ("/core/css/server.css?v=abc", Kept),
    ("/core/img/logo.svg?v=1", Kept),
    ("/core/img/missing.svg?v=1", Runs("index.php")),
    ("/core/register_command.php", Runs("index.php")),
    ("/apps/files/appinfo/routes.php", Runs("index.php")),
    ("/.well-known/carddav", To("/remote.php/dav/")),
    ("/.well-known/caldav", To("/remote.php/dav/")),
    ("/.well-known/webfinger?resource=a", Runs("index.php")),
    ("/ DavClnt", To("/remote.php/webdav/")),
    ("/data/admin/files/secret.txt", Status(404)),
    ("/DATA/admin/files/secret.txt", Status(404)),
    ("/data", Status(404)),
    ("/config/config.php", Status(404)),
    ("/config/a.txt", Status(404)),
    ("/lib/base.php", Status(404)),
    ("/3rdparty/a.txt", Status(404)),
    ("/templates/a.txt", Status(404)),
    ("/console.php", Status(404)),
    ("/occ", Status(404)),
    ("/database-tips", Runs("index.php")),
];

#[tokio::test]
async fn nextcloud() {
    check("nextcloud", "", NEXTCLOUD_FILES, NEXTCLOUD).await;
}

#[tokio::test]
async fn nextcloud_has_the_fields_that_it_asks_for() {
    let php = PhpFpm::start(1).await;
    let show = "<?php header('X-Frame-Options: DENY'); echo $_SERVER['modHeadersAvailable'], $_SERVER['front_controller_active'];";
    php.write("index.php", show);
    php.write("a.css", "a");
    let gateway = Gateway::start(&(php.site() + "preset = \"nextcloud\"\n")).await;
    assert_eq!(gateway.get("/apps/x").await.text(), "truetrue");
    for target in ["/apps/x", "/a.css", "/data/x"] {
        let response = gateway.get(target).await;
        for (name, value) in [
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "SAMEORIGIN"),
            ("X-Permitted-Cross-Domain-Policies", "none"),
            ("X-Robots-Tag", "noindex, nofollow"),
            ("Referrer-Policy", "no-referrer"),
        ] {
            assert_eq!(response.headers(name), [value], "{target}");
        }
        assert_eq!(response.header("X-Powered-By"), None, "{target}");
    }
}

const PHPMYADMIN_FILES: &[&str] = &[
    "index.php",
    "url.php",
    "show_config_errors.php",
    "autoload.php",
    "config.inc.php",
    "config.sample.inc.php",
    "js/messages.php",
    "js/vendor/jquery/jquery.min.js",
    "themes/pmahomme/css/theme.css",
    "libraries/classes/Core.php",
    "templates/a.twig",
    "vendor/a.txt",
    "sql/create_tables.sql",
    "setup/index.php",
    "doc/html/index.html",
];

const PHPMYADMIN: &Cases = &[
    ("/", Runs("index.php")),
    ("/index.php?route=/sql", Runs("index.php")),
    ("/url.php?url=x", Runs("url.php")),
    ("/js/messages.php", Runs("js/messages.php")),
    ("/js/vendor/jquery/jquery.min.js?v=5.2", Sent),
    ("/themes/pmahomme/css/theme.css", Sent),
    ("/doc/html/index.html", Sent),
    ("/no/such/page", Status(404)),
    ("/autoload.php", Status(404)),
    ("/config.inc.php", Status(404)),
    ("/config.sample.inc.php", Status(404)),
    ("/libraries/classes/Core.php", Status(404)),
    ("/templates/a.twig", Status(404)),
    ("/vendor/a.txt", Status(404)),
    ("/sql/create_tables.sql", Status(404)),
    ("/setup/", Status(404)),
    ("/setup/index.php", Status(404)),
];

#[tokio::test]
async fn phpmyadmin() {
    check("phpmyadmin", "", PHPMYADMIN_FILES, PHPMYADMIN).await;
}

/// The site's own rules come first: a preset is no last word.
#[tokio::test]
async fn a_rule_of_the_site_opens_what_a_preset_closes() {
    let php = PhpFpm::start(1).await;
    php.write("setup/index.php", content("setup/index.php"));
    let rule = "preset = \"phpmyadmin\"\n[[site.rule]]\nprefix = \"/setup\"\nremote = \"127.0.0.1\"\nfastcgi = {}\n";
    let gateway = Gateway::start(&(php.site() + rule)).await;
    look(
        &gateway,
        "any.test",
        "",
        "/setup/index.php",
        Runs("setup/index.php"),
    )
    .await;
}
