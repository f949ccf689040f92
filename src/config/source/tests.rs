//! Files, includes, and their faults.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{MAX_DEPTH, read};
use crate::config::{ROOT, site_section};
use crate::files::Files;
use crate::section::{Lowered, Problems};

/// Creates a directory with these files.
fn files(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

/// Returns the roots of all sites in order, and the problems as `file: message`.
fn read_in(directory: &TempDir) -> (Vec<String>, Vec<String>) {
    let mut problems = Problems::default();
    let (sources, lowered) = read(
        &directory.path().join("main.toml"),
        &ROOT,
        &|_| None,
        &Files::own(),
        &mut problems,
    );
    let roots = lowered
        .iter()
        .flat_map(|file| file.get(&site_section::SITES).iter().filter_map(root));
    let short = |path: &Path| {
        path.strip_prefix(directory.path())
            .unwrap_or(path)
            .display()
            .to_string()
    };
    let problems = problems.into_sorted().into_iter().map(|problem| {
        let path = short(&sources.get(problem.place.file).unwrap().path);
        let prefix = format!("{}/", directory.path().display());
        format!("{path}: {}", problem.message.replace(&prefix, ""))
    });
    (roots.collect(), problems.collect())
}

fn root(site: &Lowered) -> Option<String> {
    site.get(&site_section::ROOT).map(|root| root.value)
}

fn site(root: &str) -> String {
    format!("[[site]]\nroot = \"{root}\"\n")
}

#[track_caller]
fn check(given: &[(&str, &str)], roots: &[&str], problems: &[&str]) {
    assert_eq!(read_in(&files(given)), (strings(roots), strings(problems)));
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn included_files_follow_in_the_order_of_their_names() {
    let main = format!(
        "include = [\"sites/*.toml\", \"last.toml\"]\n{}",
        site("main")
    );
    check(
        &[
            ("main.toml", &main),
            ("sites/b.toml", &site("b")),
            (
                "sites/a.toml",
                &format!("include = \"../deep/a.toml\"\n{}", site("a")),
            ),
            ("sites/.#b.toml", "= broken"),
            ("sites/dir.toml/x", ""),
            ("deep/a.toml", &site("deep")),
            ("last.toml", &site("last")),
        ],
        &["main", "a", "deep", "b", "last"],
        &[],
    );
}

#[test]
fn a_wildcard_may_match_nothing_and_a_plain_path_may_not() {
    check(
        &[("main.toml", "include = [\"sites/*.toml\", \"gone.toml\"]")],
        &[],
        &["main.toml: cannot read `gone.toml`: No such file or directory (os error 2)"],
    );
}

#[test]
fn a_bad_pattern_is_a_problem() {
    check(
        &[("main.toml", "include = \"a***.toml\"")],
        &[],
        &[
            "main.toml: `a***.toml` is not a pattern: wildcards are either regular `*` or recursive `**`",
        ],
    );
}

#[test]
fn a_circle_of_files_is_read_once() {
    check(
        &[
            (
                "main.toml",
                &format!("include = [\"*.toml\", \"a.toml\"]\n{}", site("main")),
            ),
            ("a.toml", &format!("include = \"main.toml\"\n{}", site("a"))),
        ],
        &["main", "a"],
        &[],
    );
}

#[test]
fn files_do_not_include_each_other_without_end() {
    let names = (0..20)
        .map(|number| format!("{number}.toml"))
        .collect::<Vec<_>>();
    let texts = (1..21)
        .map(|next| format!("include = \"{next}.toml\""))
        .collect::<Vec<_>>();
    let mut chain = names
        .iter()
        .zip(&texts)
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect::<Vec<_>>();
    chain.push(("main.toml", "include = \"0.toml\""));
    let last = format!(
        "{}.toml: files include each other more than {MAX_DEPTH} deep",
        MAX_DEPTH - 1
    );
    check(&chain, &[], &[&last]);
}

#[test]
fn the_server_section_is_allowed_in_the_main_file_only() {
    check(
        &[
            ("main.toml", "include = \"a.toml\"\n[server]"),
            ("a.toml", "[server]\nworkers = 1"),
        ],
        &[],
        &["a.toml: [server] is allowed only in the main file"],
    );
}

#[test]
fn problems_of_all_files_are_found() {
    check(
        &[
            ("main.toml", "include = [\"a.toml\", \"b.toml\"]\nx = 1"),
            ("a.toml", "y = 1\nz = = 2\nunseen = 3"),
            ("b.toml", "server.drain = 5"),
        ],
        &[],
        &[
            "main.toml: unknown key `x`",
            "a.toml: unknown key `y`",
            "a.toml: extra `=`, expected nothing",
            "b.toml: [server] is allowed only in the main file",
            "b.toml: expected a duration such as \"60s\", found an integer",
        ],
    );
}

#[test]
fn a_main_file_that_cannot_be_read_is_a_problem() {
    check(
        &[],
        &[],
        &["main.toml: cannot read `main.toml`: No such file or directory (os error 2)"],
    );
    let directory = files(&[]);
    fs::write(directory.path().join("main.toml"), b"\xff").unwrap();
    let (_, problems) = read_in(&directory);
    assert_eq!(
        problems,
        ["main.toml: cannot read `main.toml`: stream did not contain valid UTF-8"]
    );
}

#[test]
fn an_endless_file_is_refused() {
    let mut problems = Problems::default();
    let zero = Path::new("/dev/zero");
    read(zero, &ROOT, &|_| None, &Files::own(), &mut problems);
    let [problem] = &problems.into_sorted()[..] else {
        panic!("one problem")
    };
    assert_eq!(problem.message, "cannot read `/dev/zero`: longer than 4MiB");
}
