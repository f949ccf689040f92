//! The error log: events, panics, and the error streams of child processes and PHP, all through one queue. No serving
//! thread writes to it itself: a pipe without a reader would block it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tracing::Level;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use super::LineLog;
use super::logs::close;
use super::name::{Kind, STDERR, Title};
use super::section::ErrorLogSettings;
use super::sink::Sink;
use super::style::{EventFormat, SharedStyle, Style};
use super::target;
use super::thread::Owner;

/// The log on stderr, for the life of the process. On drop it waits until all is written, two seconds at most.
#[derive(Debug)]
pub struct Stderr(ErrorLog);

/// Handle of the error log, cheap to clone.
#[derive(Clone, Debug)]
pub struct ErrorLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stderr: LineLog,
    /// The destination of events.
    events: ArcSwap<LineLog>,
    /// Style of events and of stderr.
    style: SharedStyle,
    /// The filter of events, once they are logged.
    filter: OnceLock<reload::Handle<Targets, Registry>>,
}

impl Stderr {
    /// Starts the writing thread, and logs panics through it.
    pub fn start() -> io::Result<Self> {
        let style = SharedStyle::default();
        style.set_colors(io::stderr().is_terminal());
        let title = Title {
            kind: Kind::Error(style.clone()),
            to: STDERR.into(),
        };
        let log = LineLog::new(title, Arc::new(AtomicU64::new(0)));
        log.open(Sink::stderr()?, Owner::start("stderr-log", false)?.thread());
        let shared = Shared {
            events: ArcSwap::from_pointee(log.clone()),
            stderr: log,
            style,
            filter: OnceLock::new(),
        };
        let log = ErrorLog(Arc::new(shared));
        let panics = log.clone();
        std::panic::set_hook(Box::new(move |panic| {
            let trace = Backtrace::capture();
            let text = if trace.status() == BacktraceStatus::Captured {
                format!("{panic}\n{trace}")
            } else {
                panic.to_string()
            };
            let line = panics.0.style.line(Level::ERROR, &text);
            panics.0.stderr.append(line.as_bytes());
        }));
        Ok(Self(log))
    }

    /// Starts logging events of `level` and above, as text on stderr.
    pub fn subscribe(&self, level: Level) {
        let (filter, handle) = reload::Layer::new(Targets::new().with_default(level));
        let log = self.0.clone();
        let format = EventFormat::new(log.0.style.clone(), target::of_module);
        let lines = tracing_subscriber::fmt::layer()
            .event_format(format)
            .with_writer(move || Lines(log.0.events.load_full()))
            .with_ansi(true)
            .log_internal_errors(false);
        tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .init();
        // It is set once, as a process has one subscriber.
        let _ = self.0.0.filter.set(handle);
    }

    /// Returns the log on stderr.
    pub fn log(&self) -> &LineLog {
        &self.0.0.stderr
    }

    /// Returns a handle of the log of events.
    pub fn error_log(&self) -> ErrorLog {
        self.0.clone()
    }
}

impl ErrorLog {
    /// Applies settings; `file` is the open log that they name, if they name one.
    pub fn apply(&self, settings: &ErrorLogSettings, file: Option<&LineLog>) {
        let shared = &self.0;
        let events = file.unwrap_or(&shared.stderr);
        events.set_style(settings.style);
        shared.style.set(settings.style);
        let is_terminal = file.is_none() && io::stderr().is_terminal();
        shared.style.set_colors(is_terminal);
        shared.events.store(Arc::new(events.clone()));
        if let Some(filter) = shared.filter.get() {
            // It fails only if there is no subscriber any more.
            let _ = filter.reload(settings.filter());
        }
    }

    /// Appends a text outside of an event to stderr: as it is, or in the style of the log if that is not text.
    pub fn append_text(&self, level: Level, text: &str) {
        let Shared { stderr, style, .. } = &*self.0;
        match style.get() {
            Style::Text => stderr.append(text.as_bytes()),
            Style::Json | Style::Apache => {
                stderr.append(style.line(level, text.trim_end()).as_bytes());
            }
        }
    }

    /// Returns the log on stderr.
    pub fn on_stderr(&self) -> &LineLog {
        &self.0.stderr
    }
}

impl Drop for Stderr {
    fn drop(&mut self) {
        let Shared { stderr, events, .. } = &*self.0.0;
        close(
            &[LineLog::clone(&events.load()), stderr.clone()],
            LAST_LINES,
        );
    }
}

/// Time limit for writing the last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Writer of events, each formatted as a whole and written in one call.
struct Lines(Arc<LineLog>);

impl Write for Lines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.append(event);
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
