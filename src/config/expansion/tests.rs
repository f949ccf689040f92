//! Rules implied by a site.

use toml::de::DeTable;

use super::*;
use crate::config::site_section::SITE;
use crate::files::Files;

/// Returns the rules of a site as printed, each on one line, and the problems.
fn check(site: &str) -> (Vec<String>, Vec<String>) {
    let table = DeTable::parse(site).unwrap();
    let mut problems = Problems::default();
    let site = SITE.lower(table.get_ref(), Place::default(), &|_| None, &mut problems);
    let rules = implied_rules(&site, &Files::own(), &mut problems);
    let lines = rules
        .iter()
        .map(|implied| implied.rule.to_toml(&[]).trim().replace('\n', "; "));
    let problems = problems.into_sorted().into_iter();
    (
        lines.collect(),
        problems.map(|problem| problem.message).collect(),
    )
}

#[track_caller]
fn means(site: &str, expected: &[&str]) {
    let (rules, problems) = check(site);
    assert_eq!(problems, Vec::<String>::new(), "{site}");
    assert_eq!(rules, expected, "{site}");
}

#[test]
fn three_lines_are_three_rules() {
    means(
        "root = '/srv/a/'\nphp = 'x'",
        &[
            r#"fastcgi = { missing = "decline" }"#,
            r#"static_files = { index = ["index.php", "index.html"], missing = "decline" }"#,
            r#"fastcgi = { script = "/srv/a/index.php" }"#,
        ],
    );
    means(
        "root = '/srv/a'\nphp = 'x'\nfront_controller = ''\nindex = 'a\"b'",
        &[
            r#"fastcgi = { missing = "decline" }"#,
            r#"static_files = { index = ["a\"b"] }"#,
        ],
    );
    means(
        "root = '/srv/$a'\nphp = 'x'\nindex = []",
        &[
            r#"fastcgi = { missing = "decline" }"#,
            r#"static_files = { index = [], missing = "decline" }"#,
            r#"fastcgi = { script = "/srv/$$a/index.php" }"#,
        ],
    );
    means(
        "root = '/srv'\nindex = 'a'",
        &[r#"static_files = { index = ["a"] }"#],
    );
    means("root = '/srv'\nphp = 'x'\nimplied_rules = false", &[]);
    means("rule = [{ deny = true }]", &[]);
}

#[test]
fn exceptions_of_the_front_controller_are_a_rule() {
    means(
        "root = '/srv'\nphp = 'x'\nindex = []\nfront_controller = { except = ['png', '.j+g'] }",
        &[
            r#"fastcgi = { missing = "decline" }"#,
            r#"match = "(?i)\\.(png|j\\+g)$"; static_files = { index = [] }"#,
            r#"static_files = { index = [], missing = "decline" }"#,
            r#"fastcgi = { script = "/srv/index.php" }"#,
        ],
    );
    // Nothing is excepted from nothing.
    means(
        "root = '/srv'\nphp = 'x'\nindex = []\nfront_controller = { script = '', except = 'png' }",
        &[
            r#"fastcgi = { missing = "decline" }"#,
            r#"static_files = { index = [] }"#,
        ],
    );
    means(
        "php = 'x'\n[[mount]]\npath = '/a'\nroot = '/m'\nindex = []\nfront_controller = { script = 'b.php', except = 'png' }",
        &[
            r#"prefix = "/a"; fastcgi = { root = "/m", mounted_at = "/a", missing = "decline" }"#,
            r#"prefix = "/a"; match = "(?i)\\.(png)$"; static_files = { root = "/m", mounted_at = "/a", index = [] }"#,
            r#"prefix = "/a"; static_files = { root = "/m", mounted_at = "/a", index = [], missing = "decline" }"#,
            r#"prefix = "/a"; fastcgi = { root = "/m", mounted_at = "/a", script = "/m/b.php" }"#,
        ],
    );
}

#[test]
fn mounts_come_first_and_longer_ones_before_shorter() {
    means(
        "root = '/srv'\nindex = 'i'\n[[mount]]\npath = '/a'\nroot = '/m/a'\nindex = 'i'\n[[mount]]\npath = '/a/b/'\nroot = '/m/b'\nphp = 'x'\nindex = 'i'",
        &[
            r#"prefix = "/a/b"; fastcgi = { upstream = "x", root = "/m/b", mounted_at = "/a/b", missing = "decline" }"#,
            r#"prefix = "/a/b"; static_files = { root = "/m/b", mounted_at = "/a/b", index = ["i"], missing = "decline" }"#,
            r#"prefix = "/a/b"; fastcgi = { upstream = "x", root = "/m/b", mounted_at = "/a/b", script = "/m/b/index.php" }"#,
            r#"prefix = "/a"; static_files = { root = "/m/a", mounted_at = "/a", index = ["i"] }"#,
            r#"static_files = { index = ["i"] }"#,
        ],
    );
    means(
        "php = 'x'\n[[mount]]\npath = '/a'\nroot = '/m'\nphp = ''\nindex = 'i'",
        &[r#"prefix = "/a"; static_files = { root = "/m", mounted_at = "/a", index = ["i"] }"#],
    );
}

#[test]
fn a_mount_has_files_of_its_own_and_is_not_listed_with_the_site() {
    means(
        "root = '/srv'\nindex = 'i'\nfiles = { listing = true, symlinks = 'never' }\n[[mount]]\npath = '/a'\nroot = '/m/a'\nindex = 'i'\n[[mount]]\npath = '/b'\nroot = '/m/b'\nphp = 'x'\nindex = 'i'\nfront_controller = ''\nfiles = { listing = true, symlinks = 'anywhere', types = { md = 'text/x-md' } }",
        &[
            r#"prefix = "/a"; static_files = { root = "/m/a", mounted_at = "/a", listing = false, index = ["i"] }"#,
            r#"prefix = "/b"; fastcgi = { upstream = "x", root = "/m/b", mounted_at = "/b", symlinks = "anywhere", missing = "decline" }"#,
            r#"prefix = "/b"; static_files = { root = "/m/b", mounted_at = "/b", listing = true, symlinks = "anywhere", types = { md = "text/x-md" }, index = ["i"] }"#,
            r#"static_files = { index = ["i"] }"#,
        ],
    );
}

#[test]
fn a_preset_limits_the_scripts() {
    means(
        "root = '/srv/public'\nphp = 'x'\npreset = 'slim'\nfront_controller = '/app.php'\nindex = []\nfiles = { symlinks = 'never' }",
        &[
            r#"prefix = "/"; extension = ["php", "phtml", "phar"]; not = { match = "^/app\\.php(/|$)" }; deny = { status = 404 }"#,
            r#"match = "^/app\\.php(/|$)"; fastcgi = { missing = "decline" }"#,
            r#"match = "(?i)\\.(avif|bmp|gif|ico|jpeg|jpg|png|svg|webp|eot|otf|ttf|woff|woff2)$"; static_files = { immutable = true, index = [] }"#,
            r#"static_files = { immutable = true, index = [], missing = "decline" }"#,
            r#"fastcgi = { script = "/srv/public/app.php" }"#,
        ],
    );
    let (rules, problems) = check(
        "[[mount]]\npath = '/p+.p'\nroot = '/usr/share/phpmyadmin'\nphp = 'x'\npreset = 'phpmyadmin'",
    );
    assert_eq!(problems, Vec::<String>::new());
    let first = rules.first().unwrap();
    assert!(
        first.starts_with(r#"match = "(?i)^/p\\+\\.p/config"#),
        "{first}"
    );
    let last = rules.last().unwrap();
    assert_eq!(
        last,
        r#"prefix = "/p+.p"; static_files = { root = "/usr/share/phpmyadmin", mounted_at = "/p+.p", symlinks = "same-owner", index = ["index.php"] }"#
    );
}

#[test]
fn contradictions_are_reported_once() {
    for (site, expected) in [
        ("preset = 'slim'\nphp = 'x'", "a preset needs a `root`"),
        ("preset = 'slim'\nroot = '/srv'", "a preset needs `php`"),
        (
            "preset = 'slim'\nroot = '/srv'\nphp = 'x'\nimplied_rules = false",
            "a preset needs the rules implied by `root` and `php`, and `implied_rules = false` disables them",
        ),
        ("[[mount]]\nroot = '/m'", "a mount needs a `path`"),
        ("[[mount]]\npath = '/m'", "a mount needs a `root`"),
        (
            "[[mount]]\npath = '/m'\nroot = 'm'",
            "`m` is not an absolute path",
        ),
        ("[[mount]]\npath = '/'\nroot = '/m'", "cannot mount at `/`"),
        (
            "[[mount]]\npath = '/m'\nroot = '/m'\n[[mount]]\npath = '/m/'\nroot = '/n'",
            "a second mount at `/m/`",
        ),
        (
            "preset = 'joomla'\nroot = '/srv'",
            r#"expected "slim", "laravel", "symfony", "wordpress", "drupal", "mediawiki", "nextcloud" or "phpmyadmin", found "joomla""#,
        ),
    ] {
        assert_eq!(check(site).1, [expected], "{site}");
    }
}
