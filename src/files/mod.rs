//! Access to the files that the configuration names: its sources, certificates, keys, users, logs. Loading reads them
//! with the rights of its process and may record them; a process without rights loads from the [`Bundle`] of such a
//! record, and has its parent open what changes later.

mod bundle;
mod bundled;
mod content;
#[cfg(test)]
pub(crate) mod double;
pub mod memfd;
mod own;
mod recording;
mod status;
#[cfg(test)]
mod tests;
pub mod watched;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub use bundle::{Bundle, BundleError};
use bundled::Bundled;
pub use content::Content;
use nix::errno::Errno;
pub use own::{open, open_log};
use recording::Recording;
pub use recording::{Granted, TooManyFiles};
pub use status::Status;
pub use watched::{FileStates, WatchedFiles};

/// Handle of the access, cheap to clone.
#[derive(Clone)]
pub struct Files {
    source: Source,
    /// Set when this process has given up its rights.
    opener: Arc<OnceLock<Arc<dyn Opener>>>,
}

#[derive(Clone)]
enum Source {
    /// The files as they are now.
    Disk,
    /// The same, and a record of all that is read.
    Recorded(Arc<Mutex<Recording>>),
    /// The files as another process has read them, and a record of those that are opened again.
    Bundle(Arc<Bundled>, Arc<Mutex<Recording>>),
}

/// Opens files on behalf of this process. Both calls block for a round trip.
pub trait Opener: std::fmt::Debug + Send + Sync {
    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<File>;

    /// Opens a log for appending, and creates it if it is missing.
    fn open_log(&self, path: &Path) -> io::Result<File>;
}

impl Files {
    /// Returns access with the rights of this process.
    pub fn own() -> Self {
        Self::from(Source::Disk)
    }

    /// Returns access with the rights of this process, and records all that a load reads.
    pub fn recording() -> Self {
        Self::from(Source::Recorded(Arc::default()))
    }

    /// Returns access to the files of `bundle` for a load, and after it to files through `opener`.
    pub fn of_bundle(bundle: Bundle, opener: Arc<dyn Opener>) -> Self {
        let files = Self::from(Source::Bundle(
            Arc::new(Bundled::new(bundle)),
            Arc::default(),
        ));
        files.open_through(opener);
        files
    }

    /// Returns access through `opener`.
    pub fn through(opener: Arc<dyn Opener>) -> Self {
        let files = Self::own();
        files.open_through(opener);
        files
    }

    fn from(source: Source) -> Self {
        Self {
            source,
            opener: Arc::default(),
        }
    }

    /// Opens files through `opener` from now on, here and in all that was loaded with this handle: called when the
    /// process gives up its rights. Later calls have no effect.
    pub fn open_through(&self, opener: Arc<dyn Opener>) {
        let _ = self.opener.set(opener);
    }

    /// Returns the access of what outlives the load: to the files as they are then, without record and bundle.
    #[must_use]
    pub fn after_load(&self) -> Self {
        Self {
            source: Source::Disk,
            opener: Arc::clone(&self.opener),
        }
    }

    /// Reports whether a load checks the rights of the process that serves, which are then those of this one.
    pub fn is_own(&self) -> bool {
        matches!(self.source, Source::Disk)
    }

    /// Reports whether a load reads a bundle, whose warnings have been reported.
    pub fn is_bundle(&self) -> bool {
        matches!(self.source, Source::Bundle(..))
    }

    /// Reads a file of at most `limit` bytes; a larger one is EFBIG. Does not wait for the writer of a fifo. Blocks.
    pub fn read(&self, path: &Path, limit: u64) -> io::Result<Content> {
        self.read_from(path, limit, open)
    }

    /// Reads a file as [`Self::read`], and a pipe until its writer closes it. Blocks.
    pub fn read_to_end(&self, path: &Path, limit: u64) -> io::Result<Content> {
        self.read_from(path, limit, |path| File::open(path))
    }

    fn read_from(
        &self,
        path: &Path,
        limit: u64,
        open: impl Fn(&Path) -> io::Result<File>,
    ) -> io::Result<Content> {
        let read = || Content::read(&self.open_by(path, open)?, limit);
        match &self.source {
            Source::Disk => read(),
            Source::Recorded(recording) => {
                let content = read();
                lock(recording).add_content(path, &content);
                content
            }
            Source::Bundle(bundle, _) => bundle.content(path, limit),
        }
    }

    /// Returns the status of a file (stat(2)). Blocks.
    pub fn status(&self, path: &Path) -> io::Result<Status> {
        match &self.source {
            Source::Disk => match Status::of(path) {
                Err(error) if is_denied(&error) => self.status_through(path, error),
                result => result,
            },
            Source::Recorded(recording) => {
                let status = Status::of(path);
                lock(recording).add_status(path, &status);
                status
            }
            Source::Bundle(bundle, _) => bundle.status(path),
        }
    }

    /// Returns the status of a file in a folder that this process may not search.
    fn status_through(&self, path: &Path, denied: io::Error) -> io::Result<Status> {
        let opener = self.opener.get().ok_or(denied)?;
        Ok(Status::from(&opener.open(path)?.metadata()?))
    }

    /// Reports whether a file is in a folder that this process may not search, so that its status takes a round trip.
    pub fn is_hidden(&self, path: &Path) -> bool {
        self.opener.get().is_some() && Status::of(path).is_err_and(|error| is_denied(&error))
    }

    /// Returns the path without symbolic links. Blocks.
    pub fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        match &self.source {
            Source::Disk => path.canonicalize(),
            Source::Recorded(recording) => {
                let canonical = path.canonicalize();
                lock(recording).add_canonical(path, &canonical);
                canonical
            }
            Source::Bundle(bundle, _) => bundle.canonical(path),
        }
    }

    /// Returns the files that match a pattern of glob(7), in the order of their names, without folders and hidden
    /// files. Blocks.
    pub fn matches(&self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        match &self.source {
            Source::Disk => own::matches(pattern),
            Source::Recorded(recording) => {
                let matches = own::matches(pattern);
                lock(recording).add_matches(pattern, &matches);
                matches
            }
            Source::Bundle(bundle, _) => bundle.matches(pattern),
        }
    }

    /// Adds a file to those that are opened again after the load.
    pub fn grant(&self, path: &Path) {
        if let Some(recording) = self.record() {
            lock(recording).grant(path);
        }
    }

    /// Adds a log to those that are opened after the load.
    pub fn grant_log(&self, path: &Path) {
        if let Some(recording) = self.record() {
            lock(recording).grant_log(path);
        }
    }

    fn record(&self) -> Option<&Mutex<Recording>> {
        match &self.source {
            Source::Recorded(recording) | Source::Bundle(_, recording) => Some(recording),
            Source::Disk => None,
        }
    }

    /// Returns the files that loads have read with this handle; none without a record. Fails if there are too many.
    pub fn bundle(&self) -> Result<Bundle, TooManyFiles> {
        match &self.source {
            Source::Recorded(recording) => lock(recording).bundle(),
            Source::Bundle(bundle, _) => Ok(bundle.all()),
            Source::Disk => Ok(Bundle::default()),
        }
    }

    /// Returns the files that are opened again after the load; none without a record. Fails if there are too many.
    pub fn granted(&self) -> Result<Granted, TooManyFiles> {
        let record = self.record();
        record.map_or_else(|| Ok(Granted::default()), |record| lock(record).granted())
    }

    /// Returns the first file that a load has asked for and that its bundle lacks.
    pub fn lacking(&self) -> Option<PathBuf> {
        match &self.source {
            Source::Bundle(bundle, _) => bundle.lacking(),
            Source::Disk | Source::Recorded(_) => None,
        }
    }

    /// Opens a file for reading, after the load. A fifo does not wait for its writer. Blocks.
    pub fn open(&self, path: &Path) -> io::Result<File> {
        self.open_by(path, open)
    }

    /// Opens a log for appending, and creates it if it is missing. Blocks.
    pub fn open_log(&self, path: &Path) -> io::Result<File> {
        let opener = self.opener.get();
        opener.map_or_else(|| open_log(path), |opener| opener.open_log(path))
    }

    fn open_by(&self, path: &Path, open: impl Fn(&Path) -> io::Result<File>) -> io::Result<File> {
        let opener = self.opener.get();
        opener.map_or_else(|| open(path), |opener| opener.open(path))
    }
}

/// Shows no record and no bundle, which have keys.
impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Files")
    }
}

/// A poisoned lock is harmless: the record is consistent at every moment.
fn lock(recording: &Mutex<Recording>) -> MutexGuard<'_, Recording> {
    recording.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_denied(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::EACCES as i32)
}
