//! What an administrator is told without having asked: warnings of `check`, `run` and `doctor`, that they
//! are true, and that a configuration which is as it should be gets none.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::gateway::{self, bound_by_permissions, run, run_under};
use crate::harness::php_fpm::write_below;
use crate::harness::{Gateway, PhpFpm, Request, http2};

/// A configuration in a folder of its own.
struct File {
    directory: TempDir,
    path: PathBuf,
}

impl File {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fcgate.toml");
        std::fs::write(&path, text).unwrap();
        Self { directory, path }
    }

    /// What `check` says on stderr; it finds the file good.
    #[track_caller]
    fn checked(&self) -> String {
        told(&gateway::check(&self.path), 0)
    }
}

/// What stands on stderr, with this exit code.
#[track_caller]
fn told(output: &Output, code: i32) -> String {
    let told = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{told}");
    told
}

fn site(root: &Path) -> String {
    let root = root.display();
    format!("[[site]]\nroot = \"{root}\"\nphp = \"unix:/run/nobody.sock\"\n")
}

/// One client gets half of what all may spool.
#[test]
fn a_body_that_has_no_room_where_it_is_spooled_is_told() {
    for (server, site_lines, told) in [
        ("limits = { body = \"600MiB\" }\n", "", true),
        ("limits = { body = \"512MiB\" }\n", "", false),
        (
            "spool_quota = \"2GiB\"\nlimits = { body = \"600MiB\" }\n",
            "",
            false,
        ),
        ("spool_quota = \"20MiB\"\n", "", false),
        ("", "limits = { body = \"513MiB\" }\n", true),
        (
            "spool_quota = \"64MiB\"\n",
            "limits = { body = \"16MiB\" }\n",
            false,
        ),
    ] {
        let text = format!(
            "[server]\n{server}{}{site_lines}",
            site(Path::new("/srv/a"))
        );
        let checked = File::new(&text).checked();
        let expected = "exceeds the spool space of one client: half of server.spool_quota";
        assert_eq!(checked.contains(expected), told, "{text}{checked}");
    }
}

/// Only what stands beside `total`: a narrower table may well have less time than a wider one.
#[test]
fn a_time_limit_beyond_the_total_is_told() {
    let total = "total = \"30s\"";
    for (upstream, rule, action, told) in [
        (
            "first_byte = \"60s\"",
            "",
            "",
            vec!["timeouts.first_byte = \"60s\""],
        ),
        (
            "connect = \"31s\"",
            "",
            "",
            vec!["timeouts.connect = \"31s\""],
        ),
        (
            "",
            "idle = \"40s\", queue = \"50s\"",
            "",
            vec!["timeouts.idle = \"40s\"", "timeouts.queue = \"50s\""],
        ),
        ("", "", "idle = \"2m\"", vec!["timeouts.idle = \"2m\""]),
        (
            "first_byte = \"30s\"",
            "idle = \"0s\"",
            "queue = \"1s\"",
            vec![],
        ),
        ("", "", "", vec![]),
    ] {
        let text = format!(
            "[upstream.app]\nservers = \"unix:/run/nobody.sock\"\ntimeouts = {{ {total}, {upstream} }}\n\
             [[site]]\nroot = \"/srv/a\"\n\
             [[site.rule]]\nprefix = \"/a\"\ntimeouts = {{ {total}, {rule} }}\n\
             [[site.rule]]\nfastcgi = {{ upstream = \"app\", timeouts = {{ {total}, {action} }} }}\n"
        );
        let checked = File::new(&text.replace(",  }", " }")).checked();
        assert_eq!(
            checked.matches("warning: ").count(),
            told.len(),
            "{text}{checked}"
        );
        for limit in told {
            let warning = format!(
                "`{limit}` has no effect: `timeouts.total = \"30s\"` ends the request first"
            );
            assert!(checked.contains(&warning), "{warning}: {checked}");
        }
    }
}

/// RFC 9110 §15.3.5, §15.3.6, §15.4.5: by either version of HTTP nothing of it is sent.
#[tokio::test]
async fn a_fixed_answer_whose_status_has_no_content_is_sent_without() {
    let statuses = [200, 204, 205, 304, 404];
    let rule = |status| {
        format!("{{ path = \"/{status}\", respond = {{ status = {status}, body = \"hello\" }} }}")
    };
    let text = format!("[[site]]\nrule = [{}]\n", statuses.map(rule).join(",\n"));
    let checked = File::new(&text).checked();
    let gateway = Gateway::start(&text).await;
    for status in statuses {
        let is_empty = matches!(status, 204 | 205 | 304);
        let warning = format!("{status} has no content");
        assert_eq!(checked.contains(&warning), is_empty, "{status}: {checked}");
        let request = Request::get(&format!("/{status}"));
        let both = [
            gateway.send(&request).await,
            http2::send(gateway.address(), &request).await,
        ];
        for response in both {
            let expected = if is_empty { "" } else { "hello" };
            assert_eq!(
                (response.status, response.text().as_str()),
                (status, expected)
            );
        }
    }
}

#[test]
fn a_warning_has_its_file_line_and_column_and_the_line_itself() {
    let rule = "[[site.rule]]\nmatch = '^/uploads/.*\\.php$'\ndeny = true\n";
    let file = File::new(&(site(Path::new("/srv/a")) + rule));
    let expected = "warning: this rule refuses `/uploads/x.php` and not `/uploads/x.php/x`, which runs the same script
 --> FILE:5:9
  |
5 | match = '^/uploads/.*\\.php$'
  |         ^^^^^^^^^^^^^^^^^^^^
  |
  = help: end the pattern with `(/|$)` in place of `$`, or write `extension = \"php\"`, which sees both
";
    let expected = expected.replace("FILE", &file.path.to_string_lossy());
    assert_eq!(file.checked(), expected);
}

#[test]
fn a_relative_root_is_an_error_wherever_one_is_written() {
    for (text, place) in [
        ("[[site]]\nroot = 'public'", "2:8"),
        (
            "[[site]]\nroot = '/srv'\n[[site.mount]]\npath = '/a/'\nroot = './b'",
            "5:8",
        ),
        (
            "[[site]]\n[[site.rule]]\nstatic_files = { root = 'public' }",
            "3:25",
        ),
        (
            "[[site]]\n[[site.rule]]\nfastcgi = { upstream = 'a:1', root = '../public' }",
            "3:38",
        ),
        (
            "[upstream.a]\nservers = 'a:1'\nbackend_root = 'app'\n[[site]]\nroot = '/srv'",
            "3:16",
        ),
        (
            "[[site]]\nroot = '/srv'\nsend_file = { roots = ['files'] }",
            "3:24",
        ),
    ] {
        let file = File::new(text);
        let told = told(&gateway::check(&file.path), 1);
        assert!(
            told.contains(&format!("fcgate.toml:{place}")),
            "{text}\n{told}"
        );
        assert!(told.contains("absolute"), "{text}\n{told}");
    }
    // For a chroot whose root is the document root.
    let empty =
        "[upstream.a]\nservers = 'a:1'\nbackend_root = ''\n[[site]]\nroot = '/srv'\nphp = 'a'\n";
    assert_eq!(File::new(empty).checked(), "");
}

#[test]
fn the_configurations_of_this_repository_get_no_warning() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut count = 0;
    for file in files.filter(|file| {
        file.extension()
            .is_some_and(|extension| extension == "toml")
    }) {
        assert_eq!(told(&gateway::check(&file), 0), "", "{}", file.display());
        count += 1;
    }
    assert!(count >= 5);
}

/// Written out, they are rules like any others.
#[test]
fn presets_get_no_warning() {
    for preset in [
        "slim",
        "laravel",
        "symfony",
        "wordpress",
        "drupal",
        "mediawiki",
        "nextcloud",
        "phpmyadmin",
    ] {
        let mount =
            format!("[[site.mount]]\npath = \"/m/\"\nroot = \"/srv/m\"\npreset = \"{preset}\"\n");
        let file = File::new(&format!(
            "{}preset = \"{preset}\"\n{mount}",
            site(Path::new("/srv/a"))
        ));
        assert_eq!(file.checked(), "", "{preset}");
        let expanded = run(&["config", "--expanded", &file.path.to_string_lossy()]);
        let expanded = String::from_utf8(expanded.stdout).unwrap();
        assert!(expanded.contains("mounted_at"), "{preset}: {expanded}");
        assert_eq!(File::new(&expanded).checked(), "", "{preset}");
    }
}

/// What is said of a refusal and of a rewrite is what happens.
#[tokio::test]
async fn warnings_of_rules_are_true() {
    let php = PhpFpm::start(1).await;
    php.write("up/x.php", "<?php echo 'it runs';");
    let rules = "
        [[site.rule]]
        match = '^/up/.*\\.php$'
        deny = true
        [[site.rule]]
        match = '^/blog/(.*)$'
        rewrite = { to = '/blog/index/$1' }
    ";
    let gateway = Gateway::start(&(php.site() + rules)).await;
    gateway
        .log
        .wait_for(|line| line.contains("this rule refuses `/up/x.php` and not `/up/x.php/x`"))
        .await;
    gateway
        .log
        .wait_for(|line| line.contains("this rewrite loops: `/blog/x` becomes `/blog/index/x`"))
        .await;
    assert_eq!(gateway.get("/up/x.php").await.status, 403);
    let round = gateway.get("/up/x.php/x").await;
    assert_eq!((round.status, round.text()), (200, "it runs".into()));
    assert_eq!(gateway.get("/blog/x").await.status, 500);
    gateway
        .log
        .wait_for(|line| line.contains("10 rounds") || line.contains("TOO_MANY_ROUNDS"))
        .await;
}

/// Findings of doctor about something.
fn findings(output: &Output, about: &str) -> Vec<Value> {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    findings
        .filter(|finding| finding["about"].as_str().unwrap().contains(about))
        .cloned()
        .collect()
}

fn doctor(file: &File) -> Output {
    run(&["doctor", "--json", "-c", &file.path.to_string_lossy()])
}

#[tokio::test]
async fn htaccess_files_that_are_not_read_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    write_below(
        &root,
        "public/.htaccess",
        "RewriteEngine On\nRewriteRule . index.php [L]\n",
    );
    write_below(&root, "other/x/.htaccess", "Options -Indexes\n");
    let public = root.join("public");
    let other = root.join("other");
    let mount = format!(
        "[[site.mount]]\npath = \"/o/\"\nroot = \"{}\"\n",
        other.display()
    );
    let config = site(&public) + &mount;

    let line = "2 .htaccess files below the roots are not read, and none denies access";
    let file = File::new(&config);
    assert_eq!(file.checked(), format!("warning: {line}\n"));
    let found = findings(&doctor(&file), ".htaccess");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (&found[0]["severity"], &found[0]["what"]),
        (&"note".into(), &line.into())
    );

    write_below(
        &root,
        "public/data/.htaccess",
        "<IfModule mod_authz_core.c>\nRequire all denied\n</IfModule>\n",
    );
    let data = public.join("data/.htaccess");
    let line = format!(
        "3 .htaccess files below the roots are not read; 1 of them denies access or keeps scripts from running: {}",
        data.display()
    );
    assert_eq!(file.checked(), format!("warning: {line}\n"));
    let found = findings(&doctor(&file), ".htaccess");
    assert_eq!(
        (&found[0]["severity"], &found[0]["what"]),
        (&"warning".into(), &line.clone().into())
    );
    let gateway = Gateway::start(&config).await;
    gateway
        .log
        .wait_for(|told| told.contains("WARN") && told.contains(&line))
        .await;
}

#[tokio::test]
async fn folders_that_cannot_be_written_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let shut = folder.path().join("shut");
    std::fs::create_dir(&shut).unwrap();
    std::fs::set_permissions(&shut, PermissionsExt::from_mode(0o555)).unwrap();
    let log = shut.join("access.log");
    let [shut, log] = [&shut, &log].map(|path| path.display().to_string());
    let site = site(folder.path());
    let spool = format!("spool_directory = \"{shut}\"");
    let to = format!("access_log = {{ to = \"{log}\" }}");
    let file = File::new(&format!("[server]\n{spool}\n{to}\n{site}"));
    let path = file.path.to_string_lossy();

    let output = run_under(bound_by_permissions(), &["check", &path]);
    let told = told(&output, 0);
    let spooled = format!("cannot write to the spool directory {shut}: Permission denied");
    let logged = format!("cannot write the log {log}: Permission denied");
    for part in [&spooled, "fcgate.toml:2:19", &logged, "fcgate.toml:3:21"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(told.matches("warning: ").count(), 2, "{told}");

    let doctor = run_under(bound_by_permissions(), &["doctor", "--json", "-c", &path]);
    let found = findings(&doctor, "fcgate.toml");
    assert!(
        found[0]["what"].as_str().unwrap().contains(&spooled),
        "{found:?}"
    );
    let found = findings(&doctor, "logs");
    assert_eq!(found[0]["severity"], "error", "{found:?}");

    let config = format!("[server]\n{spool}\n{site}");
    let gateway = Gateway::with(&config).under(bound_by_permissions());
    let gateway = gateway.start().await;
    gateway.log.wait_for(|line| line.contains(&spooled)).await;
    assert_eq!(file.directory.path().read_dir().unwrap().count(), 1);
}

/// TMPDIR is where a spool is that nobody has named.
#[test]
fn a_temporary_folder_that_cannot_be_written_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o555)).unwrap();
    let file = File::new(&site(Path::new("/srv/a")));
    let shut = folder.path().display();
    let temporary = format!("TMPDIR={shut}");
    let launcher = [bound_by_permissions(), &["env", &temporary]].concat();
    let told = told(
        &run_under(&launcher, &["check", &file.path.to_string_lossy()]),
        0,
    );
    let expected = format!("cannot write to the spool directory {shut}: Permission denied");
    assert!(
        told.contains(&expected) && told.contains("TMPDIR"),
        "{told}"
    );
    // One that can be is nothing to tell of.
    assert_eq!(file.checked(), "");
}

/// It would be another folder wherever the gateway is started.
#[test]
fn a_temporary_folder_that_is_relative_is_refused() {
    let file = File::new(&site(Path::new("/srv/a")));
    let arguments = ["check", &file.path.to_string_lossy()];
    let told = told(&run_under(&["env", "TMPDIR=src"], &arguments), 1);
    let expected = "the spool directory src is not an absolute path (TMPDIR";
    assert!(told.contains(expected), "{told}");
}

/// A log in a folder that is not there, and one that is a folder.
#[test]
fn a_loop_is_told_with_the_exception_that_ends_it() {
    for (to, help) in [
        ("/app.php", "`not = { path = \"/app.php\" }`"),
        ("/app.php?q=$1", "`not = { path = \"/app.php\" }`"),
        ("/app/$1", "except its targets with `not`"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let rule = format!("[[site.rule]]\nmatch = '^/(.*)$'\nrewrite = {{ to = '{to}' }}\n");
        let told = File::new(&(site(folder.path()) + &rule)).checked();
        assert!(told.contains("this rewrite loops"), "{told}");
        assert!(told.contains(help), "{told}");
    }
}

#[test]
fn a_log_that_cannot_be_opened_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().display();
    for (name, why) in [
        ("none/access.log", Some("No such file")),
        ("", Some("Is a directory")),
        ("new.log", None),
    ] {
        let text = format!(
            "[server]\naccess_log = {{ to = \"{here}/{name}\" }}\n{}",
            site(folder.path())
        );
        let told = File::new(&text).checked();
        assert_eq!(
            told.contains("fcgate.toml:2:21"),
            why.is_some(),
            "{name}: {told}"
        );
        assert_eq!(told.is_empty(), why.is_none(), "{name}: {told}");
        assert!(told.contains(why.unwrap_or_default()), "{name}: {told}");
    }
}

/// A folder with a site that has TLS, whose files can be given modes.
struct Exposed {
    folder: TempDir,
    shown: String,
}

impl Exposed {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.path().join("a.key"), key.serialize_pem()).unwrap();
        let shown = folder.path().display().to_string();
        Self { folder, shown }
    }

    fn config(&self, rule: &str) -> String {
        let (site, shown) = (site(self.folder.path()), &self.shown);
        let listen = "[[listen]]\naddress = \"127.0.0.1:0\"\ntls = true\n";
        let tls = format!("{{ certificate = \"{shown}/a.pem\", key = \"{shown}/a.key\" }}");
        format!("{listen}{site}hosts = \"a.test\"\ntls = {tls}\n{rule}")
    }

    /// Writes the configuration, with the modes of the key, of itself and of the folder.
    fn write(&self, rule: &str, modes: [u32; 3]) -> PathBuf {
        let file = self.folder.path().join("fcgate.toml");
        std::fs::write(&file, self.config(rule)).unwrap();
        for (name, mode) in ["a.key", "fcgate.toml", ""].iter().zip(modes) {
            let path = self.folder.path().join(name);
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        }
        file
    }
}

const READ_KEY: &str = "every user of this host can read the private key FOLDER/a.key (mode 0644)";

/// `check` tells the mode of a file that others can read or write, and what mends it.
#[test]
fn files_that_others_can_read_or_write_are_told_of() {
    const SECRET: &str = "[[site.rule]]\nset_env = { DB_PASSWORD = \"x\" }\n";
    const VARIABLE: &str = "[[site.rule]]\nset_env = { DB_PASSWORD = \"${NOBODY:-x}\" }\n";
    const READ: &str = "every user of this host can read the configuration FOLDER/fcgate.toml (mode 0644), which has this secret";
    const WRITE: &str =
        "users other than its owner can write the configuration FOLDER/fcgate.toml (mode 0666)";
    let exposed = Exposed::new();
    for (rule, modes, expected) in [
        ("", [0o600, 0o644, 0o755], None),
        (VARIABLE, [0o640, 0o644, 0o755], None),
        (SECRET, [0o600, 0o640, 0o755], None),
        ("", [0o600, 0o644, 0o1777], None),
        ("", [0o644, 0o644, 0o755], Some((READ_KEY, "chmod o= "))),
        (SECRET, [0o600, 0o644, 0o755], Some((READ, "chmod o= "))),
        ("", [0o600, 0o666, 0o755], Some((WRITE, "chmod go-w "))),
    ] {
        let told = told(&gateway::check(&exposed.write(rule, modes)), 0);
        let count = told.matches("warning: ").count();
        assert_eq!(count, usize::from(expected.is_some()), "{modes:?}: {told}");
        if let Some((message, command)) = expected {
            let message = message.replace("FOLDER", &exposed.shown);
            assert!(told.contains(&message), "{message}: {told}");
            let help = format!("help: {command}{}", exposed.shown);
            assert!(told.contains(&help), "{help}: {told}");
        }
    }
}

/// `doctor` and `run` tell it too, and of a folder in which others can replace files.
#[tokio::test]
async fn files_that_others_can_replace_are_told_of_by_all() {
    const REPLACE: &str =
        "others can replace FOLDER/fcgate.toml: the folder FOLDER is writable for them (mode 0777)";
    let exposed = Exposed::new();
    let file = exposed.write("", [0o644, 0o644, 0o777]);
    let messages = [READ_KEY, REPLACE].map(|text| text.replace("FOLDER", &exposed.shown));
    let doctor = run(&["doctor", "--json", "-c", &file.to_string_lossy()]);
    let found = findings(&doctor, "fcgate.toml");
    for message in &messages {
        let is_it = |finding: &Value| finding["what"].as_str().unwrap().contains(message);
        assert!(found.iter().any(is_it), "{message}: {found:?}");
    }
    let config = exposed.config("");
    let gateway = Gateway::with(&config).in_folder(exposed.folder);
    let gateway = gateway.start().await;
    for message in &messages {
        gateway.log.wait_for(|line| line.contains(message)).await;
    }
}
