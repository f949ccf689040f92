//! The output of a program, line by line, in our log.

use std::os::fd::OwnedFd;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The longest line that is logged as one; the rest of it follows as another.
const LONGEST: usize = 8 * 1024;

/// The tasks that read the output of programs.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    readers: JoinSet<Option<(String, OwnedFd)>>,
    stop: CancellationToken,
}

impl Outputs {
    /// Logs the lines from `pipe` under `name`, until all holders of its other end have ended.
    pub(super) fn read(&mut self, name: String, pipe: OwnedFd) {
        while self.readers.try_join_next().is_some() {}
        // A program with an unread pipe would block on it when it is full: logged as an error.
        match pipe::Receiver::from_owned_fd(pipe) {
            Ok(receiver) => drop(
                self.readers
                    .spawn(log_lines(name, receiver, self.stop.clone())),
            ),
            Err(error) => {
                tracing::error!(process = name, %error, "its output cannot be read");
            }
        }
    }

    /// Stops reading, and returns the pipes, each with its name.
    pub(super) async fn hand_over(self) -> Vec<(String, OwnedFd)> {
        self.stop.cancel();
        let pipes = self.readers.join_all().await;
        pipes.into_iter().flatten().collect()
    }

    /// Lets the tasks run to the ends of their pipes.
    pub(super) fn detach(mut self) {
        self.readers.detach_all();
    }
}

/// Logs lines; returns the pipe when stopped before its end, with no part of a line held back.
async fn log_lines(
    name: String,
    mut receiver: pipe::Receiver,
    stop: CancellationToken,
) -> Option<(String, OwnedFd)> {
    let mut lines = Lines::default();
    let mut piece = vec![0; LONGEST];
    loop {
        let read = stop.run_until_cancelled(receiver.read(&mut piece)).await;
        let Some(Ok(read @ 1..)) = read else {
            lines.end(|line| log_line(&name, line));
            let pipe = receiver.into_nonblocking_fd().ok();
            return pipe.filter(|_| read.is_none()).map(|pipe| (name, pipe));
        };
        lines.push(piece.get(..read).unwrap_or_default(), |line| {
            log_line(&name, line)
        });
    }
}

/// Logs a line at the level of its PHP-FPM prefix: `[25-Nov-2026 10:00:00] ERROR: …`.
fn log_line(name: &str, line: &str) {
    let text = line.split_once("] ").map_or(line, |(_, text)| text);
    if ["ERROR:", "ALERT:"]
        .iter()
        .any(|word| text.starts_with(word))
    {
        tracing::error!(process = name, "{line}");
    } else if text.starts_with("WARNING:") {
        tracing::warn!(process = name, "{line}");
    } else {
        tracing::info!(process = name, "{line}");
    }
}

/// Splits bytes into lines.
#[derive(Debug, Default)]
struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        for byte in bytes {
            if *byte == b'\n' || self.partial.len() == LONGEST {
                self.end(&mut each);
            }
            if *byte != b'\n' {
                self.partial.push(*byte);
            }
        }
    }

    /// Emits the current line, unless it is empty.
    fn end(&mut self, mut each: impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.partial);
        let line: String = text.trim_end().chars().map(visible).collect();
        if !line.is_empty() {
            each(&line);
        }
        self.partial.clear();
    }
}

/// Replaces control characters, which must not act on the terminal of the log's reader.
fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        character if character.is_control() => char::REPLACEMENT_CHARACTER,
        character => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut logged = Vec::new();
        for piece in pieces {
            lines.push(piece, |line| logged.push(line.to_owned()));
        }
        lines.end(|line| logged.push(line.to_owned()));
        logged
    }

    #[test]
    fn pieces_become_lines_wherever_they_are_cut() {
        assert_eq!(
            lines(&[b"NOTICE: re", b"ady\r\n\nb", b"ye"]),
            ["NOTICE: ready", "bye"]
        );
    }

    #[test]
    fn a_long_line_is_logged_in_parts() {
        let long = vec![b'a'; LONGEST + 1];
        let logged = lines(&[&long, b"\nb\n"]);
        let lengths: Vec<_> = logged.iter().map(String::len).collect();
        assert_eq!(lengths, [LONGEST, 1, 1]);
    }

    #[test]
    fn control_characters_do_not_pass() {
        assert_eq!(
            lines(&[b"a\x1b[31mb\tc\xff\n"]),
            ["a\u{fffd}[31mb c\u{fffd}"]
        );
    }
}
