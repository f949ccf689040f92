//! Lines are written in order, and a destination that hangs or fails blocks no caller.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc::PIPE_BUF;

use super::name::{Kind, Title};
use super::sink::Sink;
use super::thread::Owner;
use super::*;
use crate::files::Files;

const SOON: Duration = Duration::from_secs(30);

/// Opens the access log at `path`.
fn open(logs: &Logs, path: &Path) -> LineLog {
    let to = Destination::File(path.to_owned());
    let log = logs.access_log(&to);
    logs.open(&to, &log, &Files::own()).unwrap();
    log
}

fn start(path: &Path) -> LineLog {
    open(&Logs::default(), path)
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

/// Creates a pipe, and a log of this kind that writes to it.
fn pipe(kind: Kind) -> (File, LineLog) {
    let (reader, writer) = std::io::pipe().unwrap();
    let title = Title {
        kind,
        to: "stderr".into(),
    };
    let log = LineLog::new(title, Arc::default());
    let sink = Sink::of(writer.as_fd()).unwrap();
    log.open(sink, Owner::start("test-log", false).unwrap().thread());
    (File::from(std::os::fd::OwnedFd::from(reader)), log)
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
        let (reader, log) = pipe(Kind::Access);
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
    let (reader, log) = pipe(Kind::Error(Default::default()));
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

#[test]
fn two_logs_of_one_file_are_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let logs = Logs::default();
    let (one, two) = (open(&logs, &path), open(&logs, &path));
    one.append(b"1\n");
    two.append(b"2\n");
    drop(one);
    two.append(b"3\n");
    close(&logs.all(), SOON);
    assert_eq!(lines(&path), ["1", "2", "3"]);
    assert_eq!(logs.all().len(), 1);
    drop(two);
    assert!(logs.all().is_empty());
}

#[test]
fn lines_before_a_log_is_opened_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let (logs, to) = (Logs::default(), Destination::File(path.clone()));
    let log = logs.access_log(&to);
    log.append(b"early\n");
    assert!(!path.exists());
    logs.open(&to, &log, &Files::own()).unwrap();
    log.close(SOON);
    assert_eq!(lines(&path), ["early"]);
}

/// Waits until the thread of the log has looked for renamed files, and returns the lines.
fn wait_for_lines(path: &Path, count: usize) -> Vec<String> {
    for _ in 0..3000 {
        if path.exists() && lines(path).len() >= count {
            return lines(path);
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{} lacks its lines", path.display());
}

#[test]
fn a_file_that_is_renamed_or_removed_is_made_again_without_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let old = directory.path().join("access.log.1");
    let log = start(&path);
    log.append(b"old\n");
    log.close(SOON);
    fs::rename(&path, &old).unwrap();
    // While nothing is logged.
    wait_for_lines(&path, 0);
    log.append(b"new\n");
    log.close(SOON);
    assert_eq!(
        (lines(&old), lines(&path)),
        (vec!["old".into()], vec!["new".into()])
    );
    fs::remove_file(&path).unwrap();
    wait_for_lines(&path, 0);
    fs::write(directory.path().join("other"), "").unwrap();
    // Replaced, as mv does.
    fs::rename(directory.path().join("other"), &path).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| wait_for_lines(&path, 1));
        while lines(&path).is_empty() {
            log.append(b"later\n");
            log.close(SOON);
        }
    });
}

#[test]
fn each_write_to_a_pipe_is_whole_lines_and_atomic() {
    // In packet mode each read returns one write (pipe(2), O_DIRECT).
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_DIRECT).unwrap();
    let mut sink = Sink::of(writer.as_fd()).unwrap();
    drop(writer);
    let line = |char: &str, length: usize| char.repeat(length - 1) + "\n";
    let lines = [
        line("a", PIPE_BUF / 3),
        line("b", PIPE_BUF / 3),
        line("c", PIPE_BUF / 2),
        line("d", PIPE_BUF),
        line("e", 2 * PIPE_BUF + 1),
        line("f", 5),
    ];
    sink.write(lines.concat().as_bytes()).unwrap();
    drop(sink);
    let mut packets = Vec::new();
    let mut reader = File::from(reader);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match std::io::Read::read(&mut reader, &mut buffer).unwrap() {
            0 => break,
            length => packets.push(String::from_utf8(buffer[..length].to_vec()).unwrap()),
        }
    }
    let [a, b, c, d, e, f] = &lines;
    let (long, ends) = e.split_at(PIPE_BUF);
    let (more, end) = ends.split_at(PIPE_BUF);
    let expected = [&format!("{a}{b}"), c, d, long, more, end, f];
    assert_eq!(packets, expected);
}
