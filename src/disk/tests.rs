//! The real file system, below a temporary folder per test.

use std::os::unix::fs::{PermissionsExt, symlink};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use super::*;

/// Creates `public` in a temporary folder, with a file in and one outside of it, and links to them.
fn tree() -> (TempDir, Root) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("public");
    std::fs::create_dir_all(root.join("sub")).unwrap();
    std::fs::write(root.join("a.txt"), "inside").unwrap();
    std::fs::write(directory.path().join("secret"), "outside").unwrap();
    symlink("a.txt", root.join("relative")).unwrap();
    symlink("../a.txt", root.join("sub/up")).unwrap();
    symlink(root.join("a.txt"), root.join("absolute")).unwrap();
    symlink("../secret", root.join("out")).unwrap();
    symlink("sub", root.join("folder")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("nowhere", root.join("broken")).unwrap();
    std::fs::write(root.join("sub/b.txt"), "below").unwrap();
    (directory, Root(root))
}

fn word(found: &Found) -> &'static str {
    match found {
        Found::File(_) => "file",
        Found::Directory => "folder",
        Found::Missing => "missing",
        Found::TooLong => "too long",
        Found::Refused(_) => "refused",
        Found::Trouble(_) => "trouble",
    }
}

#[track_caller]
fn file(found: Found) -> Arc<OpenFile> {
    if let Found::File(file) = found {
        return file;
    }
    panic!("no file: {found:?}")
}

#[tokio::test]
async fn links_are_followed_as_the_policy_says() {
    use Symlinks::{Anywhere, Never, SameOwner, WithinRoot};
    let (_directory, root) = tree();
    let real = RealDisk::default();
    let disk = real.one_release();
    // In the order WithinRoot, Never, SameOwner, Anywhere.
    let rows = [
        ("/a.txt", ["file"; 4]),
        ("/relative", ["file", "refused", "file", "file"]),
        ("/sub/up", ["file", "refused", "file", "file"]),
        ("/absolute", ["refused", "refused", "file", "file"]),
        ("/out", ["refused", "refused", "file", "file"]),
        ("/folder/b.txt", ["file", "refused", "file", "file"]),
        ("/folder/", ["folder", "refused", "folder", "folder"]),
        ("/loop", ["refused"; 4]),
        ("/broken", ["missing", "refused", "missing", "missing"]),
        ("/a.txt/x", ["missing"; 4]),
        ("/nothing/x", ["missing"; 4]),
        ("/", ["folder"; 4]),
    ];
    for (path, expected) in rows {
        for (symlinks, expected) in [WithinRoot, Never, SameOwner, Anywhere]
            .into_iter()
            .zip(expected)
        {
            let found = disk.open_by(&root, path.as_bytes(), symlinks);
            assert_eq!(word(&found), expected, "{path} {symlinks:?}: {found:?}");
            let is_file = disk.is_file_by(&root, path.as_bytes(), symlinks);
            assert_eq!(is_file, expected == "file", "{path} {symlinks:?}");
        }
    }
}

/// Needs root, which alone can give files away.
#[tokio::test]
async fn a_link_leads_to_what_its_owner_owns_or_nowhere() {
    let (directory, root) = tree();
    let given = std::os::unix::fs::chown(directory.path().join("secret"), Some(65_534), None);
    if given.is_err() {
        return;
    }
    let real = RealDisk::default();
    let disk = real.one_release();
    let open = |path: &[u8]| word(&disk.open_by(&root, path, Symlinks::SameOwner));
    assert_eq!(open(b"/out"), "refused");
    std::os::unix::fs::lchown(root.0.join("out"), Some(65_534), None).unwrap();
    assert_eq!(open(b"/out"), "file");
    std::os::unix::fs::chown(root.0.join("sub"), Some(65_534), None).unwrap();
    assert_eq!(open(b"/folder/b.txt"), "refused");
}

#[tokio::test]
async fn what_is_no_file_is_refused_at_once() {
    let (_directory, root) = tree();
    mkfifo(&root.0.join("fifo"), Mode::from_bits_truncate(0o644)).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.0.join("socket")).unwrap();
    symlink("/dev/zero", root.0.join("device")).unwrap();
    let real = RealDisk::default();
    let disk = real.one_release();
    for name in ["/fifo", "/socket", "/device"] {
        let found = disk.open_by(&root, name.as_bytes(), Symlinks::Anywhere);
        assert_eq!(word(&found), "refused", "{name}: {found:?}");
    }
    let long = [b"/".as_slice(), &[b'a'; 256]].concat();
    assert_eq!(word(&disk.open(&root, &long)), "too long");
}

#[tokio::test]
async fn one_request_sees_one_release() {
    let directory = tempfile::tempdir().unwrap();
    for release in ["1", "2"] {
        let folder = directory.path().join(release);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a"), release.repeat(release.parse().unwrap())).unwrap();
    }
    let current = directory.path().join("current");
    symlink("1", &current).unwrap();
    let root = Root(current.clone());
    let disk = RealDisk::default();
    let length = |disk: &OneRelease<'_>| file(disk.open(&root, b"/a")).length;
    let early = disk.one_release();
    assert_eq!(length(&early), 1);
    symlink("2", directory.path().join("next")).unwrap();
    std::fs::rename(directory.path().join("next"), &current).unwrap();
    // Stands in for a second.
    disk.roots.clear();
    assert_eq!(length(&disk.one_release()), 2);
    assert_eq!(length(&early), 1);
}

/// Creates two releases, and `current` as a link to the first.
fn releases() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for release in ["1", "2"] {
        for root in ["public", "api"] {
            let folder = directory.path().join("releases").join(release).join(root);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("a"), release).unwrap();
        }
        let shared = directory.path().join("releases").join(release);
        symlink("../../shared", shared.join("shared")).unwrap();
    }
    std::fs::create_dir(directory.path().join("shared")).unwrap();
    symlink("releases/1", directory.path().join("current")).unwrap();
    directory
}

fn flip(directory: &TempDir, release: &str) {
    let next = directory.path().join("next");
    symlink(format!("releases/{release}"), &next).unwrap();
    std::fs::rename(next, directory.path().join("current")).unwrap();
}

#[tokio::test]
async fn all_roots_of_a_request_are_of_one_release() {
    let directory = releases();
    // Not the temporary folder, which may be below a link.
    let base = directory.path().canonicalize().unwrap();
    let root = |name: &str| Root(base.join(name));
    let real = |disk: &OneRelease<'_>, name: &str| disk.real_path(&root(name));
    let at = |path: &str| Some(Arc::from(base.join(path)));
    for cache in [0, 1024 * 1024] {
        flip(&directory, "1");
        let disk = RealDisk::new(cache);
        let early = disk.one_release();
        assert_eq!(real(&early, "current/public"), at("releases/1/public"));
        flip(&directory, "2");
        // Stands in for a second.
        disk.roots.clear();
        let late = disk.one_release();
        // Names that the earlier request had not used before.
        for name in ["current/api", "current/public", "current"] {
            let path = |release: &str| at(&name.replace("current", &format!("releases/{release}")));
            assert_eq!(real(&early, name), path("1"), "{name}, cache: {cache}");
            assert_eq!(real(&late, name), path("2"), "{name}, cache: {cache}");
        }
        assert_eq!(word(&early.open(&root("current/api"), b"/a")), "file");
        assert_eq!(real(&early, "current/shared"), at("shared"));
        for plain in ["releases/1/public", "releases/1/public/", "missing"] {
            assert_eq!(real(&late, plain), None, "{plain}");
        }
    }
}

#[tokio::test]
async fn a_release_that_was_removed_has_no_files() {
    let directory = releases();
    let base = directory.path().canonicalize().unwrap();
    let [public, api] = ["current/public", "current/api"].map(|name| Root(base.join(name)));
    let disk = RealDisk::new(1024 * 1024);
    let early = disk.one_release();
    assert!(early.is_file(&public, b"/a"));
    flip(&directory, "2");
    std::fs::remove_dir_all(base.join("releases/1")).unwrap();
    assert_eq!(word(&early.open(&api, b"/a")), "missing");
    disk.roots.clear();
    let late = disk.one_release();
    assert_eq!(word(&late.open(&api, b"/a")), "file");
}

/// `x/public` alone is a link, to a folder of the same name elsewhere: `x/api` has no link in common with it.
#[tokio::test]
async fn a_link_at_one_root_does_not_move_another() {
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path().canonicalize().unwrap();
    for folder in ["x/api", "y/public", "y/api"] {
        std::fs::create_dir_all(base.join(folder)).unwrap();
        std::fs::write(base.join(folder).join("a"), folder).unwrap();
    }
    symlink("../y/public", base.join("x/public")).unwrap();
    let real = RealDisk::default();
    let disk = real.one_release();
    let path = |name: &str| disk.real_path(&Root(base.join(name)));
    assert_eq!(path("x/public").as_deref(), Some(&*base.join("y/public")));
    assert_eq!(path("x/api"), None);
    let found = file(disk.open(&Root(base.join("x/api")), b"/a"));
    assert_eq!(found.length, "x/api".len() as u64);
}

#[tokio::test(start_paused = true)]
async fn unused_roots_are_closed() {
    let directory = releases();
    let root = Root(directory.path().join("current/public"));
    let disk = RealDisk::new(1024 * 1024);
    assert!(disk.one_release().is_file(&root, b"/a"));
    let opened = Arc::downgrade(&disk.roots.get(&root, true).unwrap());
    disk.sweep();
    assert!(opened.upgrade().is_some());
    tokio::time::advance(Duration::from_secs(1)).await;
    disk.sweep();
    assert!(opened.upgrade().is_none());
}

#[tokio::test]
async fn a_folder_shows_what_can_be_sent() {
    let (_directory, root) = tree();
    mkfifo(&root.0.join("fifo"), Mode::from_bits_truncate(0o644)).unwrap();
    let real = RealDisk::default();
    let disk = real.one_release();
    let list = |symlinks, most| {
        let folder = disk.open_folder(&root, b"/", symlinks).unwrap();
        let found = entries(folder, most, |name, _| name != b"a.txt").unwrap();
        let mut names: Vec<_> = found
            .list
            .iter()
            .map(|entry| String::from_utf8(entry.name.clone()).unwrap())
            .collect();
        names.sort();
        (names.join(" "), found.complete)
    };
    let (within, complete) = list(Symlinks::WithinRoot, 100);
    assert_eq!((within.as_str(), complete), ("folder relative sub", true));
    assert_eq!(list(Symlinks::Never, 100).0, "sub");
    assert_eq!(
        list(Symlinks::Anywhere, 100).0,
        "absolute folder out relative sub"
    );
    assert!(!list(Symlinks::Anywhere, 2).1);
    let folder = disk.open_folder(&root, b"/a.txt/", Symlinks::WithinRoot);
    assert!(matches!(folder, Err(Found::Missing)), "{folder:?}");
}

#[test]
fn a_file_that_was_written_to_is_another() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    std::fs::write(&path, "0123456789").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = || {
        let descriptor = OwnedFd::from(std::fs::File::open(&path).unwrap());
        let stat = fstat(&descriptor).unwrap();
        file(found(descriptor, &stat, false))
    };
    let touch = |seconds| {
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        file.set_modified(time).unwrap();
    };
    touch(1000);
    let file = open();
    assert!(is_as_opened(&file));
    touch(2000);
    assert!(!is_as_opened(&file));
    std::fs::write(&path, "0123456789 and more").unwrap();
    assert!(is_as_opened(&file), "it has grown as logs do");
    std::fs::write(&path, "short").unwrap();
    assert!(!is_as_opened(&file));
}

#[test]
fn the_time_of_the_disk_does_not_count_for_the_next_callee() {
    let (_directory, root) = tree();
    let disk = RealDisk::default();
    for path in ["/a.txt", "/missing"] {
        moment::turn(|| {
            let before = moment::now();
            disk.one_release().open(&root, path.as_bytes());
            assert!(moment::now() > before, "{path}");
        });
    }
}
