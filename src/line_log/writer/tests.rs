//! Lines are written in order, and a destination that hangs or fails blocks no caller.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::Mode;

use super::*;

const SOON: Duration = Duration::from_secs(30);

fn start(path: &Path) -> LineLog {
    LineLog::start(LogName::Access, Sink::file(path.to_owned()).unwrap()).unwrap()
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn lines_are_appended_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    fs::write(&path, "an older line\n").unwrap();
    let log = start(&path);
    for line in ["1\n", "2\n", "3\n"] {
        log.clone().append(line.as_bytes());
    }
    log.close(SOON);
    assert_eq!(lines(&path), ["an older line", "1", "2", "3"]);
}

#[test]
fn a_renamed_file_is_left_on_reopen() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let old = directory.path().join("access.log.1");
    let log = start(&path);
    log.append(b"old\n");
    log.close(SOON);
    fs::rename(&path, &old).unwrap();
    log.append(b"still old\n");
    log.close(SOON);
    log.reopen();
    log.append(b"new\n");
    log.close(SOON);
    assert_eq!((lines(&old).len(), lines(&path).len()), (2, 1));
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
    log.append(b"line\n");
    log.close(SOON);
    assert_eq!(lines(&old), ["line"]);
}

/// Creates a pipe, and a log that writes to it.
fn pipe(name: LogName) -> (tempfile::TempDir, File, LineLog) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
    // Without O_NONBLOCK each end waits for the other to be opened.
    let reader = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(&path)
        .unwrap();
    let log = LineLog::start(name, Sink::file(path).unwrap()).unwrap();
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    (directory, reader, log)
}

/// Reads until the writer closes.
fn read(reader: File) -> thread::JoinHandle<Vec<String>> {
    thread::spawn(move || BufReader::new(reader).lines().map(Result::unwrap).collect())
}

/// Appends numbered lines of `length` bytes until some have been dropped, at least `total`.
fn overfill(log: &LineLog, total: u64, length: usize) -> u64 {
    let numbers = (0..).take_while(|number| *number < total || log.dropped() == 0);
    let appended = numbers.inspect(|number| {
        log.append(format!("{number:0>length$}\n").as_bytes());
    });
    appended.map(|number| number + 1).last().unwrap()
}

#[test]
fn a_reader_that_hangs_costs_lines_and_no_time() {
    for (total, length) in [(20_000, 10), (3000, 6000)] {
        let (_directory, reader, log) = pipe(LogName::Access);
        let total = overfill(&log, total, length);
        let dropped = log.dropped();
        log.close(Duration::from_millis(20));
        let reading = read(reader);
        log.close(SOON);
        drop(log);
        let read = reading.join().unwrap();
        assert_eq!(u64::try_from(read.len()).unwrap() + dropped, total);
        assert!(read.is_sorted(), "lines of {length} bytes");
        // Two batches of four MiB, and what the pipe takes.
        let bytes: usize = read.iter().map(String::len).sum();
        assert!(bytes < 9 << 20, "{bytes} bytes were kept");
    }
}

#[test]
fn stderr_reports_lost_lines_at_their_place() {
    let (_directory, reader, log) = pipe(LogName::Stderr);
    // A full batch is more than a pipe takes, so that there is one loss.
    overfill(&log, 3000, 6000);
    let dropped = log.dropped();
    let reading = read(reader);
    log.close(SOON);
    log.append(b"later\n");
    drop(log);
    let read = reading.join().unwrap();
    let report = format!(" WARN stderr was not read: {dropped} lines dropped");
    let reports: Vec<_> = read.iter().filter(|line| line.ends_with(&report)).collect();
    assert_eq!(reports.len(), 1, "{dropped}: {:?}", read.last());
    assert!(read.iter().rev().take(2).any(|line| line == reports[0]));
}

#[test]
fn a_line_that_is_too_long_takes_no_other_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let log = start(&path);
    log.append(&vec![b'x'; 5 << 20]);
    while !path.exists() || lines(&path).is_empty() {
        log.append(b"line\n");
        log.close(SOON);
    }
    assert!(log.dropped() >= 1);
    assert_eq!(lines(&path).last().unwrap(), "line");
}

/// Any holder of a pipe can make it non-blocking for all.
#[test]
fn a_pipe_that_does_not_block_loses_nothing() {
    let (reader, writer) = std::io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut sink = Sink::of(writer.as_fd()).unwrap();
    drop(writer);
    let text = "0123456789\n".repeat(100_000);
    let writing = {
        let text = text.clone();
        thread::spawn(move || sink.write(text.as_bytes()).unwrap())
    };
    let read = std::io::read_to_string(reader).unwrap();
    writing.join().unwrap();
    assert!(read == text, "{} of {} bytes", read.len(), text.len());
}

#[test]
fn lines_that_a_full_disk_refuses_are_counted() {
    let log = start(Path::new("/dev/full"));
    log.append(b"one\n");
    log.append(b"two\n");
    log.close(SOON);
    assert_eq!(log.dropped(), 2);
}
