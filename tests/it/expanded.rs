//! `fcgate config --expanded`: one valid file that says all that a configuration means.

use std::path::Path;
use std::process::{Command, Output};

use crate::harness::gateway::check;
use crate::harness::php_fpm::write_below;

fn run(file: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fcgate"));
    command.env("FCGATE_TEST_VALUE", "a\"b $1 ${c}");
    command
        .args(["config", "--expanded"])
        .arg(file)
        .output()
        .unwrap()
}

#[track_caller]
fn expanded(file: &Path) -> String {
    let output = run(file);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn without_comments(text: &str) -> String {
    let kept = text.lines().filter(|line| !line.starts_with('#'));
    kept.map(|line| format!("{line}\n")).collect()
}

#[test]
fn what_is_printed_is_valid_and_means_itself() {
    let directory = tempfile::tempdir().unwrap();
    let printed = directory.path().join("printed.toml");
    for name in [
        "minimal",
        "slim",
        "wordpress",
        "proxypassmatch",
        "reference",
    ] {
        let sample = format!("{}/config/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let text = expanded(Path::new(&sample));
        std::fs::write(&printed, &text).unwrap();
        let verdict = check(&printed);
        assert!(verdict.status.success(), "{name}: {verdict:?}\n{text}");
        let again = expanded(&printed);
        assert_eq!(without_comments(&again), without_comments(&text), "{name}");
    }
}

#[test]
fn everything_is_in_it_with_its_origin() {
    let directory = tempfile::tempdir().unwrap();
    let main = r#"include = "sites/*.toml"
[server]
drain = "90s"
limits = { body = "1MiB" }
[upstream."my php"]
servers = "unix:/run/php.sock"
"#;
    let site = r#"[[site]]
hosts = "example.org"
root = "/srv/a"
php = "my php"
front_controller = ""
https = false
[[site.rule]]
match = '^/(.*)\.old$'
respond = { body = "${FCGATE_TEST_VALUE} $${d}", headers = { X-A = 1 } }
[[site.mount]]
path = "/media/"
root = "/srv/media"
php = ""
"#;
    write_below(directory.path(), "fcgate.toml", main);
    write_below(directory.path(), "sites/a.toml", site);
    let text = expanded(&directory.path().join("fcgate.toml"));
    let text = text.replace(&directory.path().display().to_string(), "DIR");
    let expected = r#"# Expanded configuration of DIR/fcgate.toml. Absent keys have the defaults of `fcgate reference`.

# DIR/fcgate.toml:2
[server]
drain = "90s"
limits = { body = "1MiB" }

# DIR/fcgate.toml:5
[upstream."my php"]
servers = ["unix:/run/php.sock"]

# DIR/sites/a.toml:1
[[site]]
hosts = ["example.org"]
root = "/srv/a"
php = "my php"
implied_rules = false

# DIR/sites/a.toml:7
[[site.rule]]
match = "^/(.*)\\.old$"
respond = { body = "a\"b $1 $${c} $${d}", headers = { X-A = "1" } }

# mount = "/media/" (DIR/sites/a.toml:13): Sends files.
[[site.rule]]
prefix = "/media"
static_files = { root = "/srv/media", mounted_at = "/media", index = ["index.php", "index.html"] }

# root (DIR/sites/a.toml:4): Runs existing scripts.
[[site.rule]]
fastcgi = { missing = "decline" }

# root (DIR/sites/a.toml:4): Sends existing files, and the index of a folder.
[[site.rule]]
static_files = { index = ["index.php", "index.html"] }
"#;
    assert_eq!(text, expected);
}

#[test]
fn what_is_wrong_is_told_at_the_key_that_means_it_and_once() {
    let directory = tempfile::tempdir().unwrap();
    let config = r#"[[site]]
root = "/srv/a"
php = "unix:/run/php.sock"
preset = "wordpress"
[[site.mount]]
path = "/"
root = "/srv/b"
[[site.mount]]
path = "/app"
root = "/srv/b"
php = "nowhere"
"#;
    write_below(directory.path(), "fcgate.toml", config);
    let output = run(&directory.path().join("fcgate.toml"));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("fcgate.toml:6:8"), "{told}");
    assert!(told.contains("fcgate.toml:11:7"), "{told}");
    assert_eq!(
        told.matches("unknown upstream `nowhere`").count(),
        1,
        "{told}"
    );
    assert_eq!(told.matches("error:").count(), 2, "{told}");
}
