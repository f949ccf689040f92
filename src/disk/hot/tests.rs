//! The cache of open files. Time is paused unless a test advances it, so that files found meanwhile come from the cache.

use std::path::Path;

use tempfile::TempDir;
use tokio::time::advance;

use super::super::RealDisk;
use super::*;
use crate::message::{Disk, Root};

/// A folder with files last modified 100 seconds ago.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn root(&self) -> Root {
        Root(self.0.path().to_owned())
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        age(&path, Duration::from_secs(100));
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.0.path().join(name)).unwrap();
    }
}

fn age(path: &Path, age: Duration) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

fn find(disk: &RealDisk, root: &Root, path: &str) -> Option<Arc<OpenFile>> {
    let found = disk
        .one_release()
        .open_recent(root, path.as_bytes(), Symlinks::WithinRoot);
    if let Found::File(file) = found {
        return Some(file);
    }
    None
}

fn is_open(disk: &RealDisk, root: &Root, path: &str) -> bool {
    find(disk, root, path).is_some()
}

#[tokio::test(start_paused = true)]
async fn a_file_is_looked_at_once_in_a_second() {
    let (tree, disk) = (Tree::new(), RealDisk::new(1 << 20));
    tree.write("a", "content");
    let first = find(&disk, &tree.root(), "/a").unwrap();
    assert!(first.cache.is_some());
    tree.remove("a");
    advance(AGE - Duration::from_millis(1)).await;
    let again = find(&disk, &tree.root(), "/a").unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    advance(Duration::from_millis(1)).await;
    assert!(!is_open(&disk, &tree.root(), "/a"));
    tree.write("a", "it is back at once");
    assert_eq!(find(&disk, &tree.root(), "/a").unwrap().length, 18);
}

#[tokio::test(start_paused = true)]
async fn what_has_not_changed_stays_open() {
    let (tree, disk) = (Tree::new(), RealDisk::new(1 << 20));
    tree.write("a", "content");
    let first = find(&disk, &tree.root(), "/a").unwrap();
    advance(AGE).await;
    assert!(Arc::ptr_eq(
        &first,
        &find(&disk, &tree.root(), "/a").unwrap()
    ));
    // Of the same length and with its time set back: the ctime differs.
    tree.write("a", "another");
    age(&tree.0.path().join("a"), Duration::from_secs(100));
    advance(AGE).await;
    assert!(!Arc::ptr_eq(
        &first,
        &find(&disk, &tree.root(), "/a").unwrap()
    ));
}

#[tokio::test(start_paused = true)]
async fn what_was_just_written_is_not_kept() {
    let (tree, disk) = (Tree::new(), RealDisk::new(1 << 20));
    tree.write("a", "content");
    age(&tree.0.path().join("a"), Duration::ZERO);
    assert!(find(&disk, &tree.root(), "/a").unwrap().cache.is_none());
    tree.remove("a");
    assert!(!is_open(&disk, &tree.root(), "/a"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_where_there_is_no_room() {
    let (tree, disk) = (Tree::new(), RealDisk::default());
    tree.write("a", "content");
    let there = || {
        let disk = disk.one_release();
        let is_file = disk.is_file(&tree.root(), b"/a");
        (find_in(&disk, &tree.root()), is_file)
    };
    assert_eq!(there(), (true, true));
    tree.remove("a");
    assert_eq!(there(), (false, false));
}

fn find_in(disk: &dyn Disk, root: &Root) -> bool {
    let found = disk.open_recent(root, b"/a", Symlinks::WithinRoot);
    matches!(found, Found::File(_))
}

#[tokio::test(start_paused = true)]
async fn a_script_is_looked_for_once_in_a_second_and_what_is_missing_always() {
    let (tree, disk) = (Tree::new(), RealDisk::new(1 << 20));
    let there = || disk.one_release().is_file(&tree.root(), b"/index.php");
    assert!(!there());
    tree.write("index.php", "");
    assert!(there());
    tree.remove("index.php");
    assert!(there());
    advance(AGE).await;
    assert!(!there());
}

#[tokio::test(start_paused = true)]
async fn files_are_bounded_and_idle_ones_are_closed() {
    let (tree, disk) = (Tree::new(), RealDisk::new(10 * LEAST));
    for number in 0..100 {
        let name = number.to_string();
        tree.write(&name, "x");
        assert!(is_open(&disk, &tree.root(), &format!("/{name}")));
    }
    assert!(disk.hot.files.len() <= 10, "{}", disk.hot.files.len());
    advance(IDLE).await;
    tree.write("used", "x");
    assert!(is_open(&disk, &tree.root(), "/used"));
    disk.sweep();
    assert_eq!(disk.hot.files.len(), 1);
    disk.resize(0);
    assert_eq!(disk.hot.files.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_release_is_never_mixed_with_another() {
    let directory = tempfile::tempdir().unwrap();
    let release = |name: &str| {
        let folder = directory.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("a"), name).unwrap();
        age(&folder.join("a"), Duration::from_secs(100));
    };
    release("old");
    release("newer");
    let (current, next) = (
        directory.path().join("current"),
        directory.path().join("next"),
    );
    std::os::unix::fs::symlink("old", &current).unwrap();
    let (disk, root) = (RealDisk::new(1 << 20), Root(current.clone()));
    assert_eq!(find(&disk, &root, "/a").unwrap().length, 3);
    // The file was looked at less than a second ago when the root is resolved anew.
    advance(AGE / 2).await;
    assert_eq!(find(&disk, &root, "/a").unwrap().length, 3);
    std::os::unix::fs::symlink("newer", &next).unwrap();
    std::fs::rename(next, &current).unwrap();
    disk.roots.clear();
    assert_eq!(find(&disk, &root, "/a").unwrap().length, 5);
}
