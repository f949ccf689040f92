//! Rights of roots with and without links, their order, and their comparison.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

fn tree() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    for name in [
        "app/releases/1/public",
        "app/releases/2/public",
        "site/public",
        "spool",
        "run",
    ] {
        fs::create_dir_all(path.join(name)).unwrap();
    }
    symlink("releases/1", path.join("app/current")).unwrap();
    (folder, path)
}

fn needs(folder: &Path, roots: &[&str]) -> Needs {
    Needs {
        roots: roots.iter().map(|root| folder.join(root)).collect(),
        spool: folder.join("spool"),
        ..Needs::default()
    }
}

fn confinement(folder: &Path, roots: &[&str]) -> Confinement {
    Confinement::resolve(&needs(folder, roots))
}

/// Returns the granted paths below `folder`.
fn below<'a>(folder: &Path, grants: &'a [Grant]) -> Vec<&'a Path> {
    let paths = grants.iter().map(Grant::path);
    paths
        .filter_map(|path| path.strip_prefix(folder).ok())
        .collect()
}

#[test]
fn a_root_grants_itself_and_a_linked_one_its_siblings() {
    let (_kept, folder) = tree();
    for (root, expected) in [
        ("site/public", "site/public"),
        ("app/current/public", "app/releases"),
        ("app/current", "app/releases"),
        ("app/releases/1/public", "app/releases/1/public"),
    ] {
        let confinement = confinement(&folder, &[root]);
        assert_eq!(
            below(&folder, &confinement.reads),
            [Path::new(expected)],
            "{root}"
        );
        assert_eq!(below(&folder, &confinement.writes), [Path::new("spool")]);
    }
    // The folder that holds a system's own link is no deployment.
    assert_eq!(places(Path::new("/lib/x")), [Path::new("/lib/x")]);
}

#[test]
fn equal_rights_are_equal_values() {
    let (_kept, folder) = tree();
    let one = confinement(
        &folder,
        &["app", "app/releases/1/public", "site/public", "app/current"],
    );
    let other = confinement(&folder, &["site/public", "app"]);
    assert_eq!(one, other);
    let bytes = postcard::to_allocvec(&one).unwrap();
    assert_eq!(postcard::from_bytes::<Confinement>(&bytes).unwrap(), one);
}

#[test]
fn a_configuration_needs_new_rights_only_outside_of_those_in_force() {
    let (_kept, folder) = tree();
    let in_force = confinement(&folder, &["app/current/public", "site"]);
    for (roots, expected) in [
        (&["app/current/public"][..], true),
        (&["site/public", "app/releases/2/public"], true),
        (&[], true),
        (&["app"], false),
        (&["site/public", "run"], false),
        // Nothing can be granted yet.
        (&["missing"], true),
    ] {
        let new = confinement(&folder, roots);
        assert_eq!(new.is_within(&in_force), expected, "{roots:?}");
    }
    let with = |change: fn(&mut Needs)| {
        let mut needs = needs(&folder, &["site"]);
        change(&mut needs);
        Confinement::resolve(&needs)
    };
    let everything = with(|needs| needs.everything = true);
    assert!(in_force.is_within(&everything) && !everything.is_within(&in_force));
    let port = with(|needs| needs.ports = [9000].into());
    assert!(!in_force.is_within(&with(|needs| needs.roots.clear())));
    assert!(!port.is_within(&in_force));
    let names = with(|needs| needs.names = true);
    assert!(!names.is_within(&port) && names.ports == [DNS]);
}

#[test]
fn a_folder_that_was_replaced_needs_new_rights() {
    let (_kept, folder) = tree();
    let in_force = confinement(&folder, &["site", "app/current"]);
    let again = || confinement(&folder, &["site", "app/current"]);
    // A deployment by a link needs none.
    fs::remove_file(folder.join("app/current")).unwrap();
    symlink("releases/2", folder.join("app/current")).unwrap();
    assert!(again().is_within(&in_force));
    fs::rename(folder.join("site"), folder.join("before")).unwrap();
    assert!(
        again().is_within(&in_force),
        "a missing folder needs nothing"
    );
    fs::create_dir(folder.join("site")).unwrap();
    assert!(!again().is_within(&in_force));
}
