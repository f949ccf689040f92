//! `fcgate check`: what is wrong with a configuration, all of it at once.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::harness::gateway::{self, Gateway};
use crate::harness::php_fpm::write_below;

/// What `check` says of these files, of which the first is the main one.
fn check(files: &[(&str, &str)]) -> (Output, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write_below(directory.path(), name, text);
    }
    (
        gateway::check(&directory.path().join(files[0].0)),
        directory,
    )
}

/// Fails unless all of `expected` stand in what was said, and the exit code is 1.
#[track_caller]
fn check_told(files: &[(&str, &str)], expected: &[&str]) {
    let (output, _directory) = check(files);
    let told = String::from_utf8(output.stderr).unwrap();
    for text in expected {
        assert!(told.contains(text), "{text:?} is not in:\n{told}");
    }
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(output.stdout.is_empty());
}

#[test]
fn every_error_of_every_file_is_told_at_its_place() {
    let main = r#"include = ["sites/*.toml"]

[server]
workres = 2
drain = 60

[[listen]]
address = "somewhere"
"#;
    let site = "[[site]]\nrot = \"/srv\"\n\n  [[site.rule]]\n  match = '('\n  deny = true\n";
    check_told(
        &[("fcgate.toml", main), ("sites/a.toml", site)],
        &[
            "fcgate.toml:4:1",
            "workres = 2",
            "did you mean `workers`?",
            "fcgate.toml:5:9",
            "\"60s\"",
            "fcgate.toml:8:11",
            "somewhere",
            "sites/a.toml:2:1",
            "did you mean `root`?",
            "sites/a.toml:5:11",
        ],
    );
}

#[test]
fn a_syntax_error_does_not_hide_the_others() {
    check_told(
        &[("fcgate.toml", "[server]\nworkres = 2\nlog = = \"info\"\n")],
        &[
            "fcgate.toml:3:",
            "fcgate.toml:2:1",
            "did you mean `workers`?",
        ],
    );
}

#[test]
fn an_upstream_that_does_not_exist_is_found() {
    let text = "[upstream.php]\nservers = \"unix:/run/x.sock\"\n[[site]]\nroot = \"/srv\"\nphp = \"phpp\"\n";
    check_told(
        &[("fcgate.toml", text)],
        &["fcgate.toml:5:7", "phpp", "did you mean `php`?"],
    );
}

#[test]
fn a_rule_has_exactly_one_action() {
    let text = "[[site]]\n[[site.rule]]\npath = \"/a\"\n[[site.rule]]\npath = \"/b\"\ndeny = true\nredirect = { to = \"/c\" }\n";
    check_told(
        &[("fcgate.toml", text)],
        &["fcgate.toml:2:", "fcgate.toml:7:1"],
    );
}

/// A key that would do nothing, or let a client do what is the administrator's.
#[test]
fn what_would_be_dangerous_is_refused() {
    let rule = |text: &str| {
        format!("[[site]]\nroot = \"/srv\"\nphp = \"unix:/run/x.sock\"\n[[site.rule]]\n{text}\n")
    };
    for (text, told) in [
        ("files_match = '^a$'\ndeny = true", "requires set_handler"),
        (
            "set_env = { PHP_ADMIN_VALUE = \"memory_limit=${header:X-M}\" }",
            "a client could set PHP_ADMIN_VALUE",
        ),
        (
            "set_env = { SCRIPT_FILENAME = \"/srv/${header:X}\" }",
            "choose the script by this value",
        ),
    ] {
        check_told(&[("fcgate.toml", &rule(text))], &["fcgate.toml:5:", told]);
    }
    for name in [
        "X_Forwarded_For",
        "Proxy_Authorization",
        "X.Accel.Mapping",
        "X_Real_IP",
    ] {
        let text = format!(
            "[[site]]\nroot = \"/srv\"\nphp = \"unix:/run/x.sock\"\npass_fields = [\"{name}\"]\n"
        );
        check_told(&[("fcgate.toml", &text)], &["fcgate.toml:4:", name]);
    }
}

#[test]
fn units_and_choices_are_explained() {
    let text = "[server]\nlog = \"verbose\"\ndrain = \"5 parsecs\"\nlimits = { body = \"12 apples\" }\n[[site]]\nroot = \"/srv\"\nencoded_slash = \"maybe\"\n";
    check_told(
        &[("fcgate.toml", text)],
        &[
            "fcgate.toml:2:7",
            "debug",
            "fcgate.toml:3:9",
            "fcgate.toml:4:19",
            "fcgate.toml:7:17",
            "decode",
        ],
    );
}

#[test]
fn an_environment_variable_must_be_set_or_have_a_default() {
    let text = "[[site]]\nroot = \"${FCGATE_NOT_SET}\"\nphp = \"${FCGATE_NOT_SET_EITHER:-unix:/run/x.sock}\"\n";
    check_told(
        &[("fcgate.toml", text)],
        &["fcgate.toml:2:", "FCGATE_NOT_SET"],
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    check_told(
        &[("fcgate.toml", "include = [\"missing.toml\"]\n")],
        &["missing.toml"],
    );
    let output = gateway::check(&"/does/not/exist.toml".into());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("/does/not/exist.toml")
    );
}

#[test]
fn a_good_configuration_is_ok() {
    let main = "include = [\"sites/*.toml\"]\n[upstream.php]\nservers = [\"127.0.0.1:9000\"]\n";
    let site = "[[site]]\nroot = \"/srv/${HOME_OF_SITE:-a}\"\nphp = \"php\"\n";
    let (output, directory) = check(&[("fcgate.toml", main), ("sites/a.toml", site)]);
    let told = [output.stdout, output.stderr].concat();
    assert_eq!(
        String::from_utf8(told).unwrap(),
        format!("{}: ok\n", directory.path().join("fcgate.toml").display())
    );
    assert_eq!(output.status.code(), Some(0));
}

/// A command with these arguments, and the file that FCGATE_CONFIG names.
fn run(arguments: &[&str], variable: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fcgate"));
    command.args(arguments).env_remove("FCGATE_CONFIG");
    command.envs(variable.map(|file| ("FCGATE_CONFIG", file)));
    command.output().unwrap()
}

#[test]
fn a_file_is_named_with_and_without_an_option() {
    let directory = tempfile::tempdir().unwrap();
    write_below(directory.path(), "a.toml", "[[site]]\nroot = \"/srv/a\"\n");
    let file = directory.path().join("a.toml");
    let (file, none) = (file.to_str().unwrap(), "/does/not/exist.toml");
    for (command, said) in [
        (["check"].as_slice(), ": ok"),
        (&["config", "--expanded"], "/srv/a"),
    ] {
        for (named, variable) in [
            (["-c", file].as_slice(), None),
            (&["--config", file], None),
            (&[file], None),
            (&[], Some(file)),
            // What is named counts more.
            (&["-c", file], Some(none)),
            (&[file], Some(none)),
        ] {
            let output = run(&[command, named].concat(), variable);
            let told = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success(), "{command:?} {named:?}");
            assert!(told.contains(said), "{command:?} {named:?}: {told}");
        }
        let both = run(&[command, &["-c", file, file]].concat(), None);
        assert_eq!(both.status.code(), Some(2), "{both:?}");
    }
}

#[test]
fn the_configurations_of_this_repository_are_ok() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    for file in files.filter(|file| {
        file.extension()
            .is_some_and(|extension| extension == "toml")
    }) {
        let output = gateway::check(&file);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn the_reference_is_the_one_of_this_repository() {
    let printed = gateway::reference();
    let kept =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/reference.toml")).unwrap();
    assert!(
        printed.stdout == kept,
        "config/reference.toml is out of date: fcgate reference > config/reference.toml"
    );
}

#[tokio::test]
async fn a_gateway_does_not_start_with_a_bad_one() {
    let mut gateway = Gateway::with("[[site]]\nrot = \"/srv\"\n").spawn().await;
    gateway
        .log
        .wait_for(|line| line.contains("fcgate.toml:2:1"))
        .await;
    assert_eq!(gateway.ended().await.code(), Some(1));
}
