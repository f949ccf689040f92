//! packaging/: what a distribution installs is understood by systemd, logrotate and fcgate itself, and as safe as it says.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::harness::gateway::check;

/// The levels of hardening, each with its drop-ins and its maximum exposure in tenths (`systemd-analyze security`).
const LEVELS: [(&[&str], &str); 2] = [(&[], "45"), (&["strict.conf"], "15")];

/// Files that systemd reads, in packaging/systemd.
const UNITS: [&str; 3] = [
    "fcgate.service",
    "fcgate-http.socket",
    "fcgate-https.socket",
];

fn packaging() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging")
}

/// Installs the units with these drop-ins; the program is that of the test.
fn install(drop_ins: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for unit in UNITS {
        let text = fs::read_to_string(packaging().join("systemd").join(unit)).unwrap();
        let text = text.replace("/usr/bin/fcgate", env!("CARGO_BIN_EXE_fcgate"));
        fs::write(folder.path().join(unit), text).unwrap();
    }
    let inner = folder.path().join("fcgate.service.d");
    fs::create_dir(&inner).unwrap();
    for name in drop_ins {
        let from = packaging().join("systemd/fcgate.service.d").join(name);
        fs::copy(from, inner.join(name)).unwrap();
    }
    folder
}

fn analyze(folder: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).arg("--no-pager");
    // The colon: and where systemd looks otherwise.
    let path = format!("{}:", folder.path().display());
    let output = command.env("SYSTEMD_UNIT_PATH", path).output();
    output.expect("systemd-analyze, of the package systemd")
}

fn systemd_version() -> u32 {
    let output = Command::new("systemd-analyze").arg("--version").output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let version = text
        .split([' ', '.'])
        .nth(1)
        .and_then(|word| word.parse().ok());
    version.unwrap_or_else(|| panic!("no version in {text}"))
}

/// Fails if systemd says anything about the units.
#[track_caller]
fn verify(folder: &TempDir) {
    for unit in UNITS {
        let unit = folder.path().join(unit);
        let arguments = ["verify", "--man=no", unit.to_str().unwrap()];
        let output = analyze(folder, &arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        // systemd-252.conf replaces the type for systemd before 253, which still reads the unit.
        let is_unknown = |line: &&str| {
            systemd_version() >= 253 || !line.ends_with("service type, ignoring: notify-reload")
        };
        let told: Vec<_> = told.lines().filter(is_unknown).collect();
        assert!(told.is_empty() && output.status.success(), "{told:?}");
    }
}

#[test]
fn systemd_knows_every_directive() {
    for (drop_ins, _) in LEVELS {
        verify(&install(drop_ins));
        verify(&install(&[drop_ins, &["systemd-252.conf"]].concat()));
    }
}

#[test]
fn an_unknown_directive_would_be_found() {
    let folder = install(&[]);
    let unit = folder.path().join("fcgate.service");
    let text = fs::read_to_string(&unit).unwrap();
    fs::write(&unit, text.replace("PrivateTmp=", "PrivateTemp=")).unwrap();
    let output = analyze(&folder, &["verify", "--man=no", unit.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("PrivateTemp"), "{told}");
}

#[test]
fn each_level_has_its_exposure() {
    for (drop_ins, most) in LEVELS {
        let folder = install(drop_ins);
        let unit = folder.path().join("fcgate.service");
        let security = |threshold: &str| {
            let threshold = format!("--threshold={threshold}");
            let arguments = ["security", "--offline=true", &threshold];
            analyze(
                &folder,
                &[&arguments[..], &[unit.to_str().unwrap()]].concat(),
            )
        };
        let output = security(most);
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{drop_ins:?}: {told}");
        assert!(!security("5").status.success(), "the threshold is not held");
    }
}

/// The comments of the units say what each setting is for: that they fit together is not for systemd to know.
#[test]
fn the_units_fit_together() {
    let text = |name: &str| fs::read_to_string(packaging().join(name)).unwrap();
    let service = text("systemd/fcgate.service");
    assert!(
        service.contains("RuntimeDirectory=fcgate\n"),
        "of the admin socket's default"
    );
    for unit in ["fcgate.service", "fcgate.service.d/strict.conf"] {
        let unit = text(&format!("systemd/{unit}"));
        let refuses = |line: &str| line.starts_with("RestrictSUIDSGID=");
        assert!(!unit.lines().any(refuses), "it refuses openat2(2)");
    }
    let config = text("fcgate.toml");
    for (unit, port) in [("http", "80"), ("https", "443")] {
        let socket = text(&format!("systemd/fcgate-{unit}.socket"));
        assert!(socket.contains(&format!("ListenStream={port}\n")));
        assert!(socket.contains(&format!("FileDescriptorName={unit}\n")));
        assert!(config.contains(&format!("address = \"[::]:{port}\"")));
    }
    assert!(config.contains("/var/log/fcgate/"), "of LogsDirectory=");
    assert!(text("logrotate/fcgate").starts_with("# /etc/logrotate.d/fcgate"));
}

#[test]
fn logrotate_reads_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let output = Command::new("/usr/sbin/logrotate")
        .args(["--debug", "--state"])
        .arg(&state)
        .arg(packaging().join("logrotate/fcgate"))
        .output()
        .expect("logrotate");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !told.contains("error"), "{told}");
    assert!(
        told.contains("rotating pattern: /var/log/fcgate/*.log"),
        "{told}"
    );
}

#[test]
fn the_sample_of_debian_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let text = fs::read_to_string(packaging().join("fcgate.toml")).unwrap();
    // Its folders are those of a host where it is installed, and TLS waits for a certificate.
    let text = text
        .replace("/var/log/fcgate/", &format!("{path}/"))
        .replace("/var/www/html", &path.to_string());
    let file = folder.path().join("fcgate.toml");
    fs::write(&file, &text).unwrap();
    let output = check(&file);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.is_empty(), "{told}");
}
