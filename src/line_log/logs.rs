//! The logs of the process by their destination: two that name the same file share it. Reloads carry them over.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::LineLog;
use super::log::Handle;
use super::name::{Kind, Title};
use super::sink::Sink;
use super::style::SharedStyle;
use super::thread::Owner;
use crate::files::Files;

/// Destination of a log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Destination {
    /// Standard output.
    Stdout,
    /// This file, opened for appending and created if missing.
    File(PathBuf),
}

/// The access logs of the process, and its error logs in files.
#[derive(Debug, Default)]
pub struct Logs {
    known: Mutex<HashMap<Destination, Weak<Handle>>>,
    /// The thread of regular files, started with the first.
    files: Mutex<Option<Owner>>,
    dropped: Arc<AtomicU64>,
    dropped_events: Arc<AtomicU64>,
}

impl Logs {
    /// Returns the access log of a destination, which may be not open yet.
    pub fn access_log(&self, to: &Destination) -> LineLog {
        self.log(to, &self.dropped, || Kind::Access)
    }

    /// Returns the error log in a file, which may be not open yet.
    pub fn error_log(&self, path: PathBuf) -> LineLog {
        let to = Destination::File(path);
        self.log(&to, &self.dropped_events, || {
            Kind::Error(SharedStyle::default())
        })
    }

    fn log(
        &self,
        to: &Destination,
        dropped: &Arc<AtomicU64>,
        kind: impl FnOnce() -> Kind,
    ) -> LineLog {
        let mut known = self.known();
        if let Some(handle) = known.get(to).and_then(Weak::upgrade) {
            return LineLog(handle);
        }
        let title = Title {
            kind: kind(),
            to: to.to_string().into(),
        };
        let log = LineLog::new(title, Arc::clone(dropped));
        known.retain(|_, handle| handle.strong_count() > 0);
        known.insert(to.clone(), Arc::downgrade(&log.0));
        log
    }

    /// Opens a log of this collection, through `files`, unless it is open. Blocks.
    pub fn open(&self, to: &Destination, log: &LineLog, files: &Files) -> io::Result<()> {
        if log.is_open() {
            return Ok(());
        }
        let sink = match to {
            Destination::Stdout => Sink::stdout()?,
            Destination::File(path) => Sink::file(path.clone(), files.clone())?,
        };
        if !sink.is_regular() || *to == Destination::Stdout {
            // It ends with the log.
            log.open(sink, Owner::start("access-log", false)?.thread());
            return Ok(());
        }
        let mut thread = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = match thread.take() {
            Some(owner) => owner,
            None => Owner::start("log-files", true)?,
        };
        log.open(sink, thread.insert(owner).thread());
        Ok(())
    }

    /// Reopens all files, after they were renamed.
    pub fn reopen(&self) {
        self.all().iter().for_each(LineLog::reopen);
    }

    /// Returns the number of lines that the access logs have lost since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Returns the number of lines that error logs in files have lost since the start.
    pub fn dropped_events(&self) -> u64 {
        self.dropped_events.load(Ordering::Relaxed)
    }

    /// Returns all logs in use.
    pub fn all(&self) -> Vec<LineLog> {
        let known = self.known();
        known
            .values()
            .filter_map(Weak::upgrade)
            .map(LineLog)
            .collect()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Destination, Weak<Handle>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until all lines of these logs are written, for at most `limit`. Blocks the thread, and is meant for the end of
/// the process.
pub fn close(logs: &[LineLog], limit: Duration) {
    let end = Instant::now() + limit;
    for log in logs {
        log.close(end.saturating_duration_since(Instant::now()));
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}
