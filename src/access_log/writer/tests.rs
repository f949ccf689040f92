//! Lines get to the file, and a destination that hangs or fails holds up nobody.

use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::*;
use crate::access_log::sample;

const SOON: Duration = Duration::from_secs(30);

fn combined() -> Format {
    Format::parse("combined", false).unwrap()
}

fn start(path: &Path) -> AccessLog {
    AccessLog::start(Destination::File(path.to_owned()), combined()).unwrap()
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().count()
}

fn lost(log: &AccessLog) -> u64 {
    let queue = log.queue.as_ref().unwrap();
    queue.shared.lost.load(Ordering::Relaxed)
}

#[test]
fn lines_are_appended_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    fs::write(&path, "an older line\n").unwrap();
    let log = start(&path);
    for uri in ["/1", "/2", "/3"] {
        log.clone().log(&sample(uri));
    }
    log.close(SOON);
    let text = fs::read_to_string(&path).unwrap();
    let targets = text
        .lines()
        .map(|line| line.split(' ').nth(6).unwrap_or(line));
    assert_eq!(
        targets.collect::<Vec<_>>(),
        ["an older line", "/1", "/2", "/3"]
    );
}

#[test]
fn a_renamed_file_is_left_on_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let old = directory.path().join("access.log.1");
    let log = start(&path);
    log.log(&sample("/old"));
    log.close(SOON);
    fs::rename(&path, &old).unwrap();
    log.log(&sample("/still-old"));
    log.close(SOON);
    log.reopen();
    log.log(&sample("/new"));
    log.close(SOON);
    assert_eq!((lines(&old), lines(&path)), (2, 1));
}

#[test]
fn a_file_that_cannot_be_reopened_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let old = directory.path().join("access.log.1");
    let log = start(&path);
    fs::rename(&path, &old).unwrap();
    fs::create_dir(&path).unwrap();
    log.reopen();
    log.log(&sample("/"));
    log.close(SOON);
    assert_eq!(lines(&old), 1);
}

#[test]
fn a_log_that_is_off_does_nothing() {
    let log = AccessLog::start(Destination::Off, combined()).unwrap();
    log.log(&sample("/"));
    log.reopen();
    log.close(SOON);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error() {
    let path = Path::new("/nowhere/access.log").to_owned();
    let error = AccessLog::start(Destination::File(path), combined()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_reader_that_hangs_costs_lines_and_no_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
    // Without O_NONBLOCK each end waits for the other to be opened.
    let mut options = fs::OpenOptions::new();
    let options = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let mut reader = options.open(&path).unwrap();
    let log = start(&path);
    let total = 20_000;
    for _ in 0..total {
        log.log(&sample("/"));
    }
    let dropped = lost(&log);
    assert!(dropped > 0, "a pipe took {total} lines");
    log.close(Duration::from_millis(20));

    let reading = thread::spawn(move || drain(&mut reader));
    log.close(SOON);
    drop(log);
    let read = u64::try_from(reading.join().unwrap()).unwrap();
    assert_eq!(read + dropped, total);
}

/// Reads until the writer is gone; the number of lines.
fn drain(reader: &mut fs::File) -> usize {
    let mut count = 0;
    let mut buffer = [0; 65536];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return count,
            Ok(length) => {
                count += buffer[..length]
                    .iter()
                    .filter(|byte| **byte == b'\n')
                    .count()
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn lines_that_a_full_disk_refuses_are_counted() {
    let log = start(Path::new("/dev/full"));
    log.log(&sample("/"));
    log.log(&sample("/"));
    log.close(SOON);
    assert_eq!(lost(&log), 2);
}
