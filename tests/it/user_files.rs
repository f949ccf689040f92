//! Files of users: the hashes that htpasswd and openssl write, the time that a check takes, and files that change.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use fcgate::auth::users::{Current, Hash, Loaded, UserFile, UserFiles, Users};
use fcgate::disk::RealDisk;
use fcgate::files::Files as Access;
use nix::time::{ClockId, clock_gettime};
use proptest::prelude::*;
use tokio::time::Instant;

use crate::harness::process::find_program;

/// Hashes of the passwords `password` and `secret`.
const PASSWORD: &str = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";
const SECRET: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

/// Runs a program with lines on its standard input; returns the lines of its answer.
fn lines_of(program: &str, arguments: &[&str], input: &str) -> Vec<String> {
    let mut child = Command::new(find_program(&[program]))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Their answers fit into the pipe.
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

#[test]
fn what_htpasswd_writes_is_verified() {
    for (arguments, prefix) in [
        (vec!["-B"], "$2y$05$"),
        (vec!["-B", "-C", "4"], "$2y$04$"),
        (vec!["-B", "-C", "8"], "$2y$08$"),
        (vec!["-m"], "$apr1$"),
        (vec!["-s"], "{SHA}"),
        (vec!["-2"], "$5$"),
        (vec!["-2", "-r", "1000"], "$5$rounds=1000$"),
        (vec!["-5"], "$6$"),
        (vec!["-5", "-r", "20000"], "$6$rounds=20000$"),
    ] {
        for password in ["open sesame", "pässwörd", "x", &"long ".repeat(13)] {
            let arguments = [arguments.as_slice(), &["-n", "-i", "alice"]].concat();
            let lines = lines_of("htpasswd", &arguments, &format!("{password}\n"));
            assert!(
                lines[0].starts_with(&format!("alice:{prefix}")),
                "{lines:?}"
            );
            let users = Users::parse(lines[0].as_bytes(), Path::new("users")).unwrap();
            assert!(
                users.verify(b"alice", password.as_bytes()),
                "{arguments:?} {password}"
            );
            let wrong = password.replacen(['o', 'x', 'w'], "0", 1);
            assert!(
                !users.verify(b"alice", wrong.as_bytes()),
                "{arguments:?} {wrong}"
            );
            assert!(!users.verify(b"bob", password.as_bytes()), "{arguments:?}");
        }
    }
}

#[test]
fn entries_that_htpasswd_warns_of_refuse_their_user() {
    for (argument, reason) in [("-d", "DES crypt"), ("-p", "plain text")] {
        let lines = lines_of("htpasswd", &[argument, "-n", "-i", "bob"], "sesame\n");
        let content = format!("alice:{PASSWORD}\n{}\n", lines[0]);
        let users = Users::parse(content.as_bytes(), Path::new("users")).unwrap();
        let [finding] = users.findings().first() else {
            panic!("{:?}", users.findings());
        };
        assert!(finding.what.contains(reason), "{}", finding.what);
        assert!(!users.verify(b"bob", b"sesame") && users.verify(b"alice", b"password"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// openssl hashes many passwords at once.
    #[test]
    fn no_other_password_is_right(
        passwords in prop::collection::vec("[ -~¡-ÿ]{1,100}", 20),
        at in any::<prop::sample::Index>(),
        change in 1_u8..=255,
    ) {
        for kind in ["-apr1", "-5", "-6"] {
            let hashes = lines_of("openssl", &["passwd", kind, "-stdin"], &passwords.join("\n"));
            prop_assert_eq!(hashes.len(), passwords.len());
            for (text, password) in hashes.iter().zip(&passwords) {
                let hash = Hash::parse(text).unwrap();
                prop_assert!(hash.verify(password.as_bytes()), "{} {:?}", text, password);
                let mut wrong = password.clone().into_bytes();
                let at = at.index(wrong.len());
                wrong[at] ^= change;
                prop_assert!(!hash.verify(&wrong), "{} {:?}", text, wrong);
            }
        }
    }
}

/// The time of a wrong password tells nothing about the user: whether there is one, and how the password is hashed.
#[test]
fn a_wrong_password_takes_as_long_for_any_user_as_for_none() {
    // bcrypt with its least cost, APR1 with a tenth of that, and SHA-1.
    let content = format!(
        "alice:$2y$04$tZaHAkCgliROoXn.XWNEs.BkEYavWYB/7PVprmCSPj0xLIQNIsCoa\n\
         bob:$apr1$sm31cDZ5$e4jANQPnKodaKQTp5a.3K1\ncarol:{PASSWORD}\ndave:plain\n"
    );
    let users = Users::parse(content.as_bytes(), Path::new("users")).unwrap();
    let names = ["nobody", "alice", "bob", "carol", "dave"];
    let mut times: [Vec<Duration>; 5] = Default::default();
    // Taken in turns, so that what disturbs the processor disturbs all alike.
    for _ in 0..300 {
        for (name, times) in names.iter().zip(&mut times) {
            let start = processor_time();
            assert!(!users.verify(name.as_bytes(), b"wrong password"));
            times.push(processor_time() - start);
        }
    }
    let medians = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64()
    });
    for (name, median) in names.iter().zip(medians) {
        let ratio = median / medians[0];
        assert!(
            (0.9..=1.1).contains(&ratio),
            "{name}: {ratio}, of {medians:?}"
        );
    }
}

/// Returns the time that this thread has had a processor: others that have it meanwhile do not count.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.unwrap().into()
}

/// A folder with a file of users, and of groups.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new(users: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("users"), users).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the file by rename, as editors do, or in place, as htpasswd does.
    fn replace(&self, by_rename: bool, users: &str) {
        if by_rename {
            self.rename_over(users);
        } else {
            fs::write(self.path("users"), users).unwrap();
        }
    }

    fn rename_over(&self, users: &str) {
        fs::write(self.path("new"), users).unwrap();
        fs::rename(self.path("new"), self.path("users")).unwrap();
    }
}

/// Returns the content in force, as a request finds it.
fn look(file: &UserFile, disk: &RealDisk) -> Result<Arc<Loaded>, String> {
    match file.current(&disk.one_release(), SystemTime::now()) {
        Current::Fresh(loaded) => Ok(loaded),
        Current::Stale => file.reload().map_err(|error| error.to_string()),
        Current::Unavailable(error) => Err(error.to_string()),
    }
}

/// Looks until the result is as expected, at most two seconds.
fn becomes<T>(
    file: &UserFile,
    what: &str,
    expected: impl Fn(&Result<Arc<Loaded>, String>) -> Option<T>,
) -> T {
    let disk = RealDisk::default();
    let start = Instant::now();
    loop {
        let found = look(file, &disk);
        if let Some(result) = expected(&found) {
            return result;
        }
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{what}: {found:?}"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

/// Every user has the password of the same number; returns it.
fn number_of(loaded: &Loaded, hashes: &[String]) -> usize {
    let written = |hash: &String| {
        let names = (0..USERS).map(|user| format!("user{user}"));
        let mut entries = names.map(|name| loaded.users.entry(name.as_bytes()));
        entries.all(|entry| entry.is_some_and(|entry| entry.text() == hash.as_bytes()))
    };
    hashes
        .iter()
        .position(written)
        .expect("a file that was half-read")
}

/// Users of a file that is rewritten: they fit into one write, as htpasswd makes for few users.
const USERS: usize = 50;

#[test]
fn a_file_that_is_rewritten_is_read_whole() {
    let passwords: Vec<_> = (0..=100)
        .map(|number| format!("password{number}"))
        .collect();
    let hashes = lines_of(
        "openssl",
        &["passwd", "-apr1", "-stdin"],
        &passwords.join("\n"),
    );
    let content = |number: usize| -> String {
        let line = |user| format!("user{user}:{}\n", hashes[number]);
        (0..USERS).map(line).collect()
    };
    let files = Files::new(&content(0));
    let registry = UserFiles::default();
    let file = registry
        .open(&files.path("users"), None, &Access::own())
        .unwrap();
    let is_over = AtomicBool::new(false);
    let look_all_the_time = || {
        let (disk, mut last) = (RealDisk::default(), 0);
        while !is_over.load(Ordering::Relaxed) {
            let number = number_of(&look(&file, &disk).unwrap(), &hashes);
            assert!(number >= last, "{number} after {last}");
            last = number;
        }
    };
    // Most contents are overtaken by the next; each tenth is left alone until it counts.
    let rewrite = || {
        for number in 1..=100 {
            files.replace(number % 3 == 0, &content(number));
            if number % 10 == 0 {
                becomes(&file, "the new password", |found| {
                    let found = number_of(found.as_ref().unwrap(), &hashes);
                    (found == number).then_some(())
                });
            }
        }
    };
    thread::scope(|scope| {
        scope.spawn(look_all_the_time);
        scope.spawn(look_all_the_time);
        let written = scope.spawn(rewrite).join();
        is_over.store(true, Ordering::Relaxed);
        written.unwrap();
    });
    let loaded = look(&file, &RealDisk::default()).unwrap();
    assert!(loaded.users.verify(b"user0", b"password100"));
    assert!(!loaded.users.verify(b"user0", b"password99"));
}

#[test]
fn what_htpasswd_changes_is_in_force() {
    let files = Files::new(&format!("alice:{PASSWORD}\n"));
    let path = files.path("users");
    let file = UserFiles::default()
        .open(&path, None, &Access::own())
        .unwrap();
    let htpasswd = |arguments: &[&str], input: &str| {
        let path = path.to_str().unwrap();
        let (options, user) = arguments.split_at(arguments.len() - 1);
        lines_of("htpasswd", &[options, &[path], user].concat(), input);
    };
    let are_right = |pairs: &[(&str, &str, bool)]| {
        becomes(&file, "the change", |found| {
            let users = &found.as_ref().unwrap().users;
            let right = |(user, password, expected): &(&str, &str, bool)| {
                users.verify(user.as_bytes(), password.as_bytes()) == *expected
            };
            pairs.iter().all(right).then_some(())
        });
    };
    htpasswd(&["-i", "-B", "-C", "4", "bob"], "one\n");
    are_right(&[("alice", "password", true), ("bob", "one", true)]);
    htpasswd(&["-i", "-5", "bob"], "two\n");
    are_right(&[("bob", "one", false), ("bob", "two", true)]);
    htpasswd(&["-D", "alice"], "");
    are_right(&[("alice", "password", false), ("bob", "two", true)]);
}

#[test]
fn a_file_that_cannot_be_used_lets_nobody_in_until_it_can() {
    let files = Files::new(&format!("alice:{PASSWORD}\n"));
    let path = files.path("users");
    let file = UserFiles::default()
        .open(&path, None, &Access::own())
        .unwrap();
    let fails = |reason: &str| {
        let expected = format!("{} {reason}", path.display());
        let found = becomes(&file, reason, |found| found.as_ref().err().cloned());
        assert!(found.starts_with(&expected), "{found}");
        // It stays so, whether it is found by a look or by another read.
        let again = look(&file, &RealDisk::default());
        assert_eq!(again.unwrap_err(), found);
        assert_eq!(file.reload().unwrap_err().to_string(), found);
    };
    let lets_in = |password: &str| {
        let verifies = |loaded: &Loaded| loaded.users.verify(b"alice", password.as_bytes());
        becomes(&file, password, |found| {
            found
                .as_ref()
                .is_ok_and(|loaded| verifies(loaded))
                .then_some(())
        });
    };
    fs::remove_file(&path).unwrap();
    fails("cannot be read: No such file");
    fs::write(&path, format!("alice:{SECRET}\n")).unwrap();
    lets_in("secret");
    fs::write(&path, "").unwrap();
    fails("has no user");
    fs::write(&path, format!("alice:{PASSWORD}\n")).unwrap();
    lets_in("password");
    fs::write(&path, "alice:secret\n").unwrap();
    fails("has no usable entry; line 1: `alice` cannot log in");
    files.rename_over(&format!("alice:{SECRET}\n"));
    lets_in("secret");
    // Readable for nobody, root included.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fails("cannot be read: Is a directory");
    fs::remove_dir(&path).unwrap();
    files.rename_over(&format!("alice:{PASSWORD}\n"));
    lets_in("password");
}

#[test]
fn groups_change_with_their_file() {
    let files = Files::new(&format!("alice:{PASSWORD}\n"));
    let (users, groups) = (files.path("users"), files.path("groups"));
    fs::write(&groups, "staff: alice\nnoise\n").unwrap();
    let file = UserFiles::default()
        .open(&users, Some(&groups), &Access::own())
        .unwrap();
    let expected = format!("{}:2: there is no `:`", groups.display());
    assert!(
        file.warnings()[0].starts_with(&expected),
        "{:?}",
        file.warnings()
    );
    let loaded = look(&file, &RealDisk::default()).unwrap();
    assert!(loaded.groups.of(b"alice").is_some());
    fs::write(&groups, "staff: bob\n").unwrap();
    becomes(&file, "the groups", |found| {
        found
            .as_ref()
            .unwrap()
            .groups
            .of(b"bob")
            .is_some()
            .then_some(())
    });
    fs::remove_file(&groups).unwrap();
    let error = becomes(&file, "no groups", |found| found.as_ref().err().cloned());
    assert!(
        error.starts_with(&format!("{} cannot be read", groups.display())),
        "{error}"
    );
}

#[test]
fn equal_files_are_shared() {
    let files = Files::new(&format!("alice:{PASSWORD}\nbob:plain\n"));
    let users = files.path("users");
    let registry = UserFiles::default();
    let missing = registry
        .open(&files.path("missing"), None, &Access::own())
        .unwrap_err();
    assert!(
        missing
            .to_string()
            .contains("missing cannot be read: No such file"),
        "{missing}"
    );
    let file = registry.open(&users, None, &Access::own()).unwrap();
    assert!(file.warnings()[0].contains("users:2: `bob` cannot log in"));
    let again = registry.open(&users, None, &Access::own()).unwrap();
    assert!(Arc::ptr_eq(&file, &again));
    // The content is the same value: it was not read again.
    let disk = RealDisk::default();
    let [first, second] = [&file, &again].map(|file| look(file, &disk).unwrap());
    assert!(Arc::ptr_eq(&first, &second));
    let with_groups = registry
        .open(&users, Some(&files.path("users")), &Access::own())
        .unwrap();
    assert!(!Arc::ptr_eq(&file, &with_groups));
    // One that has become missing is an error for the next configuration, too.
    fs::remove_file(&users).unwrap();
    let error = registry.open(&users, None, &Access::own()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("users cannot be read: No such file"),
        "{error}"
    );
}
