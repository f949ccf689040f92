//! The rules of CONTRIBUTING.md that no compiler checks: layers, sizes, purity, and a few more.
//! A failure lists every offence with its place and what to do.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "the whole file is a test"
)]

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/citations.rs"]
mod citations;
#[path = "tidy/language.rs"]
mod language;
#[path = "tidy/source.rs"]
mod source;

use source::{Offences, Source, code, has_word, imports, numbered, read, root, sources};

/// A module may import only modules to its right.
const LAYERS: &[&str] = &[
    "main",
    "cli",
    "parent",
    "server",
    "admin",
    "journey",
    "apache",
    "config",
    "site",
    "filter",
    "modifier",
    "handler",
    "failure",
    "control",
    "process",
    "upstream",
    "cgi",
    "access_log",
    "route",
    "disk",
    "auth",
    "tls",
    "fastcgi",
    "message",
    "stream",
    "timer",
    "moment",
    "threads",
    "line_log",
    "files",
    "privilege",
    "service",
    "limits",
    "section",
    "value",
    "allocator",
];

/// Imports against the layers that are allowed: from, to, and the reason.
const LAYER_EXCEPTIONS: [(&str, &str, &str); 0] = [];

/// Lines of a source file, with its tests.
const SOURCE_LINES: usize = 400;

/// Lines of a file that has nothing but tests.
const TEST_LINES: usize = 600;

/// What computes and does nothing else: files, or folders with all in them.
const PURE: &[&str] = &[
    "src/journey",
    "src/modifier",
    "src/cgi",
    "src/route",
    "src/fastcgi/record",
    "src/fastcgi/params",
    "src/fastcgi/decoder",
    "src/fastcgi/management",
    "src/auth/verifier/attempts",
    "src/auth/verifier/queue",
    "src/upstream/fpm/admission",
    "src/upstream/health",
    "src/upstream/policy",
    "src/handler/fastcgi/stderr/messages",
    "src/handler/fastcgi/stderr/budget",
    "src/message",
    "src/auth/users",
];

/// The async parts of `message`, and what reads the files of users.
const IMPURE: &[&str] = &[
    "src/message/body",
    "src/message/spool",
    "src/auth/users/file",
];

/// What pure code does without: disk facts come in through `Disk`.
const EFFECTS: &[&str] = &[
    "async", ".await", "tokio", "std::fs", "fs::File", "thread::",
];

/// Time comes in as an argument; only tests have to begin somewhere.
const CLOCKS: &[&str] = &["Instant::now", "SystemTime::now"];

/// The clock's type, as an argument: the one thing of tokio's that pure code may name.
const INSTANT: &str = "tokio::time::Instant;";

#[test]
fn modules_import_only_what_is_below_them() {
    let mut offences = Offences::default();
    for source in sources("src") {
        let Some(module) = source.module() else {
            continue;
        };
        let Some(layer) = LAYERS.iter().position(|name| *name == module) else {
            offences.add(
                &source,
                0,
                format!("`{module}` has no layer: give it its place in LAYERS"),
            );
            continue;
        };
        for (line, import) in imports(&source.code, source.depth()) {
            let excused = |(from, to, _): &(&str, &str, &str)| *from == module && *to == import;
            match LAYERS.iter().position(|name| *name == import) {
                Some(other) if other >= layer || LAYER_EXCEPTIONS.iter().any(excused) => {}
                Some(_) => offences.add(&source, line, format!("`{module}` imports `{import}`, which lies above it: move what is shared down, or pass it in")),
                None => offences.add(&source, line, format!("`crate::{import}` is no module with a layer: import from the module that owns it")),
            }
        }
    }
    offences.none();
}

#[test]
fn files_stay_small() {
    let mut offences = Offences::default();
    for source in sources("src").into_iter().chain(sources("tests")) {
        let limit = if source.is_tests() {
            TEST_LINES
        } else {
            SOURCE_LINES
        };
        let lines = source.text.lines().count();
        if lines > limit {
            offences.add(&source, lines, format!("{lines} lines, more than {limit}: find the second subject in it and give that its own file"));
        }
    }
    offences.none();
}

#[test]
fn pure_code_has_no_effects() {
    let mut offences = Offences::default();
    for source in sources("src").iter().filter(|source| source.is_pure()) {
        let clocks = CLOCKS.iter().filter(|_| !source.is_tests());
        let effects: Vec<_> = EFFECTS.iter().chain(clocks).collect();
        for (number, line) in numbered(&source.code) {
            let line = line.replace(INSTANT, "");
            for effect in effects.iter().filter(|effect| has_word(&line, effect)) {
                offences.add(source, number, format!("`{effect}` in pure code: take the fact as an argument, or move the effect to the caller"));
            }
        }
    }
    offences.none();
}

/// A pipe that nobody reads stops the thread that writes to it: only `line_log` has a thread for that, and commands
/// have nobody to serve.
#[test]
fn nothing_that_serves_writes_to_a_standard_stream() {
    let streams = [
        "stdout()",
        "stderr()",
        "println!",
        "eprintln!",
        "print!",
        "eprint!",
        "dbg!",
    ];
    let mut offences = Offences::default();
    // `fcgate run` is the command that serves.
    let may_wait = |source: &Source| {
        let module = source.module();
        source.path != "src/cli/run.rs" && matches!(module, Some("main" | "cli" | "line_log"))
    };
    for source in sources("src").iter().filter(|source| !may_wait(source)) {
        for (number, line) in numbered(&source.code) {
            let line = line.replace("Sink::stdout()", "");
            for stream in streams.iter().filter(|stream| has_word(&line, stream)) {
                offences.add(
                    source,
                    number,
                    format!(
                        "`{stream}` may block: log an event (`tracing`), or append to a `LineLog`"
                    ),
                );
            }
        }
    }
    offences.none();
}

#[test]
fn files_say_what_they_are() {
    let mut offences = Offences::default();
    for source in sources("src") {
        if !source.text.starts_with("//! ") {
            offences.add(
                &source,
                1,
                "begin with `//!`: what this is, and what it must never do".to_owned(),
            );
        }
    }
    offences.none();
}

/// What no `mod` names is neither built nor run, and no compiler says so.
#[test]
fn every_file_is_a_module() {
    let mut offences = Offences::default();
    for sources in [sources("src"), sources("tests/it")] {
        for source in &sources {
            let stem = source.path.trim_end_matches(".rs");
            let stem = stem.trim_end_matches("/mod");
            let (folder, name) = stem.rsplit_once('/').unwrap_or_default();
            let parents = ["/mod.rs", "/lib.rs", "/main.rs", ".rs"];
            let parents = parents.map(|end| format!("{folder}{end}"));
            let declaration = format!("mod {name};");
            let declares = |other: &Source| {
                parents.contains(&other.path) && has_word(&other.code, &declaration)
            };
            if !matches!(name, "lib" | "main") && !sources.iter().any(declares) {
                let what = format!("no `{declaration}` names it: add one, or remove the file");
                offences.add(source, 1, what);
            }
        }
    }
    offences.none();
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file is not its own offence.
    let notes = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let mut offences = Offences::default();
    for source in sources("src").iter().chain(&sources("tests")) {
        for (number, line) in numbered(&source.text) {
            for note in notes.iter().filter(|note| has_word(line, note)) {
                offences.add(source, number, format!("{note}: do it, or open an issue"));
            }
        }
        for (number, line) in numbered(&source.code) {
            for stub in ["todo!", "unimplemented!", "#[ignore"]
                .iter()
                .filter(|stub| has_word(line, stub))
            {
                offences.add(
                    source,
                    number,
                    format!("`{stub}`: finish it, or take it out"),
                );
            }
        }
    }
    offences.none();
}

#[test]
fn the_readme_names_make_targets_that_exist() {
    let readme = read(&root().join("README.md"));
    let makefile = read(&root().join("Makefile"));
    let targets = makefile
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(_, rest)| !rest.starts_with('='));
    let targets: Vec<_> = targets
        .flat_map(|(names, _)| names.split_whitespace())
        .collect();
    let mut offences = Offences::default();
    for (number, target) in make_targets(&readme) {
        if !targets.contains(&target) {
            offences.0.push(format!("README.md:{number}: `make {target}` is not in the Makefile: add the target or correct the README"));
        }
    }
    offences.none();
}

/// The targets that fenced blocks of `markdown` make, with their lines.
fn make_targets(markdown: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in numbered(markdown) {
        let line = line.trim_start();
        if line.starts_with("```") {
            fenced = !fenced;
        } else if let Some(arguments) = line
            .trim_start_matches("$ ")
            .strip_prefix("make ")
            .filter(|_| fenced)
        {
            let words = arguments
                .split_whitespace()
                .take_while(|word| !word.starts_with(['#', '&', '|', ';', '>']));
            let names = words.filter(|word| !word.contains('=') && !word.starts_with('-'));
            found.extend(names.map(|name| (number, name)));
        }
    }
    found
}

#[test]
fn comments_and_quotes_are_no_code() {
    for (text, expected) in [
        ("a // b\nc", "a  \nc"),
        ("a /* b\n */ c", "a  \n c"),
        (r#"f("a // \" b") // c"#, "f( )  "),
        (r##"f(r#"a " b"#, br"\", c)"##, "f( , b , c)"),
        ("&'a str, '\"', '\\'', b'x', 'ä'", "&'a str,  ,  , b ,  "),
        ("for\"x\"", "for "),
    ] {
        assert_eq!(code(text), expected, "{text}");
    }
}

#[test]
fn imports_are_found() {
    for (code, depth, expected) in [
        ("use crate::value::ByteSize;", 1, vec!["value"]),
        (
            "use crate::{route::{a, cgi}, tls, value::*};",
            1,
            vec!["route", "tls", "value"],
        ),
        (
            "pub(in crate::x) fn f() { crate::cli::f() }",
            1,
            vec!["x", "cli"],
        ),
        ("use super::super::tls::T;", 2, vec!["tls"]),
        ("use super::tls::T; use super::super::own::T;", 2, vec![]),
        ("use fcgate_crate::x; $crate::y", 1, vec![]),
    ] {
        let names: Vec<_> = imports(code, depth)
            .into_iter()
            .map(|(_, name)| name)
            .collect();
        assert_eq!(names, expected, "{code}");
    }
    assert_eq!(imports("\n\nuse crate::tls;", 1), [(3, "tls")]);
}

#[test]
fn words_and_targets_are_found() {
    assert!(has_word("x.await?", ".await") && has_word("pub async fn", "async"));
    assert!(!has_word("my_async()", "async") && !has_word("asynchronous", "async"));
    let readme = "make no\n```sh\n$ make test lint V=1 -j2 # all\n  make run\n```\nmake no\n";
    assert_eq!(make_targets(readme), [(3, "test"), (3, "lint"), (4, "run")]);
}
