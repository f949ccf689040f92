//! docs/cgi.md says what is done about each of the 55 behaviours, and which test shows it.

use std::path::{Path, PathBuf};

/// The rows that begin with a number: that, and the tests that they name.
fn rows(text: &str) -> Vec<(usize, Vec<&str>)> {
    text.lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let number = cells.next()?.trim().parse().ok()?;
            let named = cells.last()?.split('`').skip(1).step_by(2).collect();
            Some((number, named))
        })
        .collect()
}

/// The files that may hold the module `path`.
fn files(path: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (folder, module) = match path.strip_prefix("it::") {
        Some(module) => ("tests/it", module),
        None => ("src", path),
    };
    let at = |module: &str| root.join(folder).join(module.replace("::", "/"));
    let inside = module.strip_suffix("::tests").unwrap_or(module);
    vec![
        at(module).with_extension("rs"),
        at(inside).with_extension("rs"),
        at(inside).join("mod.rs"),
    ]
}

fn exists(test: &str) -> bool {
    let Some((module, name)) = test.rsplit_once("::") else {
        return false;
    };
    files(module).iter().any(|file| {
        std::fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {name}(")))
    })
}

#[test]
fn every_behaviour_is_decided_and_its_tests_exist() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cgi.md");
    let text = std::fs::read_to_string(file).unwrap();
    let rows = rows(&text);
    let numbers: Vec<_> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=55).collect::<Vec<_>>());
    for (number, tests) in rows {
        assert!(!tests.is_empty(), "no. {number} names no test");
        for test in tests {
            assert!(exists(test), "no. {number}: there is no test {test}");
        }
    }
    assert!(!exists("it::cgi_table::there_is_no_such_test"));
}
