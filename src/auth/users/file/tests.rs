//! Look-ups by the version of a file; `tests/it/user_files.rs` has real ones rewritten.

use super::*;
use crate::message::{Found, Root};

const NOW: u64 = 1_800_000_000_000;

/// A disk that has one file.
#[derive(Debug)]
struct Sole(Option<FileVersion>);

impl Disk for Sole {
    fn open(&self, _: &Root, _: &[u8]) -> Found {
        Found::Missing
    }

    fn is_file(&self, _: &Root, _: &[u8]) -> bool {
        false
    }

    fn version(&self, _: &Path) -> Option<FileVersion> {
        self.0
    }
}

/// A version with an inode, a size, and the time of its change in milliseconds.
fn version_of(inode: u64, size: i64, changed: u64) -> FileVersion {
    let mut stat = stat("/").unwrap();
    stat.st_ino = inode;
    stat.st_size = size;
    stat.st_ctime = (changed / 1000).try_into().unwrap();
    stat.st_ctime_nsec = (changed % 1000 * 1_000_000).try_into().unwrap();
    FileVersion::from(&stat)
}

fn file(versions: Option<Versions>, content: Result<&str, &str>) -> UserFile {
    let path = Path::new("/etc/users");
    let content = content.map_err(|what| Unavailable::new(path, what));
    let loaded = content.map(|content| Loaded {
        users: Users::parse(content.as_bytes(), path).unwrap(),
        groups: Groups::default(),
    });
    let state = State {
        versions,
        content: loaded.map(Arc::new),
    };
    UserFile {
        paths: Paths {
            users: path.to_owned(),
            groups: None,
        },
        state: ArcSwap::from_pointee(state),
        reading: Mutex::default(),
    }
}

#[test]
fn a_change_counts_when_it_is_settled() {
    let read = version_of(1, 50, NOW - 10_000);
    let versions = |users| {
        Some(Versions {
            users,
            groups: None,
        })
    };
    let alice = "alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";
    for (seen, expected) in [
        (Some(read), "in force"),
        (Some(version_of(2, 50, NOW - 99)), "in force"),
        (Some(version_of(2, 50, NOW - 100)), "stale"),
        (Some(version_of(1, 51, NOW - 99)), "in force"),
        (Some(version_of(1, 51, NOW - 100)), "stale"),
        (Some(version_of(1, 50, NOW - 99)), "in force"),
        (Some(version_of(1, 50, NOW - 100)), "stale"),
        // An old file that was renamed, with a time before that of the one that was read.
        (Some(version_of(2, 50, NOW - 20_000)), "stale"),
        // Truncated.
        (Some(version_of(1, 0, NOW - 999)), "in force"),
        (Some(version_of(1, 0, NOW - 1000)), "stale"),
        // By the clock of another machine, and by ours before it was put back.
        (Some(version_of(2, 50, NOW + 99)), "in force"),
        (Some(version_of(2, 50, NOW + 100)), "stale"),
        (None, "stale"),
    ] {
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW);
        let look = |file: UserFile| match file.current(&Sole(seen), now) {
            Current::Fresh(loaded) => {
                assert!(loaded.users.verify(b"alice", b"password"));
                "in force"
            }
            Current::Stale => "stale",
            Current::Unavailable(error) => {
                assert_eq!(error.to_string(), "/etc/users has no user");
                "in force"
            }
        };
        for content in [Ok(alice), Err("has no user")] {
            let found = look(file(versions(Some(read)), content));
            assert_eq!(found, expected, "{seen:?}, {content:?}");
            // What could not be read is read again without a change.
            let found = look(file(None, content));
            let expected = if seen == Some(read) {
                "stale"
            } else {
                expected
            };
            assert_eq!(found, expected, "{seen:?}, {content:?}");
        }
    }
    // A file that is missing still is as it was found.
    let missing = file(versions(None), Err("cannot be read"));
    let found = missing.current(&Sole(None), SystemTime::UNIX_EPOCH);
    assert!(matches!(found, Current::Unavailable(_)), "{found:?}");
}
