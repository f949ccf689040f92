//! Broken set-ups on a real disk, and the cause named for each.

use std::fs::Permissions;

use super::*;
use crate::cgi::ResolvedRoots;
use crate::message::{Root, Symlinks};

fn mapping(root: &Path, backend_root: Option<&Path>) -> Mapping {
    Mapping {
        root: Root(root.to_owned()),
        backend_root: backend_root.map(Path::to_owned),
        symlinks: Symlinks::default(),
        resolves_root: false,
    }
}

/// Creates a host folder with `/app/public/index.php` below it.
fn host() -> tempfile::TempDir {
    let host = tempfile::tempdir().unwrap();
    // The mode of a temporary folder is 0700.
    fs::set_permissions(host.path(), Permissions::from_mode(0o755)).unwrap();
    let public = host.path().join("app/public");
    fs::create_dir_all(public.join("folder.php")).unwrap();
    fs::write(public.join("index.php"), "<?php").unwrap();
    host
}

#[test]
fn fpms_words_are_known_unless_a_script_wrote_them() {
    let of = |text: &str| Refusal::of(false, text.as_bytes());
    assert_eq!(of("Primary script unknown"), Some(Refusal::Unknown));
    assert_eq!(
        of("Unable to open primary script: /a.php (Permission denied)"),
        Some(Refusal::NotPermitted)
    );
    assert_eq!(
        of("Unable to open primary script: /a.php (No such file or directory)"),
        Some(Refusal::NotOpened)
    );
    assert_eq!(of("the Primary script unknown"), None);
    assert_eq!(Refusal::of(true, b"Primary script unknown"), None);
}

#[test]
fn each_broken_set_up_has_its_cause() {
    let host = host();
    let at = |path: &str| host.path().join(path);
    let look = |root: &str, backend_root: Option<&str>, file: &str| {
        let backend_root = backend_root.map(at);
        let mapping = mapping(&at(root), backend_root.as_deref());
        let script = Script::at(file.as_bytes(), file.len());
        let found = Diagnosis::look(&mapping, &script, Refusal::Unknown);
        (found.at_here, found.first_missing, found.cause)
    };
    assert_eq!(
        look("app/public", None, "/index.php"),
        (Seen::File, None, Cause::Elsewhere)
    );
    assert_eq!(
        look("app/public", Some("var/www/html"), "/index.php"),
        (Seen::File, Some(at("var")), Cause::BackendRoot)
    );
    assert_eq!(
        look("app/public", Some("app/html"), "/missing.php"),
        (Seen::Nothing, Some(at("app/html")), Cause::NoScript)
    );
    assert_eq!(
        look("app/public/", None, "/sub/missing.php"),
        (Seen::Nothing, Some(at("app/public/sub")), Cause::NoScript)
    );
    assert_eq!(
        look("srv/public", None, "/index.php"),
        (
            Seen::Nothing,
            Some(at("srv")),
            Cause::NoRoot(at("srv/public"))
        )
    );
    assert_eq!(
        look("app/public", None, "/folder.php"),
        (Seen::Other, None, Cause::NoFile)
    );
    fs::set_permissions(at("app"), Permissions::from_mode(0o750)).unwrap();
    assert_eq!(
        look("app/public", None, "/index.php"),
        (Seen::File, None, Cause::Closed(at("app")))
    );
}

#[test]
fn a_release_that_was_removed_is_named() {
    let host = host();
    let mut script = Script::at(b"/index.php", "/index.php".len());
    let gone = host.path().join("releases/1/public");
    script.resolved = Some(ResolvedRoots {
        script: gone.as_path().into(),
        document: gone.as_path().into(),
        accel_mapping: Vec::new(),
    });
    let mapping = mapping(&host.path().join("app/public"), None);
    let found = Diagnosis::look(&mapping, &script, Refusal::Unknown);
    assert_eq!(found.sent, gone.join("index.php"));
    assert_eq!(found.cause, Cause::ReleaseRemoved(gone.clone()));
    assert!(found.cause.to_string().contains("releases/1"));
    assert!(!found.cause.is_ordinary());
}

#[test]
fn a_missing_permission_is_believed() {
    let facts = Facts {
        refusal: Refusal::NotPermitted,
        root: (PathBuf::from("/srv"), Seen::Other),
        removed: None,
        here: Seen::File,
        sent: Seen::File,
        closed: None,
    };
    assert_eq!(facts.clone().cause(), Cause::NotPermitted);
    let hidden = Facts {
        refusal: Refusal::Unknown,
        here: Seen::Hidden,
        ..facts
    };
    assert_eq!(hidden.cause(), Cause::Hidden);
}

#[test]
fn only_what_pass_lets_happen_is_ordinary() {
    assert!(Cause::NoScript.is_ordinary());
    assert!(!Cause::BackendRoot.is_ordinary() && !Cause::Elsewhere.is_ordinary());
    let told = Cause::Closed(PathBuf::from("/srv/\x1b")).to_string();
    assert!(!told.contains('\x1b'), "{told}");
}
