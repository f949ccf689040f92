//! The rights of the server: `fcgate attempt`, which builds for tests have, confines itself as the server does and tries what
//! an attacker inside it would, in its first thread and in a later one.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Uid;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use tempfile::TempDir;

use crate::harness::gateway::run;

/// A folder with a site, a deployment, another site, a spool, an upstream on TCP and one on a unix socket.
struct Setup {
    folder: TempDir,
    upstream: TcpListener,
    foreign: TcpListener,
    _socket: UnixListener,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        for name in [
            "site",
            "other",
            "spool",
            "app/releases/1",
            "app/releases/2",
            "run",
        ] {
            fs::create_dir_all(path.join(name)).unwrap();
        }
        for name in [
            "site/a.txt",
            "other/b.txt",
            "app/releases/1/x",
            "app/releases/2/x",
        ] {
            fs::write(path.join(name), "text").unwrap();
        }
        symlink("releases/1", path.join("app/current")).unwrap();
        symlink(path.join("other/b.txt"), path.join("site/link.txt")).unwrap();
        let socket = path.join("run/php.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        for (name, mode) in [("", 0o755), ("spool", 0o777), ("run/php.sock", 0o666)] {
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        Self {
            folder,
            upstream: TcpListener::bind("127.0.0.1:0").unwrap(),
            foreign: TcpListener::bind("127.0.0.1:0").unwrap(),
            _socket: listener,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a configuration with these lines in `[server]` and in the site, and returns the results of the attempts,
    /// and the log.
    fn attempt(&self, server: &str, site: &str, attempts: &[&str]) -> (Vec<String>, String) {
        let user = if Uid::effective().is_root() {
            "user = \"nobody\""
        } else {
            ""
        };
        let folder = self.folder.path().display();
        let config = format!(
            "[server]\nspool_directory = \"{folder}/spool\"\n{user}\n{server}\n\
             [upstream.php]\nservers = [\"{}\", \"unix:{folder}/run/php.sock\"]\n\
             [[listen]]\naddress = \"127.0.0.1:0\"\n\
             [[site]]\nroot = \"{folder}/site\"\nphp = \"php\"\n{site}\n\
             [[site.rule]]\nprefix = \"/app/\"\nstatic_files = {{ root = \"{folder}/app/current\" }}\n",
            self.upstream.local_addr().unwrap(),
        );
        let config = match server.strip_prefix("user = ") {
            Some(_) => config.replacen(user, "", 1),
            None => config,
        };
        let file = self.path("fcgate.toml");
        fs::write(&file, config).unwrap();
        let mut arguments = vec!["attempt", "-c", file.to_str().unwrap()];
        arguments.extend(attempts);
        let output = run(&arguments);
        let log = String::from_utf8(output.stderr).unwrap();
        let results = String::from_utf8(output.stdout).unwrap();
        (results.lines().map(str::to_owned).collect(), log)
    }

    /// Checks the results of attempts in both threads: "done", or the beginning of an error.
    #[track_caller]
    fn check(&self, server: &str, site: &str, expected: &[(String, &str)]) {
        let attempts: Vec<_> = expected
            .iter()
            .map(|(attempt, _)| attempt.as_str())
            .collect();
        let (results, log) = self.attempt(server, site, &attempts);
        assert_eq!(results.len(), 2 * expected.len(), "{log}");
        let each = ["first", "later"].into_iter().flat_map(|thread| {
            let each = expected.iter();
            each.map(move |(attempt, result)| format!("{thread}: {attempt}: {result}"))
        });
        for (result, expected) in results.iter().zip(each) {
            assert!(
                result.starts_with(&expected),
                "{result}, not {expected}\n{log}"
            );
        }
    }
}

const DONE: &str = "done";
const DENIED: &str = "Permission denied";
const REFUSED: &str = "Operation not permitted";

fn on(verb: &str, path: &Path) -> String {
    format!("{verb} {}", path.display())
}

#[test]
fn files_outside_of_the_configuration_are_neither_read_nor_written() {
    let setup = Setup::new();
    let at = |verb, name| on(verb, &setup.path(name));
    setup.check(
        "sandbox = \"require\"",
        "",
        &[
            (at("read", "site/a.txt"), DONE),
            (at("open-below", "site/a.txt"), DONE),
            (at("list", "site"), DONE),
            (at("send", "site/a.txt"), DONE),
            (at("read", "app/releases/2/x"), DONE),
            (at("temporary", "spool"), DONE),
            (at("named-temporary", "spool"), DONE),
            ("read /dev/null".to_owned(), DONE),
            ("read /etc/shadow".to_owned(), DENIED),
            ("read /etc/passwd".to_owned(), DENIED),
            ("read /proc/self/environ".to_owned(), DENIED),
            ("list /".to_owned(), DENIED),
            (at("read", "other/b.txt"), DENIED),
            (at("read", "site/link.txt"), DENIED),
            (at("open-below", "other/b.txt"), DENIED),
            (at("read", "fcgate.toml"), DENIED),
            (at("list", "spool"), DENIED),
            (at("write", "site/new"), DENIED),
            (at("write", "site/a.txt"), DENIED),
            (at("temporary", "site"), DENIED),
            ("write /dev/null".to_owned(), DENIED),
            ("write /tmp/fcgate-attempt".to_owned(), DENIED),
        ],
    );
}

#[test]
fn links_that_lead_anywhere_are_followed() {
    let setup = Setup::new();
    let at = |verb, name| on(verb, &setup.path(name));
    setup.check(
        "",
        "files = { symlinks = \"anywhere\" }",
        &[
            (at("read", "site/link.txt"), DONE),
            (at("write", "site/a.txt"), DENIED),
            ("read /etc/passwd".to_owned(), DONE),
        ],
    );
}

#[test]
fn only_upstreams_are_connected_to() {
    let setup = Setup::new();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    setup.check(
        "",
        "",
        &[
            (format!("connect 127.0.0.1:{}", port(&setup.upstream)), DONE),
            (on("connect-unix", &setup.path("run/php.sock")), DONE),
            (
                format!("connect 127.0.0.1:{}", port(&setup.foreign)),
                DENIED,
            ),
            ("udp".to_owned(), REFUSED),
            ("packet-socket".to_owned(), REFUSED),
        ],
    );
}

#[test]
fn names_of_upstreams_are_resolved() {
    let setup = Setup::new();
    setup.check(
        "",
        "[[site.rule]]\nprefix = \"/named/\"\nfastcgi = { upstream = \"localhost:9\" }",
        &[
            ("resolve localhost".to_owned(), DONE),
            ("udp".to_owned(), DONE),
            ("read /etc/hosts".to_owned(), DONE),
            ("read /etc/shadow".to_owned(), DENIED),
        ],
    );
}

#[test]
fn no_program_is_executed_and_no_process_touched() {
    let setup = Setup::new();
    setup.check(
        "sandbox = \"require\"",
        "",
        &[
            ("thread".to_owned(), DONE),
            ("sleep".to_owned(), DONE),
            ("execute /bin/true".to_owned(), REFUSED),
            ("run /bin/true".to_owned(), REFUSED),
            ("trace".to_owned(), REFUSED),
            ("chroot /".to_owned(), REFUSED),
            ("become-root".to_owned(), REFUSED),
            ("signal-parent".to_owned(), REFUSED),
        ],
    );
}

#[test]
fn refused_calls_are_logged_once() {
    let setup = Setup::new();
    let (_, log) = setup.attempt(
        "",
        "",
        &["trace", "trace", "chroot /", "chroot /", "thread"],
    );
    let calls: Vec<_> = log
        .lines()
        .filter(|line| line.contains("seccomp has refused"))
        .collect();
    assert_eq!(calls.len(), 2, "{log}");
    assert!(
        calls[0].contains("call=\"ptrace\"") && calls[1].contains("call=\"chroot\""),
        "{log}"
    );
}

#[test]
fn every_thread_is_without_rights() {
    if !Uid::effective().is_root() {
        // There is nothing to drop: the tests run as root where this is judged.
        return;
    }
    let setup = Setup::new();
    let status = |server: &str| {
        setup
            .attempt(server, "files = { symlinks = \"anywhere\" }", &["status"])
            .0
            .join("\n")
    };
    let nobody = status("");
    for expected in [
        "Uid:\t65534\t65534\t65534\t65534",
        "Gid:\t65534\t65534\t65534\t65534",
        "Groups:\t65534",
        "CapInh:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "Umask:\t0027",
    ] {
        // The thread of the refusals, that of the log, and both that attempt.
        let threads = nobody.matches("Name:").count();
        assert!(threads >= 4, "{nobody}");
        let lines = nobody.lines().filter(|line| line.trim_end() == expected);
        assert_eq!(lines.count(), threads, "{expected} in\n{nobody}");
    }
    let root = status("user = \"root\"");
    for expected in ["Uid:\t0\t0\t0\t0", "CapPrm:\t0000000000000000"] {
        assert!(root.contains(expected), "{expected} in\n{root}");
    }
}

#[test]
fn a_user_that_cannot_be_chosen_is_named() {
    let setup = Setup::new();
    let error = |server: &str| setup.attempt(server, "", &["thread"]).1;
    let unknown = error("user = \"nobdy\"");
    for expected in [
        "unknown user `nobdy`",
        "fcgate.toml:4:8",
        "did you mean `nobody`?",
    ] {
        assert!(unknown.contains(expected), "{expected} in\n{unknown}");
    }
    let unknown = error("group = \"no-such-group\"");
    assert!(
        unknown.contains("unknown group `no-such-group`"),
        "{unknown}"
    );
    if Uid::effective().is_root() {
        let number = error("user = \"70707\"");
        assert!(number.contains("set server.group"), "{number}");
        let (results, log) = setup.attempt("user = \"70707\"\ngroup = \"70707\"", "", &["thread"]);
        assert_eq!(results.len(), 2, "{log}");
    } else {
        let other = error("user = \"root\"");
        assert!(other.contains("cannot become another"), "{other}");
    }
}

#[test]
fn a_server_without_a_sandbox_says_so() {
    let setup = Setup::new();
    let (results, log) = setup.attempt(
        "sandbox = \"off\"",
        "",
        &["read /etc/passwd", "run /bin/true"],
    );
    assert!(
        results.iter().all(|result| result.ends_with(": done")),
        "{results:?}"
    );
    assert!(
        log.contains("server.sandbox = \"off\" is for a diagnosis"),
        "{log}"
    );
}

/// Runs `work` in a thread whose children lack these system calls.
fn without<T: Send>(calls: &[i64], errno: Errno, work: impl FnOnce() -> T + Send) -> T {
    let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
    let missing = SeccompAction::Errno(u32::try_from(errno as i32).unwrap());
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, missing, architecture).unwrap();
    let program = BpfProgram::try_from(filter).unwrap();
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            apply_filter(&program).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

#[test]
fn a_kernel_without_a_part_of_the_sandbox_serves_unless_all_is_required() {
    let setup = Setup::new();
    for (call, errno, expected) in [
        (
            libc::SYS_landlock_create_ruleset,
            Errno::ENOSYS,
            "it takes Linux 5.13",
        ),
        (
            libc::SYS_landlock_create_ruleset,
            Errno::EOPNOTSUPP,
            "the kernel's parameter lsm=",
        ),
        (libc::SYS_seccomp, Errno::EPERM, "seccomp is refused"),
    ] {
        let attempt =
            |server: &str| without(&[call], errno, || setup.attempt(server, "", &["thread"]));
        let (results, log) = attempt("");
        assert_eq!(
            results,
            ["first: thread: done", "later: thread: done"],
            "{log}"
        );
        assert!(
            log.contains("INFO sandbox") && log.contains(expected),
            "{log}"
        );
        let (results, log) = attempt("sandbox = \"require\"");
        assert!(results.is_empty(), "{results:?}");
        for text in ["a part of the sandbox is missing", expected] {
            assert!(log.contains(text), "{text} in\n{log}");
        }
    }
}

#[test]
fn a_kernel_without_openat2_is_refused() {
    let setup = Setup::new();
    for (errno, expected) in [
        (Errno::ENOSYS, "fcgate needs Linux 5.6"),
        (Errno::EPERM, "a seccomp profile"),
    ] {
        let attempt = || setup.attempt("sandbox = \"off\"", "", &["thread"]);
        let (results, log) = without(&[libc::SYS_openat2], errno, attempt);
        assert!(results.is_empty() && log.contains(expected), "{log}");
    }
}

#[test]
fn a_user_without_an_entry_serves_as_itself() {
    if !Uid::effective().is_root() {
        // Only root may start a program as another user.
        return;
    }
    const NUMBER: u32 = 70_707;
    let setup = Setup::new();
    let program = setup.path("program");
    fs::copy(env!("CARGO_BIN_EXE_fcgate"), &program).unwrap();
    let folder = setup.folder.path().display();
    let file = setup.path("fcgate.toml");
    let config = format!(
        "[server]\nsandbox = \"require\"\nspool_directory = \"{folder}/spool\"\n\
         [[site]]\nroot = \"{folder}/site\"\n"
    );
    fs::write(&file, config).unwrap();
    let read = on("read", &setup.path("site/a.txt"));
    let output = Command::new(program)
        .args([
            "attempt",
            "-c",
            file.to_str().unwrap(),
            &read,
            "become-root",
        ])
        .uid(NUMBER)
        .gid(NUMBER)
        .output()
        .unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    let results = String::from_utf8(output.stdout).unwrap();
    assert!(log.contains("INFO sandbox user=\"70707\""), "{log}");
    assert!(
        results.contains(&format!("later: {read}: {DONE}\n")),
        "{results}"
    );
    assert!(
        results.contains(&format!("later: become-root: {REFUSED}")),
        "{results}"
    );
}
