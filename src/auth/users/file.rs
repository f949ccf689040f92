//! The files of users and groups, which are read again when they change. The request path looks at their versions
//! alone; what reads them blocks.
//!
//! htpasswd truncates its file and writes it anew, so that a changed file counts when it has been left alone for a
//! moment. Until then the previous content stays in force.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use nix::libc::O_NONBLOCK;
use nix::sys::stat::stat;
use tokio::time::Instant;

use super::htpasswd::LARGEST_FILE;
use super::{Groups, Unavailable, Users};
use crate::message::Disk;
use crate::message::disk::FileVersion;

/// Time for which a file must have been left alone before it is read. Longer than a tick of the kernel's clock, so
/// that a later change has another time.
const SETTLED: Duration = Duration::from_millis(100);

/// The same for an empty file: its writer, which has just truncated it, may have been interrupted.
const SETTLED_EMPTY: Duration = Duration::from_secs(1);

/// Time for which a file may be missing while an editor renames.
const ABSENCE: Duration = Duration::from_millis(200);

/// Interval at which a missing or a changing file is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// Time for which loading waits for a file that is being written.
const PATIENCE: Duration = Duration::from_secs(2);

/// A file of users with its file of groups, and their content in force.
#[derive(Debug)]
pub struct UserFile {
    paths: Paths,
    state: ArcSwap<State>,
    /// Held by the thread that reads.
    reading: Mutex<()>,
}

/// Content of the files of users and groups.
#[derive(Debug)]
pub struct Loaded {
    /// The users.
    pub users: Users,
    /// The groups; none without a file.
    pub groups: Groups,
}

/// Result of a look-up that does not block.
#[derive(Debug)]
pub enum Current {
    /// The content in force.
    Fresh(Arc<Loaded>),
    /// The files have changed, or could not be read: [`UserFile::reload`] finds the content.
    Stale,
    /// The content in force cannot be used, and the files have not changed since it was read.
    Unavailable(Unavailable),
}

/// User files by their paths. Those that a configuration uses are shared with the next one: what has not changed is
/// not read again.
#[derive(Debug, Default)]
pub struct UserFiles(Mutex<HashMap<Paths, Weak<UserFile>>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Paths {
    users: PathBuf,
    groups: Option<PathBuf>,
}

/// Result of the last read.
#[derive(Debug)]
struct State {
    /// `None` after a failure that may pass without a change of the file: the next request tries again.
    versions: Option<Versions>,
    content: Result<Arc<Loaded>, Unavailable>,
}

/// Versions of the two files; `None` for one that is missing or not configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Versions {
    users: Option<FileVersion>,
    groups: Option<FileVersion>,
}

impl UserFiles {
    /// Returns the user file with these paths, absolute ones, and reads it if it is new or has changed. Blocks.
    pub fn open(&self, users: &Path, groups: Option<&Path>) -> Result<Arc<UserFile>, Unavailable> {
        let paths = Paths {
            users: users.to_owned(),
            groups: groups.map(Path::to_owned),
        };
        // A poisoned lock is harmless: the map is consistent at every moment.
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(&paths).and_then(Weak::upgrade) {
            file.reload()?;
            return Ok(file);
        }
        files.retain(|_, file| file.strong_count() > 0);
        let file = Arc::new(UserFile::load(paths.clone())?);
        files.insert(paths, Arc::downgrade(&file));
        Ok(file)
    }
}

impl UserFile {
    /// Returns the path of the file of users.
    pub fn path(&self) -> &Path {
        &self.paths.users
    }

    /// Returns the warnings about lines of the content in force, each with file and line.
    pub fn warnings(&self) -> Vec<String> {
        let state = self.state.load();
        let loaded = state.content.as_ref().ok();
        loaded.map_or_else(Vec::new, |loaded| self.paths.warnings(loaded))
    }

    /// Returns the content in force, if it is that of the files as they are now. Looks at each file once and reads
    /// none.
    pub fn current(&self, disk: &dyn Disk, now: SystemTime) -> Current {
        let state = self.state.load();
        let seen = self.paths.versions(|path| disk.version(path));
        if state.versions != Some(seen) && !seen.is_changing(now) {
            return Current::Stale;
        }
        match &state.content {
            Ok(loaded) => Current::Fresh(Arc::clone(loaded)),
            Err(error) => Current::Unavailable(error.clone()),
        }
    }

    /// Reads the files if they have changed; returns the content in force. Blocks: for reading, and for 200 ms where
    /// a file is missing that was there.
    pub fn reload(&self) -> Result<Arc<Loaded>, Unavailable> {
        let Some(_reading) = self.begin_reading() else {
            return self.in_force();
        };
        self.await_presence();
        let state = self.state.load();
        if state.versions == Some(self.paths.versions(version)) {
            return state.content.clone();
        }
        let Some(read) = self.paths.read() else {
            return state.content.clone();
        };
        self.log_change(&state, &read);
        let content = read.content.clone();
        self.state.store(Arc::new(read));
        content
    }

    /// Reads the files for the first time. Blocks, while they are being written for up to two seconds.
    fn load(paths: Paths) -> Result<Self, Unavailable> {
        let read = every_pause(PATIENCE, || paths.read());
        let being_written = || Unavailable::new(&paths.users, "is being written all the time");
        let state = read.ok_or_else(being_written)?;
        state.content.as_ref().map_err(Clone::clone)?;
        Ok(Self {
            paths,
            state: ArcSwap::from_pointee(state),
            reading: Mutex::default(),
        })
    }

    fn in_force(&self) -> Result<Arc<Loaded>, Unavailable> {
        self.state.load().content.clone()
    }

    /// Returns the guard of the reading thread; `None` while another thread reads.
    fn begin_reading(&self) -> Option<MutexGuard<'_, ()>> {
        match self.reading.try_lock() {
            Ok(guard) => Some(guard),
            // It guards no data.
            Err(TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Waits until the files are there, at most 200 ms, unless they were missing already.
    fn await_presence(&self) {
        if self.in_force().is_ok() {
            every_pause(ABSENCE, || {
                let versions = self.paths.versions(version);
                self.paths.are_all_there(versions).then_some(())
            });
        }
    }

    fn log_change(&self, before: &State, read: &State) {
        let file = self.paths.users.display();
        match &read.content {
            Ok(loaded) => {
                tracing::info!(%file, "the users have changed and were read again");
                for warning in self.paths.warnings(loaded) {
                    tracing::warn!("{warning}");
                }
            }
            // Requests that try again find the same error.
            Err(error) if before.content.as_ref().err() == Some(error) => {}
            Err(error) => tracing::error!("no user can log in, requests get 500: {error}"),
        }
    }
}

impl Paths {
    /// Reads the files. `None` while they change.
    fn read(&self) -> Option<State> {
        let versions = self.versions(version);
        if versions.is_changing(SystemTime::now()) {
            return None;
        }
        let read = self.bytes();
        if self.versions(version) != versions {
            return None;
        }
        // A file that is there may become readable without a change of its own.
        let may_pass = read.is_err() && self.are_all_there(versions);
        Some(State {
            versions: (!may_pass).then_some(versions),
            content: read.and_then(|bytes| self.parse(&bytes)),
        })
    }

    /// Reads the content of both files.
    fn bytes(&self) -> Result<[Vec<u8>; 2], Unavailable> {
        let groups = self.groups.as_deref().map(bytes);
        Ok([bytes(&self.users)?, groups.transpose()?.unwrap_or_default()])
    }

    fn parse(&self, [users, groups]: &[Vec<u8>; 2]) -> Result<Arc<Loaded>, Unavailable> {
        let groups = match &self.groups {
            Some(path) => Groups::parse(groups, path)?,
            None => Groups::default(),
        };
        let users = Users::parse(users, &self.users)?;
        Ok(Arc::new(Loaded { users, groups }))
    }

    fn versions(&self, version: impl Fn(&Path) -> Option<FileVersion>) -> Versions {
        Versions {
            users: version(&self.users),
            groups: self.groups.as_deref().and_then(version),
        }
    }

    fn are_all_there(&self, versions: Versions) -> bool {
        versions.users.is_some() && versions.groups.is_some() == self.groups.is_some()
    }

    fn warnings(&self, loaded: &Loaded) -> Vec<String> {
        let mut warnings = loaded.users.findings().warnings(&self.users);
        if let Some(path) = &self.groups {
            warnings.extend(loaded.groups.findings().warnings(path));
        }
        warnings
    }
}

impl Versions {
    /// Reports whether a file may still be being written.
    fn is_changing(&self, now: SystemTime) -> bool {
        let mut versions = self.users.iter().chain(&self.groups);
        versions.any(|version| {
            let settled = if version.size == 0 {
                SETTLED_EMPTY
            } else {
                SETTLED
            };
            match now.duration_since(version.changed) {
                Ok(age) => age < settled,
                // Another machine's clock may be ahead a little. Far ahead, ours was put back.
                Err(ahead) => ahead.duration() < settled,
            }
        })
    }
}

fn version(path: &Path) -> Option<FileVersion> {
    stat(path).ok().as_ref().map(FileVersion::from)
}

/// Reads a file, of one that is too large a byte more than the limit.
fn bytes(path: &Path) -> Result<Vec<u8>, Unavailable> {
    let mut bytes = Vec::new();
    // O_NONBLOCK: opening a fifo must not wait for its writer.
    let opened = File::options()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(path);
    let limit = u64::try_from(LARGEST_FILE).unwrap_or(u64::MAX);
    opened
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|error| Unavailable::unread(path, &error))?;
    Ok(bytes)
}

/// Repeats an attempt until it succeeds or the time is over.
fn every_pause<T>(limit: Duration, attempt: impl Fn() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        let result = attempt();
        if result.is_some() || Instant::now() >= end {
            return result;
        }
        sleep(PAUSE);
    }
}
