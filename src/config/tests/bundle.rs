//! Loading from a bundle: the configuration is the same as from the disk, and the disk is not read.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{SAMPLE, load, sample};
use crate::config::difference::difference;
use crate::files::double::OwnOpener;
use crate::files::{Bundle, Files};
use crate::site::Snapshot;

/// Returns the configurations of the repository, as names and texts.
fn samples() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["config", "docker", "docker/php", "examples/slim"];
    let entries = folders
        .iter()
        .flat_map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|name| name == "toml"))
        .collect();
    files.sort();
    let text = |path: PathBuf| {
        (
            path.display().to_string(),
            fs::read_to_string(&path).unwrap(),
        )
    };
    files.into_iter().map(text).collect()
}

/// Returns a snapshot as lines, in an order that does not depend on the hashes of its maps, and without the times at
/// which it was built. Leaves out the sections, whose descriptions nest without an end: `difference` compares them.
fn lines(snapshot: &Snapshot) -> Vec<String> {
    let shown = format!(
        "{:#?}",
        (
            (&snapshot.server, &snapshot.admin, &snapshot.watched),
            (&snapshot.listeners, &snapshot.processes),
            (&snapshot.certificates, &snapshot.hosts),
            (snapshot.upstreams(), &snapshot.authentication),
        )
    );
    let mut lines: Vec<_> = shown
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("tv_"))
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

#[track_caller]
fn compare(one: &Snapshot, other: &Snapshot, name: &str) {
    let (one_lines, other_lines) = (lines(one), lines(other));
    assert!(one_lines.len() > 100, "{name}: {one_lines:?}");
    let mut pairs = one_lines.iter().zip(&other_lines);
    assert_eq!(pairs.find(|(one, other)| one != other), None, "{name}");
    assert_eq!(one_lines.len(), other_lines.len(), "{name}");
    assert_eq!(difference(one, other), [""; 0], "{name}");
}

/// Loads a configuration from a folder, and from its bundle when the folder is gone.
fn check(name: &str, folder: tempfile::TempDir) {
    let file = folder.path().join("fcgate.toml");
    let disk = load(&file, None, &Files::own()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let recording = Files::recording();
    let recorded = load(&file, None, &recording).unwrap();
    compare(&recorded, &disk, name);
    let memory = recording.bundle().unwrap().to_memfd().unwrap();
    folder.close().unwrap();

    let bundle = Bundle::from_memfd(&memory).unwrap();
    let opener: Arc<OwnOpener> = Arc::default();
    let files = Files::of_bundle(bundle, Arc::<OwnOpener>::clone(&opener));
    let bundled = load(&file, None, &files).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(bundled.warnings, "", "{name}");
    compare(&bundled, &disk, name);
    assert_eq!(opener.opened(), [] as [PathBuf; 0], "{name}");
}

#[test]
fn every_sample_is_the_same_from_a_bundle() {
    let samples = samples();
    assert!(samples.len() >= 8, "{samples:?}");
    for (name, text) in samples {
        let (folder, _) = sample();
        let in_folder = |name: &str| folder.path().join(name).display().to_string();
        let text = text
            .replace("/etc/tls/tls.crt", &in_folder("a.pem"))
            .replace("/etc/tls/tls.key", &in_folder("a.key"));
        fs::write(folder.path().join("fcgate.toml"), text).unwrap();
        check(&name, folder);
    }
}

#[test]
fn the_sample_with_every_key_is_the_same_from_a_bundle() {
    let (folder, text) = sample();
    assert!(SAMPLE.starts_with("include = [\"more/*.toml\"]\n"));
    let more = folder.path().join("more");
    fs::create_dir(&more).unwrap();
    for name in ["1.toml", "2.toml", ".hidden.toml"] {
        let site = format!("[[site]]\nhosts = \"{name}.test\"\nroot = \"/\"\n");
        fs::write(more.join(name), site).unwrap();
    }
    fs::write(folder.path().join("fcgate.toml"), text).unwrap();
    check("sample.toml", folder);
}
