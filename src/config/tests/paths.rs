//! Paths on disk: none depends on the working directory at the start.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{ROOT, load, sample};
use crate::section::{Descriptor, Kind, Section};

/// Keys that name a path on disk, or a socket, in the sample.
const ON_DISK: [&str; 23] = [
    "[server.log] to",
    "access_log to",
    "[site.rule.auth.basic] users",
    "[site.rule.auth.basic] groups",
    "[server] spool_directory",
    "[[listen]] address",
    "[listen.tls] client_ca",
    "[site.tls] certificate",
    "[site.tls] key",
    "[upstream.NAME] servers",
    "[upstream.NAME] backend_root",
    "[[site]] root",
    "[[site]] php",
    "[site.send_file] roots",
    "[site.send_file] internal",
    "[site.send_file] backend_roots",
    "[site.files] mime_types",
    "[[site.mount]] root",
    "[site.rule.fastcgi] root",
    "[site.rule.fastcgi] script",
    "[site.rule.static_files] root",
    "exists directory",
    "exists any",
];

/// Keys that name a path of a URL.
const OF_URLS: [&str; 14] = [
    "when and unless path",
    "[[site.error_page]] path",
    "[[site.mount]] path",
    "[[site.rule]] path",
    "[[site.rule]] prefix",
    "[[site.rule]] proxy_pass",
    "[site.rule.not] path",
    "any and all prefix",
    "[site.rule.forward_auth] path",
    "[site.rule.fastcgi] mounted_at",
    "[site.rule.fastcgi] path_info",
    "[site.rule.static_files] mounted_at",
    "[site.rule.redirect] to",
    "[site.rule.rewrite] to",
];

/// A text of the sample with a path in it: its key, and the offset of its first slash.
struct Named {
    key: String,
    slash: usize,
}

fn named(text: &str) -> Vec<Named> {
    let mut found = Vec::new();
    let table = DeTable::parse(text).unwrap();
    section(text, &ROOT, table.get_ref(), &mut found);
    found
}

fn section(text: &str, of: &'static Section, table: &DeTable<'_>, found: &mut Vec<Named>) {
    for (name, value) in table {
        let is_named = |key: &&Descriptor| key.name == name.get_ref().as_ref();
        let key = of.keys().find(is_named).unwrap();
        let label = format!("{} {}", of.title, key.name);
        leaf(
            text,
            (&label, key.kind),
            value.get_ref(),
            value.span(),
            found,
        );
    }
}

fn leaf(
    text: &str,
    (key, kind): (&str, Kind),
    value: &DeValue<'_>,
    span: Range<usize>,
    found: &mut Vec<Named>,
) {
    match value {
        DeValue::String(value) if value.starts_with('/') || value.starts_with("unix:/") => {
            let slash = span.start + text[span].find('/').unwrap();
            let key = key.to_owned();
            found.push(Named { key, slash });
        }
        DeValue::Array(items) => {
            for item in items {
                leaf(text, (key, kind), item.get_ref(), item.span(), found);
            }
        }
        DeValue::Table(table) => match (kind, kind.section()) {
            (Kind::Named(nested), _) => {
                for (_, value) in table {
                    leaf(
                        text,
                        (key, Kind::Table(nested)),
                        value.get_ref(),
                        value.span(),
                        found,
                    );
                }
            }
            (_, Some(nested)) => section(text, nested, table, found),
            (_, None) => {
                for (_, value) in table {
                    leaf(text, (key, kind), value.get_ref(), value.span(), found);
                }
            }
        },
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => {}
    }
}

/// Fails unless an error in one of these lines explains the syntax of a path.
#[track_caller]
fn assert_refused(errors: &str, lines: &[usize]) {
    let stands = |line| errors.contains(&format!("fcgate.toml:{line}:"));
    assert!(lines.iter().any(stands), "lines {lines:?}: {errors}");
    let mends = ["help: ", "absolute", "\"unix:/"];
    assert!(mends.iter().any(|mend| errors.contains(mend)), "{errors}");
}

/// Returns the errors of a configuration with this text; empty if it is valid.
fn errors_of(folder: &Path, text: &str) -> String {
    let file = folder.join("fcgate.toml");
    std::fs::write(&file, text).unwrap();
    let invalid = load(&file, None).err();
    invalid.map_or_else(String::new, |invalid| invalid.to_string())
}

/// A new key is in the sample, and must be in one of the lists.
#[test]
fn a_relative_path_is_refused_at_its_place() {
    let (folder, text) = sample();
    let [mut refused, mut unknown] = [(); 2].map(|()| BTreeSet::new());
    for Named { key, slash } in named(&text) {
        let key = key.as_str();
        if OF_URLS.contains(&key) {
            continue;
        }
        if !ON_DISK.contains(&key) {
            unknown.insert(key.to_owned());
            continue;
        }
        let relative = [&text[..slash], &text[slash + 1..]].concat();
        let line = text[..slash].matches('\n').count() + 1;
        assert_refused(&errors_of(folder.path(), &relative), &[line]);
        refused.insert(key.to_owned());
    }
    let all = ON_DISK.iter().copied();
    let missed: Vec<_> = all.filter(|key| !refused.contains(*key)).collect();
    assert_eq!((missed, unknown), (vec![], BTreeSet::new()));
}

/// Keys that the sample writes differently; files in the working directory of the tests do not matter.
#[test]
fn a_relative_path_is_refused_in_every_form() {
    let site = "[[site]]\nroot = \"/srv\"\n";
    let rule = "[[site]]\nroot = \"/srv\"\n[[site.rule]]\nprefix = \"/a\"\n";
    let rootless = "[[site]]\n[[site.rule]]\npath = \"/a\"\ndeny = true\n";
    for (before, line) in [
        (site, "[server]\nspool_directory = \"src\""),
        (site, "[server]\nspool_directory = \"./src\""),
        (site, "[server]\naccess_log = { to = \"log/access.log\" }"),
        (site, "[server]\naccess_log = { to = \"./access.log\" }"),
        (site, "[admin]\naddress = \"unix:run/admin.sock\""),
        (site, "[process.php]\ncommand = [\"src/main.rs\"]"),
        (site, "[process.php]\ncommand = [\"./php-fpm\", \"-F\"]"),
        (site, "[[site.mount]]\npath = \"/m\"\nroot = \"m\""),
        (
            site,
            "[[site.mount]]\npath = \"/m\"\nroot = \"/m\"\nphp = \"unix:run/php.sock\"",
        ),
        (
            site,
            "[[site.mount]]\npath = \"/m\"\nroot = \"/m\"\nfiles = { mime_types = \"Cargo.toml\" }",
        ),
        (rule, "static_files = { mime_types = \"Cargo.toml\" }"),
        (rule, "fastcgi = { upstream = \"unix:run/php.sock\" }"),
        (
            rule,
            "fastcgi = { upstream = \"127.0.0.1:1\", script = \"index.php\" }",
        ),
        (rule, "exists = { file = \"srv$path\" }\ndeny = true"),
        (rule, "exists = { file = \"$path\" }\ndeny = true"),
        (
            rule,
            "set_handler = \"proxy:unix:run/php.sock|fcgi://localhost\"",
        ),
        (
            site,
            "[[site.rule]]\nproxy_pass = \"/a\"\nto = \"unix:run/php.sock|fcgi://localhost/srv\"",
        ),
        // Below the root of the site, if any.
        (
            rootless,
            "[[site.error_page]]\nstatus = \"404\"\nfile = \"404.html\"",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{before}{line}\n");
        let last = text.lines().count();
        assert_refused(&errors_of(folder.path(), &text), &[last, last - 1]);
    }
}

/// Names searched in $PATH, below the root, or beside the file that contains them.
#[test]
fn names_with_a_folder_of_their_own_may_be_relative() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("404.html"), "gone").unwrap();
    std::fs::write(
        folder.path().join("more.toml"),
        "[[site]]\nroot = \"/srv\"\n",
    )
    .unwrap();
    let text = format!(
        "include = [\"more.toml\"]\n[process.php]\ncommand = [\"php-fpm\"]\n\
         [[site]]\nhosts = \"a.test\"\nroot = \"{}\"\n\
         error_page = [{{ status = \"404\", file = \"404.html\" }}]\n",
        root.display()
    );
    assert_eq!(errors_of(folder.path(), &text), "");
}
