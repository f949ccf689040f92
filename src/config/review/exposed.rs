//! Warnings about private keys and configurations that other users can read or replace. Permissions are
//! checked by this process, which for `check` may run as another user than the gateway.

use std::collections::HashSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::geteuid;

use crate::config::source::Sources;
use crate::config::{file, site_section};
use crate::modifier::fields::{ADD, REQUEST_HEADERS, SET};
use crate::modifier::php_value::{PHP_ADMIN_VALUE, PHP_VALUE};
use crate::modifier::set_env::SET_ENV;
use crate::process::{COMMAND, ENVIRONMENT};
use crate::section::{At, Lowered, Place, Problem, Problems};
use crate::tls::{CERTIFICATE, KEY};

/// Checks the files of a configuration, its private keys and the programs that it starts.
pub(in crate::config) fn warn_of_exposed(
    files: &[Lowered],
    sources: &Sources,
    problems: &mut Problems,
) {
    let secret = secrets(files, sources);
    let mut checker = Checker {
        by_root: geteuid().is_root(),
        seen: HashSet::new(),
        problems,
    };
    for (file, path) in sources.paths() {
        let first = secret.iter().find(|place| place.file == file);
        let start = Place { file, span: 0..0 };
        let place = first.cloned().unwrap_or(start);
        checker.check(path, Purpose::Configuration, first.is_some(), place);
    }
    let sites = files.iter().flat_map(|file| file.get(&site_section::SITES));
    // Without `key` the certificate's file contains both.
    let keys = sites
        .filter_map(|site| site.given(&site_section::TLS))
        .flat_map(|tls| {
            let key = if tls.is_given(&KEY) {
                &KEY
            } else {
                &CERTIFICATE
            };
            tls.get(key)
        });
    for key in keys {
        checker.check(Path::new(&key.value), Purpose::Key, true, key.place);
    }
    for (_, process) in files.iter().flat_map(|file| file.get(&file::PROCESS)) {
        let program = process.get(&COMMAND).into_iter().next();
        // A program without `/` is searched in $PATH, in the system's folders.
        if let Some(program) = program.filter(|program| program.value.starts_with('/')) {
            let path = Path::new(&program.value);
            checker.check(path, Purpose::Program, false, program.place);
        }
    }
}

/// Purpose of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Key,
    Configuration,
    Program,
}

struct Checker<'a> {
    by_root: bool,
    /// Checked paths: a thousand sites may share one key.
    seen: HashSet<PathBuf>,
    problems: &'a mut Problems,
}

impl Checker<'_> {
    /// Warns of a file, which may be `secret`, and of its folder.
    fn check(&mut self, path: &Path, purpose: Purpose, secret: bool, place: Place) {
        // An inaccessible file was reported by its reader.
        let (Ok(found), true) = (path.metadata(), self.seen.insert(path.to_owned())) else {
            return;
        };
        let file = Permissions::of(&found);
        if is_read_only_mount(path) {
            if let Some((message, help)) = fault_of_mount((path, file), secret, self.by_root) {
                self.problems.warn(Problem::new(place, message).help(help));
            }
            return;
        }
        let folder = path
            .parent()
            .filter(|folder| *folder != Path::new(""))
            .unwrap_or_else(|| Path::new("."));
        let around = folder.metadata().map(|found| Permissions::of(&found)).ok();
        let fault = fault((path, file), purpose, secret, self.by_root)
            .or_else(|| fault_of_folder(path, (folder, around?), self.by_root));
        if let Some((message, command)) = fault {
            let problem = Problem::new(place, message);
            self.problems.warn(problem.help(command));
        }
    }
}

/// Reports whether a file is on a read-only mount, as the secrets and volumes of a container are.
fn is_read_only_mount(path: &Path) -> bool {
    statvfs(path).is_ok_and(|mount| mount.flags().contains(FsFlags::ST_RDONLY))
}

/// Returns the fault of a file on such a mount, and its remedy. Its owner is the mounting user; an
/// unprivileged user can read it only if all can.
fn fault_of_mount(
    (path, file): (&Path, Permissions),
    secret: bool,
    by_root: bool,
) -> Option<(String, String)> {
    if !secret || !by_root || !file.is_world_readable() {
        return None;
    }
    let message = format!(
        "every user of this host or container can read {} (mode {:04o}), which is secret",
        path.display(),
        file.mode
    );
    let help = "mount it with the mode 0400: `defaultMode` of a volume in Kubernetes, `mode` of a secret in Compose";
    Some((message, help.to_owned()))
}

/// Owner and mode of a file.
#[derive(Clone, Copy, Debug)]
struct Permissions {
    mode: u32,
    owner: u32,
    group: u32,
}

impl Permissions {
    fn of(found: &Metadata) -> Self {
        Self {
            mode: found.mode() & 0o7777,
            owner: found.uid(),
            group: found.gid(),
        }
    }

    /// Reports whether users other than the owner may write. Root's group and a user's private group have no
    /// other members.
    fn is_writable_by_others(self) -> bool {
        let own = self.group == 0 || self.group == self.owner;
        self.mode & 0o002 != 0 || (self.mode & 0o020 != 0 && !own)
    }

    fn is_world_readable(self) -> bool {
        self.mode & 0o004 != 0
    }
}

/// Returns the fault of a file, and its remedy.
fn fault(
    (path, file): (&Path, Permissions),
    purpose: Purpose,
    secret: bool,
    by_root: bool,
) -> Option<(String, String)> {
    let (shown, quoted) = (path.display(), quoted(path));
    let mode = file.mode;
    let name = match purpose {
        Purpose::Key => "the private key",
        Purpose::Configuration => "the configuration",
        Purpose::Program => "the program",
    };
    if file.is_writable_by_others() {
        let message = format!(
            "users other than its owner can write {name} {shown} (mode {mode:04o}), and so control the gateway"
        );
        return Some((message, format!("chmod go-w {quoted}")));
    }
    if by_root && file.owner != 0 {
        let owner = file.owner;
        let message = format!(
            "{name} {shown} belongs to user {owner}, who can write it, and root uses it: that user has root's rights"
        );
        return Some((message, format!("chown root {quoted}")));
    }
    if secret && file.is_world_readable() {
        let message = match purpose {
            Purpose::Key | Purpose::Program => {
                format!("every user of this host can read {name} {shown} (mode {mode:04o})")
            }
            Purpose::Configuration => format!(
                "every user of this host can read {name} {shown} (mode {mode:04o}), which has this secret"
            ),
        };
        return Some((message, format!("chmod o= {quoted}")));
    }
    None
}

/// Returns the fault of a file's folder: write permission lets a user replace the file, unless it has
/// the sticky bit.
fn fault_of_folder(
    path: &Path,
    (folder, around): (&Path, Permissions),
    by_root: bool,
) -> Option<(String, String)> {
    let (path, shown, quoted) = (path.display(), folder.display(), quoted(folder));
    if around.is_writable_by_others() && around.mode & 0o1000 == 0 {
        let mode = around.mode;
        let message = format!(
            "others can replace {path}: the folder {shown} is writable for them (mode {mode:04o})"
        );
        return Some((message, format!("chmod go-w {quoted}")));
    }
    if by_root && around.owner != 0 {
        let owner = around.owner;
        let message = format!(
            "user {owner} can replace {path}, which root uses: the folder {shown} belongs to that user"
        );
        return Some((message, format!("chown root {quoted}")));
    }
    None
}

/// Quotes a path for a shell.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@".contains(&byte);
    if text.bytes().all(is_plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// Returns the places of literal secrets: keys with a telling name and a value not taken from the environment.
fn secrets(files: &[Lowered], sources: &Sources) -> Vec<Place> {
    let processes = files.iter().flat_map(|file| file.get(&file::PROCESS));
    let mut pairs: Vec<_> = processes
        .flat_map(|(_, process)| process.get(&ENVIRONMENT))
        .collect();
    let sites = files.iter().flat_map(|file| file.get(&site_section::SITES));
    for rule in sites.flat_map(|site| site.get(&site_section::RULES)) {
        for key in [&SET_ENV, &PHP_VALUE, &PHP_ADMIN_VALUE] {
            pairs.extend(rule.get(key));
        }
        if let Some(fields) = rule.given(&REQUEST_HEADERS) {
            pairs.extend([&SET, &ADD].into_iter().flat_map(|key| fields.get(key)));
        }
    }
    let is_written = |(name, value): &(At<String>, At<String>)| {
        let text = sources.text_at(&value.place);
        has_secret_name(&name.value) && !value.value.is_empty() && !text.contains("${")
    };
    let secrets = pairs.into_iter().filter(is_written);
    secrets.map(|(_, value)| value.place).collect()
}

fn has_secret_name(name: &str) -> bool {
    const WORDS: [&str; 10] = [
        "PASSWORD",
        "PASSWD",
        "SECRET",
        "TOKEN",
        "API_KEY",
        "APIKEY",
        "APP_KEY",
        "PRIVATE_KEY",
        "CREDENTIAL",
        "AUTHORIZATION",
    ];
    let name = name.to_ascii_uppercase().replace('-', "_");
    WORDS.iter().any(|word| name.contains(word)) || name == "DATABASE_URL" || name.ends_with("_DSN")
}

#[cfg(test)]
mod tests {
    use super::*;

    const READABLE: &str = "chmod o= /f";
    const WRITABLE: &str = "chmod go-w /f";
    const OWNED: &str = "chown root /f";

    #[test]
    fn files_are_judged_by_their_permissions() {
        use Purpose::{Configuration, Key, Program};
        for (purpose, secret, (mode, owner, group), by_user, by_root) in [
            (Key, true, (0o600, 0, 0), "", ""),
            (Key, true, (0o640, 0, 101), "", ""),
            (Key, true, (0o400, 0, 0), "", ""),
            (Key, true, (0o644, 0, 0), READABLE, READABLE),
            (Key, true, (0o444, 0, 0), READABLE, READABLE),
            (Key, true, (0o604, 33, 33), READABLE, OWNED),
            (Key, true, (0o600, 33, 33), "", OWNED),
            (Key, true, (0o660, 0, 0), "", ""),
            (Key, true, (0o660, 0, 101), WRITABLE, WRITABLE),
            (Key, true, (0o606, 0, 0), WRITABLE, WRITABLE),
            (Configuration, false, (0o644, 0, 0), "", ""),
            (Configuration, true, (0o644, 0, 0), READABLE, READABLE),
            (Configuration, true, (0o640, 0, 33), "", ""),
            (Configuration, false, (0o664, 0, 33), WRITABLE, WRITABLE),
            (Configuration, false, (0o664, 1000, 1000), "", OWNED),
            (Configuration, false, (0o666, 0, 0), WRITABLE, WRITABLE),
            (Program, false, (0o755, 0, 0), "", ""),
            (Program, false, (0o775, 0, 50), WRITABLE, WRITABLE),
            (Program, false, (0o755, 1000, 1000), "", OWNED),
        ] {
            let file = Permissions { mode, owner, group };
            for (root, expected) in [(false, by_user), (true, by_root)] {
                let fault = fault((Path::new("/f"), file), purpose, secret, root);
                let command = fault.map(|(_, command)| command).unwrap_or_default();
                assert_eq!(command, expected, "{purpose:?} {file:?} by root: {root}");
            }
        }
    }

    #[test]
    fn on_a_read_only_mount_only_read_permission_matters_and_only_to_root() {
        for (secret, mode, by_root, expected) in [
            (true, 0o444, true, true),
            (true, 0o644, true, true),
            (true, 0o444, false, false),
            (true, 0o440, true, false),
            (true, 0o660, true, false),
            (false, 0o666, true, false),
        ] {
            let (owner, group) = (1000, 2000);
            let file = Permissions { mode, owner, group };
            let fault = fault_of_mount((Path::new("/f"), file), secret, by_root);
            assert_eq!(fault.is_some(), expected, "{file:?} by root: {by_root}");
        }
    }

    #[test]
    fn folders_are_judged_by_write_permission() {
        for ((mode, owner, group), by_user, by_root) in [
            ((0o755, 0, 0), "", ""),
            ((0o1777, 0, 0), "", ""),
            ((0o777, 0, 0), WRITABLE, WRITABLE),
            ((0o775, 0, 50), WRITABLE, WRITABLE),
            ((0o755, 1000, 1000), "", OWNED),
        ] {
            let folder = Permissions { mode, owner, group };
            for (root, expected) in [(false, by_user), (true, by_root)] {
                let fault = fault_of_folder(Path::new("/f/x"), (Path::new("/f"), folder), root);
                let command = fault.map(|(_, command)| command).unwrap_or_default();
                assert_eq!(command, expected, "{folder:?} by root: {root}");
            }
        }
    }

    #[test]
    fn secrets_are_recognised_by_name() {
        for name in [
            "DB_PASSWORD",
            "app_key",
            "Authorization",
            "X-Api-Key",
            "MAILER_DSN",
            "DATABASE_URL",
        ] {
            assert!(has_secret_name(name), "{name}");
        }
        for name in ["APP_ENV", "TENANT", "KEY", "memory_limit", "DB_HOST"] {
            assert!(!has_secret_name(name), "{name}");
        }
    }

    #[test]
    fn commands_can_be_pasted() {
        assert_eq!(quoted(Path::new("/etc/tls/a.key")), "/etc/tls/a.key");
        assert_eq!(quoted(Path::new("/a b/it's")), "'/a b/it'\\''s'");
    }
}
