//! Recording, bundles, and files that this process cannot open itself.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use proptest::prelude::*;
use rustix::fs::{MemfdFlags, memfd_create};

use super::double::{OwnOpener, without_rights};
use super::*;

/// Limit of the files of these tests.
const LIMIT: u64 = 1024;

fn opener() -> Arc<OwnOpener> {
    Arc::default()
}

/// All that a load can ask for about a path, with errors as text.
fn facts(files: &Files, path: &Path) -> [Result<String, String>; 3] {
    [
        files.status(path).map(|status| format!("{status:?}")),
        files
            .read(path, LIMIT)
            .map(|content| content.escape_ascii().to_string()),
        files.canonical(path).map(|path| format!("{path:?}")),
    ]
    .map(|fact| fact.map_err(|error| error.to_string()))
}

#[test]
fn a_bundle_has_what_was_read_when_the_files_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_owned();
    let path = |name: &[u8]| root.join(OsStr::from_bytes(name));
    fs::write(path(b"a"), "content").unwrap();
    fs::write(path(b"\xff"), b"\0\xff").unwrap();
    fs::write(path(b".hidden"), "").unwrap();
    fs::write(path(b"large"), [b'x'; 1025]).unwrap();
    fs::create_dir(path(b"folder")).unwrap();
    std::os::unix::fs::symlink("a", path(b"link")).unwrap();
    std::os::unix::fs::symlink("loop", path(b"loop")).unwrap();
    let names: [&[u8]; 8] = [
        b"a", b"\xff", b"large", b"folder", b"link", b"loop", b"missing", b"a/b",
    ];
    let patterns = ["*", "l*", "nothing*", "[", "folder/**a", ".h*"]
        .map(|pattern| format!("{}/{pattern}", root.display()));

    let recording = Files::recording();
    let recorded = names.map(|name| facts(&recording, &path(name)));
    let matched = patterns
        .each_ref()
        .map(|pattern| recording.matches(pattern));
    assert_eq!(recorded[0][1], Ok("content".to_owned()));
    assert_eq!(
        recorded[2][1],
        Err("File too large (os error 27)".to_owned())
    );
    let matched_names = |matched: &Result<Vec<PathBuf>, String>| -> Option<Vec<String>> {
        let files = matched.as_ref().ok()?.iter();
        let names = files.map(|file| file.file_name().unwrap().to_str().unwrap().to_owned());
        Some(names.collect())
    };
    let names_of = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(
        matched.each_ref().map(matched_names),
        [
            names_of(&["a", "large", "link", "loop"]),
            names_of(&["large", "link", "loop"]),
            names_of(&[]),
            None,
            None,
            names_of(&[".hidden"]),
        ]
    );
    // As this process sees them without a record.
    assert_eq!(
        recorded,
        names.map(|name| facts(&Files::own(), &path(name)))
    );

    let memory = recording.bundle().unwrap().to_memfd().unwrap();
    folder.close().unwrap();
    let bundle = Bundle::from_memfd(&memory).unwrap();
    assert_eq!(bundle, recording.bundle().unwrap());
    let bundled = Files::of_bundle(bundle, opener());
    assert_eq!(recorded, names.map(|name| facts(&bundled, &path(name))));
    assert_eq!(
        matched,
        patterns.each_ref().map(|pattern| bundled.matches(pattern))
    );
    assert_eq!(bundled.lacking(), None);
    assert_eq!(bundled.granted().unwrap(), Granted::default());
}

#[test]
fn what_a_bundle_lacks_is_an_error_that_names_the_first() {
    let recording = Files::recording();
    recording.status(Path::new("/")).unwrap();
    let bundle = recording.bundle().unwrap();
    for ask in [
        (|files: &Files| files.status(Path::new("/etc")).map(drop)) as fn(&Files) -> io::Result<()>,
        |files| files.read(Path::new("/etc"), LIMIT).map(drop),
        |files| files.canonical(Path::new("/etc")).map(drop),
        |files| files.matches("/etc").map(drop).map_err(io::Error::other),
    ] {
        let files = Files::of_bundle(bundle.clone(), opener());
        files.status(Path::new("/")).unwrap();
        assert_eq!(files.lacking(), None);
        let error = ask(&files).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the configuration changed while it was loaded"
        );
        // Of a known path another fact may be missing.
        files.read(Path::new("/"), LIMIT).unwrap_err();
        assert_eq!(files.lacking(), Some(PathBuf::from("/etc")));
    }
}

#[test]
fn a_content_is_no_larger_than_its_reader_allows() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), [b'x'; 9]).unwrap();
    let recording = Files::recording();
    recording.read(file.path(), 9).unwrap();
    let bundled = Files::of_bundle(recording.bundle().unwrap(), opener());
    for files in [Files::own(), bundled] {
        assert_eq!(files.read(file.path(), 9).unwrap().len(), 9);
        let error = files.read(file.path(), 8).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}

#[test]
fn what_may_be_opened_again_is_granted_once_and_in_order() {
    let recording = Files::recording();
    for path in ["/b", "/a", "/b"] {
        recording.grant(Path::new(path));
    }
    for path in ["/log/2", "/log/1", "/log/1"] {
        recording.grant_log(Path::new(path));
    }
    let granted = recording.granted().unwrap();
    assert_eq!(granted.files, ["/a", "/b"].map(PathBuf::from));
    assert_eq!(granted.logs, ["/log/1", "/log/2"].map(PathBuf::from));
    // What is loaded later with this handle grants nothing.
    recording.after_load().grant(Path::new("/c"));
    assert_eq!(recording.granted().unwrap(), granted);
    for number in 0..65_536 - 4 {
        recording.grant(&PathBuf::from(format!("/{number}")));
    }
    recording.granted().unwrap();
    recording.grant(Path::new("/one more"));
    let error = recording.granted().unwrap_err().to_string();
    assert!(
        error.starts_with(
            "the configuration needs 65537 files that are read again, more than 65536"
        ),
        "{error}"
    );
}

#[test]
fn facts_are_limited_in_number() {
    let recording = Files::recording();
    for number in 0..=65_536 * 3 {
        let path = PathBuf::from(number.to_string());
        let Source::Recorded(recording) = &recording.source else {
            panic!("no record")
        };
        lock(recording).add_status(&path, &Err(io::ErrorKind::NotFound.into()));
    }
    let error = recording.bundle().unwrap_err().to_string();
    assert!(
        error.contains("196609 facts about its files, more than 196608"),
        "{error}"
    );
    let Source::Recorded(recording) = &recording.source else {
        panic!("no record")
    };
    let encoded = lock(recording).bundle.encode().unwrap();
    let error = Bundle::decode(&encoded).unwrap_err();
    assert!(matches!(error, BundleError::TooManyFacts), "{error}");
}

#[test]
fn what_is_no_sealed_bundle_is_refused() {
    let unsealed = memfd_create("test", MemfdFlags::ALLOW_SEALING).unwrap();
    let file = File::open("/dev/null").unwrap();
    for (memory, expected) in [
        (unsealed.as_fd(), "Operation not permitted"),
        (file.as_fd(), "Invalid argument"),
    ] {
        let error = Bundle::from_memfd(memory).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let memory = memfd::seal("test", b"123").unwrap();
    let error = memfd::read(&memory, 2).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    // Twice: whoever reads it first moves nobody's position.
    for _ in 0..2 {
        assert_eq!(**memfd::read(&memory, 3).unwrap(), *b"123");
    }
    let error = nix::unistd::write(&memory, b"4").unwrap_err();
    assert_eq!(error, Errno::EPERM);
    let error = Bundle::from_memfd(&memory).unwrap_err().to_string();
    assert_eq!(
        error,
        "the bundle of files is one of another version of fcgate"
    );
}

#[test]
fn a_confined_process_opens_through_its_opener() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, "secret").unwrap();
    let opener = Arc::new(OwnOpener::of(folder.path()));
    let files = Files::recording();
    let later = files.after_load();
    assert_eq!(*later.read(&path, LIMIT).unwrap(), *b"secret");
    files.open_through(Arc::<OwnOpener>::clone(&opener));
    // What can be seen is looked at without a round trip.
    let status = later.status(&path).unwrap();
    assert!(!later.is_hidden(&path));
    assert_eq!(opener.opened(), [] as [PathBuf; 0]);

    without_rights(folder.path(), || {
        let error = Files::own().status(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(!Files::own().is_hidden(&path), "nobody to ask");
        assert!(later.is_hidden(&path));
        assert_eq!(later.status(&path).unwrap(), status);
        assert_eq!(*later.read(&path, LIMIT).unwrap(), *b"secret");
        later.open(&path).unwrap();
        let log = folder.path().join("log");
        later.open_log(&log).unwrap();
        assert_eq!(
            opener.opened(),
            [&path, &path, &path, &log].map(PathBuf::clone)
        );
        let missing = later.status(&folder.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    });
}

/// Opening a fifo does not wait for its writer.
#[test]
fn a_fifo_is_opened_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(Files::own().read(&path, LIMIT).unwrap().len(), 0);
}

/// A source may be a pipe, whose writer takes its time.
#[test]
fn a_pipe_is_read_to_its_end() {
    let (reader, mut writer) = io::pipe().unwrap();
    let path = PathBuf::from(format!(
        "/proc/self/fd/{}",
        std::os::fd::AsRawFd::as_raw_fd(&reader)
    ));
    let (begun, begins) = std::sync::mpsc::channel();
    let writing = std::thread::spawn(move || {
        use std::io::Write;
        begins.recv().unwrap();
        for part in [b"on", b"ce"] {
            writer.write_all(part).unwrap();
        }
    });
    begun.send(()).unwrap();
    let content = Files::own().read_to_end(&path, LIMIT).unwrap();
    writing.join().unwrap();
    assert_eq!(*content, *b"once");
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Bundle::decode(&[b"fcgate files 1\n".as_slice(), &bytes].concat());
    }

    #[test]
    fn a_bundle_that_is_cut_or_changed_is_refused_or_another(
        end in 0_usize..200, at in 0_usize..200, byte in any::<u8>(),
    ) {
        let recording = Files::recording();
        let _ = facts(&recording, Path::new("/"));
        recording.matches("/etc/host*").unwrap();
        let bundle = recording.bundle().unwrap();
        let mut encoded = bundle.encode().unwrap();
        assert_eq!(Bundle::decode(&encoded).unwrap(), bundle);
        if let Some(place) = encoded.get_mut(at) {
            *place = byte;
        }
        let cut = &encoded[..end.min(encoded.len())];
        if let Ok(other) = Bundle::decode(cut) {
            prop_assert_eq!(&Bundle::decode(&other.encode().unwrap()).unwrap(), &other);
        }
    }
}
