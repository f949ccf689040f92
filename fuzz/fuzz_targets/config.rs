//! Configurations: any text becomes a snapshot or a text that says what is wrong. Includes are left out, since their
//! patterns would search the disk of whoever runs this.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use fcgate::config::source::{Source, Sources, parse};
use fcgate::config::{ROOT, diagnostic};
use fcgate::files::Files;
use fcgate::section::{Lowered, Problems, Section};
use fcgate::site::Snapshot;
use libfuzzer_sys::fuzz_target;

static WITHOUT_INCLUDE: LazyLock<Section> = LazyLock::new(|| {
    let keys = ROOT.groups.iter().copied().flatten().copied();
    let keys: Vec<_> = keys
        .filter(|key| key.descriptor().name != "include")
        .collect();
    Section {
        groups: vec![&*keys.leak()].leak(),
        ..ROOT
    }
});

fuzz_target!(|text: &str| {
    let mut problems = Problems::default();
    let (sources, files) = read(text, &mut problems);
    let snapshot = Snapshot::build(files.clone(), &sources, None, &Files::own(), &mut problems);
    match snapshot {
        Some(snapshot) if problems.is_empty() => can_be_reloaded(files, &sources, &snapshot),
        Some(_) | None => says_what_is_wrong(problems, &sources),
    }
});

fn read(text: &str, problems: &mut Problems) -> (Sources, Vec<Lowered>) {
    let source = Source {
        path: PathBuf::from("fcgate.toml"),
        text: text.to_owned(),
    };
    let environment = |name: &str| (name == "SET").then(|| "/set".to_owned());
    parse(source, &WITHOUT_INCLUDE, &environment, problems)
}

/// The same text over itself is no change.
fn can_be_reloaded(files: Vec<Lowered>, sources: &Sources, snapshot: &Snapshot) {
    let mut problems = Problems::default();
    let again = Snapshot::build(files, sources, Some(snapshot), &Files::own(), &mut problems);
    assert!(again.is_some() && problems.is_empty());
}

fn says_what_is_wrong(problems: Problems, sources: &Sources) {
    let problems = problems.into_sorted();
    assert!(!problems.is_empty(), "refused without a reason");
    let text = diagnostic::render(&problems, sources);
    assert!(
        text.starts_with("error: ") && text.ends_with('\n'),
        "{text}"
    );
    // What stands in a file must not reach the terminal as more than text.
    let is_control = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(is_control), "{text:?}");
    diagnostic::render_coloured(&problems, sources);
}
