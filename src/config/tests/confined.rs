//! A server without rights: what it loaded changes in a folder that it may not search, or is loaded again from a bundle.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{load, sample};
use crate::auth::users::{Current, UserFile};
use crate::config::denied_folders;
use crate::disk::RealDisk;
use crate::files::double::{OwnOpener, without_rights};
use crate::files::{Bundle, Files};
use crate::site::Snapshot;

const CONFIG: &str = r#"
[server]
access_log = { to = "DIR/access.log" }
spool_directory = "/tmp"
[[listen]]
address = ":443"
tls = { client_certificates = "request", client_ca = "DIR/a.pem" }
[[site]]
root = "/srv"
tls = { certificate = "DIR/a.pem", key = "DIR/a.key" }
[[site.rule]]
auth = { basic = { realm = "a", users = "DIR/users", groups = "DIR/groups" } }
require = { valid_user = true }
static_files = {}
"#;

/// A folder with a configuration and its files.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let (folder, _) = sample();
        let config = CONFIG.replace("DIR", folder.path().to_str().unwrap());
        fs::write(folder.path().join("fcgate.toml"), config).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, files: &Files) -> Snapshot {
        let loaded = load(&self.path("fcgate.toml"), None, files);
        loaded.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Replaces the certificate and its key by those of `b.test`, or one of the two.
    fn renew(&self, names: &[&str]) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["b.test".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        for name in names {
            let pem = match *name {
                "a.key" => key.serialize_pem(),
                _ => certificate.clone(),
            };
            fs::write(self.path("new"), pem).unwrap();
            // As a renewal leaves it.
            let private = fs::Permissions::from_mode(0o600);
            fs::set_permissions(self.path("new"), private).unwrap();
            fs::rename(self.path("new"), self.path(name)).unwrap();
        }
    }

    fn replace_users(&self, name: &str) {
        let text = format!("{name}:{{SHA}}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\nnonsense\n");
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path("users")).unwrap();
    }
}

/// Returns the files of the users of a configuration.
fn users(snapshot: &Snapshot, folder: &Folder) -> Arc<UserFile> {
    let (users, groups) = (folder.path("users"), folder.path("groups"));
    let known = &snapshot.authentication.files;
    known.open(&users, Some(&groups), &Files::own()).unwrap()
}

#[test]
fn what_may_change_is_granted() {
    let folder = Folder::new();
    let files = Files::recording();
    folder.load(&files);
    let granted = files.granted().unwrap();
    let names = ["a.key", "a.pem", "groups", "users"];
    assert_eq!(granted.files, names.map(|name| folder.path(name)));
    assert_eq!(granted.logs, [folder.path("access.log")]);
}

#[test]
fn a_renewed_certificate_is_read_through_the_opener() {
    let folder = Folder::new();
    let opener = Arc::new(OwnOpener::of(folder.0.path()));
    let files = Files::recording();
    let snapshot = folder.load(&files);
    files.open_through(Arc::<OwnOpener>::clone(&opener));
    let refresh = || without_rights(folder.0.path(), || snapshot.refresh_certificates());

    // In a folder that can be searched one look at each file suffices, and none is opened.
    assert_eq!(snapshot.refresh_certificates(), []);
    assert_eq!(opener.opened(), [] as [PathBuf; 0]);
    assert_eq!(refresh(), []);

    folder.renew(&["a.pem", "a.key"]);
    assert_eq!(
        refresh(),
        [Ok(folder.path("a.pem")), Ok(folder.path("a.pem"))]
    );
    assert_eq!(refresh(), []);

    // Half of a renewal is reported once, and its other half ends it.
    folder.renew(&["a.key"]);
    let refreshed = refresh();
    assert!(matches!(&refreshed[..], [Err(_)]), "{refreshed:?}");
    assert_eq!(refresh(), []);
    folder.renew(&["a.pem", "a.key"]);
    assert_eq!(refresh().len(), 2);
}

#[test]
fn users_in_a_folder_that_cannot_be_searched_are_asked_for() {
    let folder = Folder::new();
    let opener = Arc::new(OwnOpener::of(folder.0.path()));
    let files = Files::recording();
    let snapshot = folder.load(&files);
    let file = users(&snapshot, &folder);
    files.open_through(Arc::<OwnOpener>::clone(&opener));
    let disk = RealDisk::default();
    let release = disk.one_release();
    let has = |user: &str| match file.current(&release, SystemTime::now()) {
        Current::Fresh(loaded) => loaded.users.entry(user.as_bytes()).is_some(),
        Current::Stale | Current::Unavailable(_) => false,
    };
    // As a request does, of which one comes within a second after another. A change counts when it has been left alone
    // for a moment.
    let await_user = |user: &str| {
        let end = SystemTime::now() + Duration::from_secs(60);
        while !has(user) {
            assert!(SystemTime::now() < end, "there is no user {user}");
            let _ = file.reload();
        }
    };

    assert!(has("a"));
    without_rights(folder.0.path(), || {
        assert!(!has("a"), "it has not been asked for");
        assert_eq!(opener.opened(), [] as [PathBuf; 0]);
        await_user("a");
        assert!(opener.opened().contains(&folder.path("users")));
    });
    folder.replace_users("b");
    without_rights(folder.0.path(), || await_user("b"));
    // In a folder that can be searched again it takes no round trip.
    file.reload().unwrap();
    opener.opened();
    assert!(has("b"));
    file.reload().unwrap();
    assert_eq!(opener.opened(), [] as [PathBuf; 0]);
}

#[test]
fn a_reload_from_a_bundle_has_the_files_of_its_candidate() {
    let folder = Folder::new();
    let before = folder.load(&Files::own());
    let file = users(&before, &folder);
    folder.replace_users("b");
    folder.renew(&["a.pem", "a.key"]);
    let candidate = Files::recording();
    folder.load(&candidate);
    let memory = candidate.bundle().unwrap().to_memfd().unwrap();
    let path = folder.path("fcgate.toml");
    folder.0.close().unwrap();

    let opener: Arc<OwnOpener> = Arc::default();
    let files = Files::of_bundle(
        Bundle::from_memfd(&memory).unwrap(),
        Arc::<OwnOpener>::clone(&opener),
    );
    let after = load(&path, Some(&before), &files).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(opener.opened(), [] as [PathBuf; 0]);
    // The user file is that of the configuration before, with the new content.
    let warnings = file.warnings();
    assert!(
        matches!(&warnings[..], [warning] if warning.contains("users:2:")),
        "{warnings:?}"
    );
    let names = |snapshot: &Snapshot| snapshot.certificates().unwrap().inspect()[0].names.clone();
    assert_eq!(
        (names(&before), names(&after)),
        (vec!["a.test".into()], vec!["b.test".into()])
    );
}

/// All else is a consequence.
#[test]
fn a_bundle_of_another_configuration_is_refused_with_the_reason() {
    let folder = Folder::new();
    let files = Files::recording();
    folder.load(&files);
    let bundle = files.bundle().unwrap();
    let files = Files::of_bundle(bundle, Arc::<OwnOpener>::default());
    let invalid = load(Path::new("/etc/other.toml"), None, &files).unwrap_err();
    let text = invalid.to_string();
    assert!(
        text.contains(
            "the configuration changed while it was loaded: /etc/other.toml was not read before"
        ),
        "{text}"
    );
    assert_eq!(text.matches("error: ").count(), 1, "{text}");
}

#[test]
fn folders_that_the_user_of_the_server_cannot_use_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    for name in ["home/public", "spool"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    let config = format!(
        "[server]\nspool_directory = \"{0}/spool\"\n[[site]]\nhosts = \"a.test\"\nroot = \"{1}/public\"\n[[site]]\nroot = \"/nowhere/at/all\"\n",
        folder.path().display(),
        home.display(),
    );
    let file = folder.path().join("fcgate.toml");
    fs::write(&file, config).unwrap();
    let files = Files::recording();
    let snapshot = load(&file, None, &files).unwrap();
    assert_eq!(denied_folders(&snapshot), [""; 0]);
    let (all, shown) = (folder.path(), home.display());
    let root = format!(
        "the root {shown}/public of the site a.test cannot be used (root): the gateway runs as "
    );
    let hidden = without_rights(all, || denied_folders(&snapshot));
    let [spool, denied] = &hidden[..] else {
        panic!("{hidden:?}")
    };
    let expected = format!(
        "cannot write to the spool directory {}/spool: Permission denied (os error 13) (server.spool_directory): the gateway runs as ",
        all.display()
    );
    assert!(spool.starts_with(&expected), "{spool}");
    let remedy = format!(
        "without permission to search the folder {} (mode 0700)",
        all.display()
    );
    assert!(
        denied.starts_with(&root) && denied.contains(&remedy),
        "{denied}"
    );
}
