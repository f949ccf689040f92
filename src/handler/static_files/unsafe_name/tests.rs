//! Names that are sent, and names that are withheld.

use proptest::prelude::*;

use super::*;

fn allowed(patterns: &[&str]) -> NamePolicy {
    let patterns = patterns.iter().map(|text| Pattern::parse(text).unwrap());
    NamePolicy {
        allowed: patterns.collect(),
        ..NamePolicy::default()
    }
}

fn private(extensions: &[&str]) -> NamePolicy {
    NamePolicy {
        withheld: Some(extensions.iter().map(|text| (*text).into()).collect()),
        ..NamePolicy::default()
    }
}

#[test]
fn sources_dotfiles_and_backups_are_withheld() {
    use Withheld::{Archive, Backup, Dotfile, Script};
    for (path, why) in [
        ("/.env", Dotfile),
        ("/.git/config", Dotfile),
        ("/.git/", Dotfile),
        ("/a/.htaccess", Dotfile),
        ("/.index.php.swp", Dotfile),
        ("/.well-known/.env", Dotfile),
        ("/index.php", Script),
        ("/INDEX.PHP", Script),
        ("/index.php.bak", Script),
        ("/index.php~", Script),
        ("/index.php.", Script),
        ("/index.php ", Script),
        ("/index.php.en", Script),
        ("/index.php.jpg", Script),
        ("/index.php_", Script),
        ("/index.php-bak", Script),
        ("/index.php,v", Script),
        ("/index.php copy", Script),
        ("/index.php (1)", Script),
        ("/index.php+", Script),
        ("/index.php$", Script),
        ("/index.PHP7_", Script),
        ("/index.phtml-", Script),
        ("/index.php\u{e9}", Script),
        ("/index.php_.txt", Script),
        ("/a.phtml", Script),
        ("/a.phps-old", Archive),
        ("/.well-known/a.php", Script),
        ("/dir.php/a.php", Script),
        ("/a.phar", Archive),
        ("/a.phar.gz", Archive),
        ("/a.phps", Archive),
        ("/#index.php#", Script),
        ("/#index.html#", Backup),
        ("/a.css~", Backup),
        ("/a.orig", Backup),
        ("/a.orig.", Backup),
        ("/a.old ", Backup),
        ("/a.jpg.BAK", Backup),
        ("/db.inc", Backup),
    ] {
        assert_eq!(withheld(path.as_bytes()), Some(why), "{path}");
    }
}

#[test]
fn the_last_extension_decides_and_that_of_a_folder_does_not() {
    for path in [
        "/",
        "/a.css",
        "/.well-known/acme-challenge/x",
        "/a.b.js",
        "/phpinfo.html",
        "/a/b.tar.gz",
        "/olds/x.png",
        "/#a",
        "/photo.orig.jpg",
        "/report.old.pdf",
        "/app.bak.js",
        "/jquery.inc.js",
        "/site.old/a.css",
        "/site.old/",
        "/www.php.net.old/a.css",
        "/old",
    ] {
        assert_eq!(withheld(path.as_bytes()), None, "{path}");
    }
}

#[test]
fn names_that_are_allowed_are_sent_but_no_scripts() {
    let names = allowed(&["*.orig", "composer.phar", ".config", "*~", "*p"]);
    for path in ["/a.orig", "/x/composer.phar", "/.config/a.css", "/a~"] {
        assert_eq!(withheld_by(path.as_bytes(), &names), None, "{path}");
    }
    for path in [
        "/a.old",
        "/other.phar",
        "/.env",
        "/.config/.env",
        "/a.php.orig",
        "/a.php",
    ] {
        assert!(withheld_by(path.as_bytes(), &names).is_some(), "{path}");
    }
    for text in ["", "*", "**.orig", "a/b", "*.php", "a.PHP", "*.phtml"] {
        assert!(Pattern::parse(text).is_err(), "{text}");
    }
}

#[test]
fn keys_and_dumps_are_withheld_by_a_list() {
    let policy = private(&["key", "sql"]);
    for path in [
        "/a.key",
        "/A.KEY",
        "/a.sql",
        "/a.sql.gz",
        "/a.sql.7z",
        "/a.sql.1",
        "/a.sql.bak",
        "/a.sql.old.gz",
        "/a.sql-20260101",
        "/a.sql.2026.gz",
        "/a.sql.2026-11-30.gz",
        "/a.sql.2026_11_30-1200",
        "/a.sql.tar.gz",
        "/a.sql.tgz",
        "/a.key.TAR",
        "/a.sql~",
        "/a.sql ",
    ] {
        let why = withheld_by(path.as_bytes(), &policy);
        assert_eq!(why, Some(Withheld::Private), "{path}");
        let allowing = NamePolicy {
            allowed: [Pattern::Name(path[1..].into())].into(),
            ..policy.clone()
        };
        assert_eq!(withheld_by(path.as_bytes(), &allowing), None, "{path}");
    }
    for path in [
        "/a.pem",
        "/a.key.png",
        "/a.sqlx",
        "/a.gz",
        "/sql.gz",
        "/sql",
        "/key",
        "/a.sql/",
        "/a.1",
    ] {
        assert_eq!(withheld_by(path.as_bytes(), &policy), None, "{path}");
    }
    for path in ["/a.key", "/a.sql.gz"] {
        assert_eq!(withheld(path.as_bytes()), None, "{path}");
    }
}

proptest! {
    #[test]
    fn what_follows_php_and_is_no_word_lets_nothing_out(
        before in "[a-z.]{0,6}",
        mark in "[^a-zA-Z0-9/\\x00-\\x1f\\x7f]",
        after in "[^/\\x00-\\x1f\\x7f]{0,6}",
    ) {
        let path = format!("/{before}.php{mark}{after}");
        prop_assert!(withheld(path.as_bytes()).is_some());
    }

    #[test]
    fn no_key_lets_a_script_out(before in "[a-z.]{0,6}", after in "(\\.[a-z]{1,4}){0,2}") {
        let path = format!("/{before}.php{after}");
        prop_assert!(withheld_by(path.as_bytes(), &allowed(&["*p", "*a", "*.b"])).is_some());
    }
}
