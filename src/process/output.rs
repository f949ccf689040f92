//! The output of a program, line by line, in our log.

use std::os::fd::OwnedFd;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

/// The longest line that is logged as one; the rest of it follows as another.
const LONGEST: usize = 8 * 1024;

/// Logs the lines from `pipe` until all holders of its other end have ended.
pub(super) fn pass_on(name: String, pipe: OwnedFd) -> std::io::Result<()> {
    let mut receiver = pipe::Receiver::from_owned_fd(pipe)?;
    tokio::spawn(async move {
        let mut lines = Lines::default();
        let mut piece = vec![0; LONGEST];
        while let Ok(read @ 1..) = receiver.read(&mut piece).await {
            lines.push(piece.get(..read).unwrap_or_default(), |line| {
                log_line(&name, line)
            });
        }
        lines.end(|line| log_line(&name, line));
    });
    Ok(())
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
