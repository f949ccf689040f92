//! The log on stderr: events, panics, and the error streams of child processes and PHP, all through one queue. No serving
//! thread writes to stderr itself: a pipe without a reader would block it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::{LineLog, LogName, Sink};

/// The log on stderr, for the life of the process. On drop it waits until all is written, two seconds at most.
#[derive(Debug)]
pub struct Stderr(LineLog);

impl Stderr {
    /// Starts the writing thread, and logs panics through it.
    pub fn start() -> io::Result<Self> {
        let log = LineLog::start(LogName::Stderr, Sink::stderr()?)?;
        let panics = log.clone();
        std::panic::set_hook(Box::new(move |panic| {
            let trace = Backtrace::capture();
            let text = if trace.status() == BacktraceStatus::Captured {
                format!("{panic}\n{trace}")
            } else {
                panic.to_string()
            };
            panics.append(format_line("ERROR", &text).as_bytes());
        }));
        Ok(Self(log))
    }

    /// Starts logging events of `level` and above.
    pub fn subscribe(&self, level: Level) {
        let log = self.0.clone();
        tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(move || Lines(log.clone()))
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .log_internal_errors(false)
            .finish()
            .with(targets(level))
            .init();
    }

    /// Returns the queue.
    pub fn log(&self) -> &LineLog {
        &self.0
    }
}

impl Drop for Stderr {
    fn drop(&mut self) {
        self.0.close(LAST_LINES);
    }
}

/// Returns the filter for `level`. h2 warns of each connection that resets too many streams, which a client can do
/// thousands of times a second.
fn targets(level: Level) -> Targets {
    let of_h2 = if level >= Level::DEBUG {
        level
    } else {
        Level::ERROR
    };
    Targets::new().with_default(level).with_target("h2", of_h2)
}

/// Time limit for writing the last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Formats a log line outside of an event.
pub(super) fn format_line(level: &str, text: &str) -> String {
    let mut line = String::new();
    // Writing to a String does not fail; a clock that cannot be formatted leaves the line without a time.
    let _ = SystemTime.format_time(&mut Writer::new(&mut line));
    line.push_str(&format!(" {level:>5} {text}\n"));
    line
}

/// Writer of events, each formatted as a whole and written in one call.
struct Lines(LineLog);

impl Write for Lines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.append(event);
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_of_h2_are_logged_at_debug() {
        for (level, logged) in [
            (Level::WARN, false),
            (Level::INFO, false),
            (Level::DEBUG, true),
        ] {
            let targets = targets(level);
            assert_eq!(targets.would_enable("h2::proto", &Level::WARN), logged);
            assert!(targets.would_enable("h2::proto", &Level::ERROR));
            assert!(targets.would_enable("fcgate::server", &level));
        }
    }

    #[test]
    fn a_line_looks_like_an_event() {
        let line = format_line("WARN", "3 lines");
        let (time, rest) = line.split_once(' ').unwrap();
        assert_eq!(rest, " WARN 3 lines\n");
        assert!(time.ends_with('Z') && time.contains('T'), "{time}");
    }
}
