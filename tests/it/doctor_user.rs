//! `fcgate doctor`: what the user of the server may not do. Started by root it checks the rights of www-data, which root's
//! server has; started by another user, that user's own.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::doctor::{Report, hasty, share};
use crate::harness::gateway::{run, run_under};

/// A user that the database does not know, and the tests do not run as.
const STRANGER: u32 = 4_000_001;

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A folder of a site: `home/public` below, with a page.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        share(folder.path());
        fs::create_dir_all(folder.path().join("home/public")).unwrap();
        fs::write(folder.path().join("home/public/index.php"), "").unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Takes all rights to a folder or file from everybody; it is also the root's user's own.
    fn close(&self, name: &str) {
        fs::set_permissions(self.path(name), PermissionsExt::from_mode(0o000)).unwrap();
    }

    /// Writes the configuration, with these lines in `[server]`; returns its file.
    fn write(&self, php: &str, server: &str) -> PathBuf {
        let config = hasty(php, &self.path("home/public"));
        let config = config.replacen("[server]", &format!("[server]\n{server}"), 1);
        let file = self.path("fcgate.toml");
        fs::write(&file, config).unwrap();
        file
    }

    fn doctor(&self, file: &Path, more: &[&str]) -> Report {
        let arguments = [&["doctor", "--json", "-c", file.to_str().unwrap()], more].concat();
        Report::of(&run(&arguments))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // An ordinary user could not remove what is closed.
        for name in ["home", "home/spool"] {
            let _ = fs::set_permissions(self.path(name), PermissionsExt::from_mode(0o700));
        }
    }
}

fn words(finding: &Value, key: &str) -> String {
    finding[key].as_str().unwrap().to_owned()
}

#[test]
fn a_home_folder_on_the_way_to_the_root() {
    let site = Site::new();
    let file = site.write("unix:/run/none.sock", "");
    site.close("home");
    let home = site.path("home").display().to_string();
    let report = site.doctor(&file, &[]);
    let finding = report.has(
        "error",
        &format!("no permission to search {home}, which is "),
    );
    assert_eq!(
        finding["about"],
        site.path("home/public").display().to_string()
    );
    assert!(words(finding, "what").ends_with(" 0000"), "{finding:#}");
    let fix = words(finding, "fix");
    assert!(
        fix.starts_with("setfacl -m u:") && fix.contains(&format!("chmod o+x {home}")),
        "{fix}"
    );
    assert_eq!(report.code, 2);
}

/// A release that is a link lies elsewhere, and so does what denies access to it.
#[test]
fn a_home_folder_behind_a_link() {
    let site = Site::new();
    std::os::unix::fs::symlink(site.path("home/public"), site.path("current")).unwrap();
    let file = site.write("unix:/run/none.sock", "");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("home/public", "current")).unwrap();
    site.close("home");
    let home = site.path("home").display().to_string();
    site.doctor(&file, &[])
        .has("error", &format!("no permission to search {home}, "));
}

/// A group that has the right is offered too, but never root's.
#[test]
fn a_home_folder_of_a_group() {
    if !is_root() {
        // Only root may give a folder away; others test their own rights above.
        return;
    }
    let site = Site::new();
    let file = site.write("unix:/run/none.sock", "");
    for (group, expected) in [("staff", true), ("root", false)] {
        let gid = nix::unistd::Group::from_name(group).unwrap().unwrap().gid;
        chown(site.path("home"), Some(STRANGER), Some(gid.as_raw())).unwrap();
        fs::set_permissions(site.path("home"), PermissionsExt::from_mode(0o750)).unwrap();
        let report = site.doctor(&file, &[]);
        let finding = report.has("error", "no permission to search ");
        assert!(
            words(finding, "what").contains(&format!("{STRANGER}:{group} (")),
            "{finding:#}"
        );
        let fix = words(finding, "fix");
        assert_eq!(
            fix.contains(&format!("usermod -aG {group} www-data")),
            expected,
            "{fix}"
        );
    }
}

#[test]
fn the_socket_of_another_group() {
    let site = Site::new();
    let path = site.path("php.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    let mode = if is_root() {
        chown(&path, Some(STRANGER), Some(STRANGER)).unwrap();
        0o660
    } else {
        0
    };
    fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    let address = format!("unix:{}", path.display());
    let file = site.write(&address, "");
    let pool = site.path("php-fpm.conf");
    fs::write(&pool, format!("[www]\nlisten = {}\n", path.display())).unwrap();
    let report = site.doctor(&file, &["--pool", pool.to_str().unwrap()]);
    let finding = report.has("error", "no permission to connect to the socket: ");
    assert_eq!(finding["about"], address);
    let fix = words(finding, "fix");
    assert!(fix.contains("listen.mode = 0660"), "{fix}");
    assert!(
        fix.contains(&format!("the pool www is in {}", pool.display())),
        "{fix}"
    );
    if is_root() {
        let what = words(finding, "what");
        assert!(
            what.contains("fcgate runs as www-data (33) with group www-data (33)"),
            "{what}"
        );
        for part in [
            "listen.group = www-data",
            &format!("usermod -aG {STRANGER} www-data"),
            "listen.acl_users = www-data",
        ] {
            assert!(fix.contains(part), "{part} is not in {fix}");
        }
    }
}

#[test]
fn a_socket_in_a_folder_that_is_closed() {
    let site = Site::new();
    let path = site.path("home/php.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
    let file = site.write(&format!("unix:{}", path.display()), "");
    site.close("home");
    let home = site.path("home").display().to_string();
    let report = site.doctor(&file, &[]);
    let finding = report.has(
        "error",
        &format!("to the socket: no permission to search {home}, "),
    );
    assert!(
        words(finding, "fix").contains("setfacl -m u:"),
        "{finding:#}"
    );
}

#[test]
fn a_spool_folder_that_only_others_may_write() {
    let site = Site::new();
    fs::create_dir(site.path("home/spool")).unwrap();
    let spool = site.path("home/spool").display().to_string();
    let file = site.write(
        "unix:/run/none.sock",
        &format!("spool_directory = \"{spool}\""),
    );
    fs::set_permissions(&spool, PermissionsExt::from_mode(0o555)).unwrap();
    let report = site.doctor(&file, &[]);
    let finding = report.has(
        "error",
        &format!("no permission to write {spool}, which is "),
    );
    assert_eq!(finding["about"], "server.spool_directory");
    assert!(words(finding, "fix").starts_with("chown "), "{finding:#}");
}

#[test]
fn the_user_and_the_kernel_are_named() {
    let site = Site::new();
    let file = site.write("unix:/run/none.sock", "");
    let report = site.doctor(&file, &[]);
    let finding = report.has("fine", "checked with the rights of ");
    let expected = if is_root() {
        "www-data (33), in the groups www-data (33)"
    } else {
        " ("
    };
    assert!(words(finding, "what").contains(expected), "{finding:#}");
    report.has("fine", "openat2(2): ");
    let kernel = |finding: &&Value| finding["about"] == "kernel";
    assert_eq!(report.findings.iter().filter(kernel).count(), 4);
}

/// Runs doctor as an ordinary user, `nobody` if the test is root.
fn as_ordinary_user(site: &Site, file: &Path) -> Report {
    if !is_root() {
        return site.doctor(file, &[]);
    }
    // The folder of the build may be closed to others.
    let program = site.path("fcgate");
    fs::copy(env!("CARGO_BIN_EXE_fcgate"), &program).unwrap();
    let shell = [
        "sh",
        "-c",
        "shift; exec \"$0\" \"$@\"",
        program.to_str().unwrap(),
    ];
    let launcher = [&NOBODY[..], &shell].concat();
    let output = run_under(
        &launcher,
        &["doctor", "--json", "-c", file.to_str().unwrap()],
    );
    Report::of(&output)
}

const NOBODY: [&str; 5] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--",
];

/// As `sudo -u nobody fcgate doctor`: the rights of that user count, and no others can be taken.
#[test]
fn an_ordinary_user_checks_its_own_rights() {
    let site = Site::new();
    let file = site.write("unix:/run/none.sock", "");
    site.close("home");
    let report = as_ordinary_user(&site, &file);
    let finding = report.has("fine", "checked with the rights of ");
    if is_root() {
        let what = words(finding, "what");
        assert!(
            what.contains("nobody (65534), in the groups nogroup (65534)"),
            "{what}"
        );
    }
    let finding = report.has("error", "no permission to search ");
    assert!(
        words(finding, "fix").starts_with("setfacl -m u:"),
        "{finding:#}"
    );
}

#[test]
fn a_key_that_the_user_may_not_read() {
    let site = Site::new();
    let file = site.write("unix:/run/none.sock", "");
    for name in ["cert.pem", "cert.key"] {
        fs::write(site.path(name), "").unwrap();
    }
    let [certificate, key] =
        ["cert.pem", "cert.key"].map(|name| site.path(name).display().to_string());
    let tls = format!("tls = {{ certificate = \"{certificate}\", key = \"{key}\" }}\n");
    let listen = "[[listen]]\naddress = \"127.0.0.1:0\"\ntls = true\n";
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text + &tls + listen).unwrap();
    site.close("cert.pem");
    site.close("cert.key");
    let report = as_ordinary_user(&site, &file);
    let finding = report.has("error", "cannot be read: Permission denied");
    assert!(words(finding, "what").contains(&certificate), "{finding:#}");
    assert!(
        words(finding, "fix").contains("SupplementaryGroups="),
        "{finding:#}"
    );
    assert_eq!(report.code, 2);
}
